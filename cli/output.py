"""How commands speak: results on stdout, everything else on stderr, one JSON object where it is asked for."""

import json
import sys
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any, NoReturn

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    WAITING = 3


out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


class CommandError(Exception):
    """Ends the command with exit code 2 and this message."""


def plain(value: Any) -> Any:
    """Shapes, and lists and dictionaries of them, as JSON values."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def print_json(value: Any) -> None:
    """The one JSON object of a command with --json."""
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def stop(message: str, code: Exit = Exit.USAGE, *, as_json: bool = False) -> NoReturn:
    """End with an error that a person can act on."""
    if as_json:
        print_json({"error": message})
    err.print(f"[red]error:[/red] {_escaped(message)}")
    raise SystemExit(int(code))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Print rows under their headings; numbers to the right."""
    grid = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for at in range(len(columns)):
        grid.columns[at].overflow = "fold"
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    out.print(grid)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return _escaped(str(value))


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
