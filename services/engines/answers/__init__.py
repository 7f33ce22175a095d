"""Finding the code in whatever a model answers. Pure: what is a module, and what isn't, is asked of the caller."""

from services.engines.answers.blocks import IsModule
from services.engines.answers.finding import Found, NoCode, find_code
from services.engines.answers.joining import Rank, begun_line, ended, join

__all__ = ["Found", "IsModule", "NoCode", "Rank", "begun_line", "ended", "find_code", "join"]
