"""The older AlgoAgent step format, turned into canonical definitions (docs/import.md)."""

from domain.importer.convert import import_steps
from domain.importer.report import Carried, ImportFormatError, ImportResult, NotUnderstood, Understood

__all__ = ["Carried", "ImportFormatError", "ImportResult", "NotUnderstood", "Understood", "import_steps"]
