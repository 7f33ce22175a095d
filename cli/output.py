"""How commands speak: results on stdout, everything else on stderr, one JSON object where it is asked for."""

import dataclasses
import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.base import Shape

WIDE = 10_000
"""Columns of a table that no terminal shows: programs read it, and nothing must be folded."""
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    WAITING = 3
    INTERRUPTED = 130


class CommandError(Exception):
    """Ends the command with exit code 2 and this message."""


def visible(text: str) -> str:
    """Foreign text, fit for a terminal: what would move the cursor, recolour or reorder it is written as an escape."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _Console(Console):
    """Shows the control characters of texts instead of obeying them."""

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(visible(text), **how)


out = _Console(soft_wrap=True, highlight=False, emoji=False)
err = _Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


def plain(value: Any) -> Any:
    """Shapes, and lists and dictionaries of them, as JSON values; numbers that JSON doesn't know are null."""
    match value:
        case Shape():
            return plain(value.model_dump(mode="json"))
        case Enum() | Path():
            return value.value if isinstance(value, Enum) else str(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(plain(key)): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


def print_json(value: Any) -> None:
    """The one JSON object of a command with --json."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=not unicode, default=str) + "\n")
    sys.stdout.flush()


def complain(message: str, label: str = "error", style: str = "red") -> None:
    """One remark on stderr."""
    err.print(Text.assemble((f"{label}:", style), " ", visible(message)))


def told(message: str, code: Exit = Exit.USAGE, *, as_json: bool = False) -> Exit:
    """Say what went wrong, for a person and, where it is asked for, as the JSON object; returns the exit code."""
    if as_json:
        print_json({"error": message})
    complain(message)
    return code


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under their headings; columns that hold numbers to the right. Unfolded where no terminal shows it."""
    given = [list(row) for row in rows]
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for at, name in enumerate(columns):
        held = [row[at] for row in given if row[at] is not None]
        numbers = any(isinstance(value, int | float) for value in held)
        grid.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in given:
        grid.add_row(*(Text(visible(_cell(value))) for value in row))
    if not out.is_terminal:
        out.width = WIDE
    out.print(grid)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
