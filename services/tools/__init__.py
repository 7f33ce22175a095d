"""Typed tools that an agent may be given, and the log of all it did with them (docs/tools.md)."""

from services.tools.audit import AuditLog, log_folder
from services.tools.deeds import SandboxSource
from services.tools.errors import AuditDamaged, AuditUnwritable
from services.tools.pace import Pace
from services.tools.toolbox import Toolbox

__all__ = ["AuditDamaged", "AuditLog", "AuditUnwritable", "Pace", "SandboxSource", "Toolbox", "log_folder"]
