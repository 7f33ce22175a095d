"""isort, then black, in process."""

import ast
import re

import black
import isort
from black.mode import TargetVersion
from black.parsing import ASTSafetyError, InvalidInput
from black.report import NothingChanged

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
    """The same code, formatted; formatting it again changes nothing. Raises FormatError for what can't be parsed.

    black compares the trees before and after, so that formatting never changes what code does.
    """
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        raise FormatError(line, f"Python can't read it ({getattr(error, 'msg', None) or error})") from error
    try:
        text = isort.code(source, config=_ISORT)
        return black.format_file_contents(text, fast=False, mode=_BLACK)
    except NothingChanged:
        return text
    except (InvalidInput, ASTSafetyError, isort.exceptions.ISortError, RecursionError) as error:
        found = _PLACE.search(str(error))
        line = int(found[1]) if found else 1
        raise FormatError(line, str(error)[:200]) from error
