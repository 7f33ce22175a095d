"""Definitions from files: found by name or path, read as JSON or YAML, checked."""

import json
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import yaml

from domain.definitions import CheckedDefinition, DefinitionError, check_definition
from domain.rules.suggest import nearest
from domain.schema_problems import Problem, shown

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NAME = 100
SUFFIXES = (".json", ".yaml", ".yml")


def load_definition(path_or_name: str | Path, root: str | Path = "strategies") -> CheckedDefinition:
    """The definition in a file, or the one of that name in `root`.

    What holds a separator or ends in .json, .yaml or .yml is a path. Raises DefinitionError, whose `source` is the
    file, for a file that isn't there or can't be read as well as for what is wrong in it.
    """
    path, name = find_definition(path_or_name, root)
    checked = _checked(path)
    if name is not None and checked.definition.name != name:
        message = f"the file is called {path.name}, so its name must be {name}; rename one of them"
        raise DefinitionError([Problem("name", repr(checked.definition.name), message)], str(path))
    return checked


def definition_names(root: str | Path = "strategies") -> list[str]:
    """The names under which definitions can be found in `root`, sorted."""
    folder = Path(root)
    if not folder.is_dir():
        return []
    return sorted({path.stem for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file()})


def find_definition(path_or_name: str | Path, root: str | Path = "strategies") -> tuple[Path, str | None]:
    """The file, and the name that it was asked for by, if it was. Raises DefinitionError where there is none."""
    text = str(path_or_name)
    if isinstance(path_or_name, Path) or "/" in text or "\\" in text or text.lower().endswith(SUFFIXES):
        return Path(path_or_name), None
    if not text or "\0" in text or len(text) > MAX_NAME:
        raise DefinitionError([Problem("", shown(text), "this is neither a file nor the name of a strategy")])
    found = [path for suffix in SUFFIXES if (path := Path(root) / (text + suffix)).is_file()]
    if len(found) > 1:
        files = " and ".join(path.name for path in found)
        raise DefinitionError([Problem("", text, f"{root} holds {files}; remove one of them")])
    if found:
        return found[0], text
    names = definition_names(root)
    near = nearest(text, names, cutoff=0.4)
    known = f"did you mean {near}? There are" if near else "there are"
    message = f"no strategy of that name in {root}; {known} {', '.join(names) or 'none'}"
    raise DefinitionError([Problem("", text, message)])


def _checked(path: Path) -> CheckedDefinition:
    source = str(path)
    data = read_data(path)
    try:
        return check_definition(data)
    except DefinitionError as error:
        raise DefinitionError(error.problems, source) from None


def read_data(path: Path) -> Any:
    """What a JSON or YAML file holds, as plain data; DefinitionError names the line where it can't be read.

    JSON is what `.json` says, or, without a suffix that is known, a text that begins with '{' or '['. Refused are files
    over MAX_BYTES, other encodings than UTF-8, repeated keys, numbers that aren't finite, nesting beyond MAX_DEPTH (in
    JSON, beyond what Python reads), and YAML's aliases and tags.
    """
    text = _text(path)
    as_json = path.suffix.lower() == ".json" or (
        path.suffix.lower() not in SUFFIXES and text.lstrip()[:1] in "{["
    )
    try:
        return _read_json(text) if as_json else _read_yaml(text)
    except _Refused as refused:
        place = f"line {refused.line}" if refused.line else ""
        raise DefinitionError([Problem(place, refused.found, refused.message)], str(path)) from None


class _Refused(Exception):
    def __init__(self, message: str, found: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.message, self.found, self.line = message, found, line


def _text(path: Path) -> str:
    def refuse(message: str) -> NoReturn:
        raise DefinitionError([Problem("", "", message)], str(path))

    try:
        regular = stat.S_ISREG(path.stat().st_mode)
        with path.open("rb") if regular else nullcontext() as file:
            raw = file.read(MAX_BYTES + 1) if file else b""
    except FileNotFoundError:
        refuse("there is no such file")
    except (OSError, ValueError) as error:
        refuse(f"the file can't be read: {getattr(error, 'strerror', None) or error}")
    if not regular:
        refuse("this is not a file; give the path of a JSON or YAML file")
    if len(raw) > MAX_BYTES:
        refuse(f"the file has more than {MAX_BYTES >> 20} MiB; a definition has a few KiB")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        refuse("the file is in UTF-16; save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        refuse(f"line {line} is not UTF-8 (byte 0x{raw[error.start]:02x}); save the file as UTF-8")
    if not text.strip():
        refuse("the file is empty; write a definition, for example as in strategies/RSI_Reversal.json")
    return text


def _read_json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in pairs:
            if key in data:
                raise _Refused("this key stands twice in one object; keep one", repr(key))
            data[key] = value
        return data

    def constant(name: str) -> NoReturn:
        raise _Refused("this is not a number that JSON knows; write a finite one", name)

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=constant)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        message = f"column {error.colno}: {error.msg}" + ("; the file seems to be cut off" if cut else "")
        raise _Refused(f"not JSON, {message}", line=error.lineno) from None
    except RecursionError:
        raise _Refused("nested too deeply") from None
    except ValueError as error:  # an integer of more digits than Python converts
        raise _Refused(f"a number can't be read: {error}") from None


def _read_yaml(text: str) -> Any:
    try:
        _check_events(yaml.parse(text, Loader=yaml.CSafeLoader))
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        column = f"column {mark.column + 1}: " if mark else ""
        raise _Refused(f"not YAML, {column}{error.problem}", line=mark.line + 1 if mark else 0) from None
    except yaml.YAMLError as error:
        raise _Refused(f"not YAML: {' '.join(str(error).split())}") from None
    except (ValueError, RecursionError) as error:  # impossible dates, numbers too long
        raise _Refused(f"a value can't be read: {error}") from None


def _check_events(events: Iterator[Any]) -> None:
    """Refuse what is dangerous or ambiguous in YAML before anything is built from it."""
    keys: list[set[str] | None] = []
    is_key: list[bool] = []
    documents = 0
    for event in events:
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _Refused("a file holds one definition; remove the second document", line=line)
        if isinstance(event, yaml.AliasEvent):
            raise _Refused("aliases are not allowed; write the value out", f"*{event.anchor}", line)
        if getattr(event, "tag", None) is not None:
            raise _Refused("tags are not allowed; write the plain value", event.tag, line)
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            keys.pop()
            is_key.pop()
            continue
        if not isinstance(event, yaml.ScalarEvent | yaml.MappingStartEvent | yaml.SequenceStartEvent):
            continue
        if keys and (seen := keys[-1]) is not None:
            if is_key[-1] and isinstance(event, yaml.ScalarEvent):
                if event.value in seen:
                    raise _Refused("this key stands twice in one mapping; keep one", repr(event.value), line)
                seen.add(event.value)
            is_key[-1] = not is_key[-1]
        if not isinstance(event, yaml.ScalarEvent):
            if len(keys) >= MAX_DEPTH:
                raise _Refused("nested too deeply", line=line)
            keys.append(set() if isinstance(event, yaml.MappingStartEvent) else None)
            is_key.append(True)
