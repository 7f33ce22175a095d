"""The memory: lessons of earlier experiments, in Qdrant, kept by a process of its own."""

from services.memory.client import Memory
from services.memory.config import MemoryConfig
from services.memory.errors import MemoryFault, MemoryOff, MemoryRefusal, MemoryUnavailable, ModelMismatch

__all__ = [
    "Memory",
    "MemoryConfig",
    "MemoryFault",
    "MemoryOff",
    "MemoryRefusal",
    "MemoryUnavailable",
    "ModelMismatch",
]
