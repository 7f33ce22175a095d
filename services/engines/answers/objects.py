"""JSON objects in text: whole, wrapped, broken off, or not quite JSON."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic_core import from_json

CODE_KEYS = ("code", "fixed_code")

_MOST_STARTS = 50
_MOST_DEPTH = 6
_START = re.compile(r'\{\s*"')
_ESCAPE_LENGTH = 6
_DECODER = json.JSONDecoder(strict=False)  # line breaks in texts are let through
_CODE_TEXT = re.compile(r'"(?:fixed_)?code"\s*:\s*(?P<quotes>"""|")')
_END = re.compile(r'\s*(?:\}|,\s*"\w+"\s*:)')
_OTHER_TEXT = re.compile(r'"(entrypoint|explanation)"\s*:\s*("(?:[^"\\]|\\.)*")')
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True)
class CodeObject:
    """An object with code in it. `whole` is false where the text ends within the code."""

    fields: Mapping[str, Any]
    whole: bool = True

    @property
    def code(self) -> str:
        return str(next(self.fields[key] for key in CODE_KEYS if _is_text(self.fields.get(key))))


def find_object(text: str) -> CodeObject | None:
    """The first object with code, at any depth of any JSON in the text. Halves of characters in it become '?'."""
    found = _find(text)
    return CodeObject(_whole_characters(found.fields), found.whole) if found else None


def _whole_characters(value: Any, depth: int = 0) -> Any:
    """What lies too deep to mean anything is left out."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict | list) and depth > _MOST_DEPTH:
        return None
    if isinstance(value, dict):
        return {_whole_characters(key): _whole_characters(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_characters(item, depth + 1) for item in value]
    return value


def _find(text: str) -> CodeObject | None:
    starts = [found.start() for found in islice(_START.finditer(text), _MOST_STARTS)]
    for start in starts:
        try:
            value, _ = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if (fields := _with_code(value)) is not None:
            return CodeObject(fields)
    for start in starts:
        if (found := _broken_off(text[start:])) is not None:
            return found
    return _loose(text)


def _with_code(value: Any, depth: int = 0) -> Mapping[str, Any] | None:
    """The object itself, or one that it wraps, as in {"name": "final_result", "arguments": {…}}."""
    if depth > _MOST_DEPTH:
        return None
    if isinstance(value, list):
        inner = value
    elif isinstance(value, dict):
        if any(_is_text(value.get(key)) for key in CODE_KEYS):
            return value
        inner = list(value.values())
    elif isinstance(value, str) and value.lstrip().startswith("{"):
        try:  # JSON in a text, as tools' arguments are sometimes given
            inner = [_DECODER.decode(value)]
        except (ValueError, RecursionError):
            return None
    else:
        return None
    return next((found for item in inner if (found := _with_code(item, depth + 1)) is not None), None)


def _broken_off(text: str) -> CodeObject | None:
    """The object that begins here and that the text's end cuts off."""
    try:
        _DECODER.raw_decode(text)
    except json.JSONDecodeError as error:
        if (
            not error.msg.startswith("Unterminated string")
            and error.pos < len(text.rstrip()) - _ESCAPE_LENGTH
        ):
            return None  # it is no JSON, from somewhere in the middle on
    except RecursionError:
        return None
    try:
        if (fields := _with_code(from_json(text, allow_partial=True))) is not None:
            return CodeObject(fields)  # the code's text was closed; what came after it is lost
        fields = _with_code(from_json(text, allow_partial="trailing-strings"))
    except ValueError:
        return None
    return CodeObject(fields, whole=False) if fields is not None else None


def _loose(text: str) -> CodeObject | None:
    """`"code": "…"` with what JSON doesn't allow in it: bare line breaks, bare quotes, three quotes as in Python."""
    found = _CODE_TEXT.search(text)
    if found is None:
        return None
    quotes, begin, position = found["quotes"], found.end(), found.end()
    end = -1
    while (position := text.find(quotes, position)) >= 0:
        if text[position - 1] != "\\" and _END.match(text, position + len(quotes)):
            end = position
            break
        position += 1
    code = text[begin : end if end >= 0 else len(text)]
    if quotes == '"':
        code = _ESCAPE.sub(_unescaped, code)
    if not code.strip():
        return None
    others = {
        name: json.loads(value, strict=False) for name, value in _OTHER_TEXT.findall(text) if _loads(value)
    }
    return CodeObject(others | {"code": code}, whole=end >= 0)


def _unescaped(found: re.Match[str]) -> str:
    sign = found[1]
    if len(sign) == 5:
        return chr(int(sign[1:], 16))
    return _ESCAPES.get(sign, sign)


def _loads(value: str) -> bool:
    try:
        json.loads(value, strict=False)
    except ValueError:
        return False
    return True


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
