"""isort, then black, in a child process with limits: on some texts they take minutes."""

import ast
import re

import black
import isort
from black.mode import TargetVersion
from black.report import NothingChanged

from domain.code_policy import check_size
from services.bounded import CallRefused
from services.code_reading import READING

LINE_LENGTH = 100

_ISORT = isort.Config(profile="black", line_length=LINE_LENGTH, quiet=True)
_BLACK = black.Mode(target_versions={TargetVersion.PY311}, line_length=LINE_LENGTH)
_PLACE = re.compile(r"(\d+):(\d+)")


class FormatError(ValueError):
    """Code that can't be formatted; `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: can't be formatted: {message}")
        self.line = line


def format_code(source: str) -> str:
    """The same code, formatted; formatting it again changes nothing. Raises FormatError for what can't be parsed, and
    for what can't be formatted within the limits.

    black compares the trees before and after, so that formatting never changes what code does.
    """
    if (too_long := check_size(source)) is not None:
        raise FormatError(1, f"{too_long.message}; {too_long.instead}")
    try:
        answer = READING.call("services.formatter:format_here", source)
    except CallRefused as refused:
        raise FormatError(1, f"{refused}; write shorter, plainer statements") from refused
    if "text" in answer:
        return str(answer["text"])
    raise FormatError(answer["line"], answer["message"])


def format_here(source: str) -> dict[str, str | int]:
    """In the child: `text`, or `line` and `message` of what stands against it."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        message = f"Python can't read it ({getattr(error, 'msg', None) or error})"
        return {"line": getattr(error, "lineno", None) or 1, "message": message}
    try:
        text = isort.code(source, config=_ISORT)
        return {"text": black.format_file_contents(text, fast=False, mode=_BLACK)}
    except NothingChanged:
        return {"text": text}
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - either may fall over an odd text in a way of its own
        found = _PLACE.search(str(error))
        return {"line": int(found[1]) if found else 1, "message": str(error)[:200] or type(error).__name__}
