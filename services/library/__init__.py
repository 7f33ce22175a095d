"""The library of merged strategies: a bare git repository, written without a checkout."""

from services.library.errors import LibraryError, LibraryUnavailable
from services.library.library import Library, strategy_files

__all__ = ["Library", "LibraryError", "LibraryUnavailable", "strategy_files"]
