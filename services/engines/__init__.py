"""Engines: who writes the code."""

from services.engines.contract import CannotFix, Engine, EngineBusy, EngineError, EngineMaker, Engines
from services.engines.makers import keys_of, model_makers
from services.engines.offline import OfflineEngine
from services.engines.providers import ModelOptions

__all__ = [
    "CannotFix",
    "Engine",
    "EngineBusy",
    "EngineError",
    "EngineMaker",
    "Engines",
    "ModelOptions",
    "OfflineEngine",
    "keys_of",
    "model_makers",
]
