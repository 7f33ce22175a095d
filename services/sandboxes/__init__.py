"""Sandboxes: one contract (`contract`), its providers, and the manager that leases them (docs/sandboxes.md)."""

from services.sandboxes.contract import (
    Sandbox,
    SandboxError,
    SandboxLost,
    SandboxProvider,
    SandboxRefusal,
    SandboxUnavailable,
)
from services.sandboxes.manager import SandboxManager
from services.sandboxes.providers import default_providers
from services.sandboxes.slots import SandboxesFull, Slots

__all__ = [
    "Sandbox",
    "SandboxError",
    "SandboxLost",
    "SandboxManager",
    "SandboxProvider",
    "SandboxRefusal",
    "SandboxUnavailable",
    "SandboxesFull",
    "Slots",
    "default_providers",
]
