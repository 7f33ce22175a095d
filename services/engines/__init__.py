"""Engines: who writes the code."""

from services.engines.contract import CannotFix, Engine, EngineError, Engines
from services.engines.offline import OfflineEngine

__all__ = ["CannotFix", "Engine", "EngineError", "Engines", "OfflineEngine"]
