"""Which errors a person may expect, and in which words they are told."""

import re
from collections.abc import Mapping
from typing import Any

from cli.output import Exit

EXPECTED: Mapping[str, Exit] = {
    "cli.output.CommandError": Exit.USAGE,
    "domain.definitions.DefinitionError": Exit.USAGE,
    "domain.importer.report.ImportFormatError": Exit.USAGE,
    "domain.rules.errors.RuleError": Exit.USAGE,
    "pydantic_core._pydantic_core.ValidationError": Exit.USAGE,
    "pydantic_settings.exceptions.SettingsError": Exit.USAGE,
    "services.engines.contract.EngineError": Exit.USAGE,
    "services.forks.ForkError": Exit.USAGE,
    "services.formatter.FormatError": Exit.USAGE,
    "services.library.errors.LibraryError": Exit.USAGE,
    "services.market_data.errors.DataError": Exit.USAGE,
    "services.memory.errors.MemoryRefusal": Exit.USAGE,
    "services.records.errors.RecordsError": Exit.USAGE,
    "services.sandboxes.contract.SandboxRefusal": Exit.USAGE,
    "services.secrets.contract.SecretsError": Exit.USAGE,
    "services.temporal.replaying.HistoryError": Exit.USAGE,
    "services.artifacts.ArtifactError": Exit.FAILED,
    "services.library.errors.LibraryUnavailable": Exit.FAILED,
    "services.memory.errors.MemoryUnavailable": Exit.FAILED,
    "services.records.errors.RecordsUnavailable": Exit.FAILED,
    "services.sandboxes.contract.SandboxError": Exit.FAILED,
    "services.secrets.contract.SecretsCorrupt": Exit.FAILED,
    "services.secrets.contract.SecretsRefused": Exit.FAILED,
    "services.secrets.contract.SecretsUnavailable": Exit.FAILED,
    "services.tools.errors.AuditUnwritable": Exit.FAILED,
    "services.temporal.connect.TemporalUnreachable": Exit.FAILED,
    "services.temporal.server.ServerError": Exit.FAILED,
    "temporalio.service.RPCError": Exit.FAILED,
    "builtins.OSError": Exit.FAILED,
}
"""Exit codes by the class's full name, nearest class first: nothing is imported to find out what was raised."""

_ASKED_OF_PEOPLE = ("Settings", "ExperimentRequest", "Thresholds", "Costs", "Limits", "Budget", "Decision")
"""Shapes that are filled from options and the environment; in any other an invalid value is a bug."""
_UNAVAILABLE = 14
"""gRPC's number for a server that can't be reached."""
_OPTIONS = {"experiment_id": "--id", "memory_mb": "--memory"}
"""Fields of shapes that have another name on the command line."""


def exit_of(error: BaseException) -> Exit | None:
    """The exit code of an expected error; None for one that nobody expects, which is a bug."""
    if type(error).__name__ == "ValidationError" and getattr(error, "title", "") not in _ASKED_OF_PEOPLE:
        return None
    for kind in type(error).__mro__:
        found = EXPECTED.get(f"{kind.__module__}.{kind.__qualname__}")
        if found is not None:
            return found
    return Exit.USAGE if is_usage(error) else None


def is_usage(error: BaseException) -> bool:
    """Whether it is typer's own: it brings a copy of click, or takes the one that is installed."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def in_words(error: BaseException) -> str:
    """What happened, to which thing, and what to do."""
    match type(error).__name__:
        case "ValidationError":
            return "\n".join(_invalid(error, detail) for detail in _details(error))
        case "SettingsError":
            return _setting(error)
        case "RPCError":
            if getattr(error, "status", None) == _UNAVAILABLE:
                return f"the Temporal server doesn't answer any more ({error}); see: python starter.py doctor"
            return f"the Temporal server refused ({error}); see: python starter.py doctor"
    if is_usage(error):
        return _usage(error)
    if isinstance(error, OSError) and type(error).__module__ == "builtins":
        return _os_error(error)
    return str(error)


def _details(error: Any) -> list[dict[str, Any]]:
    return list(error.errors(include_url=False))


def _invalid(error: Any, detail: dict[str, Any]) -> str:
    """One line on one option, or on one variable of the environment."""
    field = ".".join(str(part) for part in detail["loc"])
    message = str(detail["msg"]).removeprefix("Value error, ")
    if not field:  # of the values together
        return message
    found = repr(detail.get("input"))
    found = found if len(found) <= 80 else found[:79] + "…"
    if error.title == "Settings":
        return f"GENESIS_{field.upper()}: {message} (found {found}); see docs/settings.md"
    name = _OPTIONS.get(field, f"--{field.replace('_', '-')}")
    return f"{name}: {message} (found {found})"


def _setting(error: BaseException) -> str:
    field = re.search(r'field "(\w+)"', str(error))
    name = f"GENESIS_{field[1].upper()}" if field else "a GENESIS_ variable"
    return f'{name} can\'t be read: a list is written as JSON, for example ["bubblewrap", "docker"]'


def _usage(error: Any) -> str:
    where = getattr(error, "ctx", None)
    hint = f"; see: {where.command_path} --help" if where else ""
    return f"{str(error.format_message()).rstrip('.')}{hint}"


def _os_error(error: OSError) -> str:
    what = f"{error.filename}: " if error.filename else ""
    return (
        f"{what}{error.strerror or error}; check the path, the rights and the disk (GENESIS_HOME says where)"
    )
