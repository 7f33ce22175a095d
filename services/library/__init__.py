"""The library of merged strategies: a bare git repository, written without a checkout."""

from services.library.errors import LibraryError, LibraryUnavailable
from services.library.library import Library
from services.library.repository import is_url

__all__ = ["Library", "LibraryError", "LibraryUnavailable", "is_url"]
