"""Sandboxes: one contract (`contract`), its providers, and the manager that leases them (docs/sandboxes.md)."""

from services.sandboxes.contract import (
    Sandbox,
    SandboxError,
    SandboxLost,
    SandboxProvider,
    SandboxRefusal,
    SandboxUnavailable,
)
from services.sandboxes.manager import SandboxManager, default_providers

__all__ = [
    "Sandbox",
    "SandboxError",
    "SandboxLost",
    "SandboxManager",
    "SandboxProvider",
    "SandboxRefusal",
    "SandboxUnavailable",
    "default_providers",
]
