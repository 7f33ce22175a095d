"""Reading the imports of a tree of rooms, and what is wrong with them by the table of the design.

Every import counts, those inside functions and literal `import_module("…")` calls too. Those under `TYPE_CHECKING` are
told apart: activities may name services there and nowhere else.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Room:
    """What one place may import beside the standard library and itself. Names cover what is below them."""

    ours: tuple[str, ...] = ()
    third: tuple[str, ...] = ()
    any_third: bool = False
    typing_only: tuple[str, ...] = ()
    """Only under TYPE_CHECKING."""
    deferred: tuple[str, ...] = ()
    """Only inside a function, so that importing the module doesn't load it."""
    dynamic: bool = False
    """Whether imports by a computed name are allowed: they can't be read here."""


OURS = ("schemas", "domain", "workflows", "activities", "services", "harness", "cli", "worker", "starter")
ROOMS: Mapping[str, Room] = {
    "schemas": Room(third=("pydantic",)),
    "domain": Room(ours=("schemas",), third=("pydantic", "pydantic_core", "numpy", "pandas", "lark")),
    "workflows": Room(ours=("schemas", "activities", "domain"), third=("temporalio", "pydantic")),
    "activities": Room(
        ours=("schemas", "domain"),
        third=("temporalio.activity", "temporalio.exceptions"),
        typing_only=("services",),
    ),
    "services": Room(ours=("schemas", "domain"), any_third=True, dynamic=True),
    "harness": Room(third=("numpy", "pandas", "talib", "backtesting"), dynamic=True),
    "cli": Room(
        ours=("schemas", "domain", "workflows", "services"),
        third=("typer", "click", "rich", "pydantic", "temporalio"),
        deferred=("worker",),
    ),
    "worker": Room(ours=tuple(name for name in OURS if name != "harness"), any_third=True),
    "starter": Room(ours=("cli",)),
}

CONNECTING = "services.temporal"
"""The one module, or package, of services that knows temporalio."""

DOMAIN_NEEDS: Mapping[str, frozenset[str]] = {
    "domain.rules.parse": frozenset({"lark"}),
    "domain.rules.risk": frozenset({"lark"}),
    "domain.indicators": frozenset({"numpy", "pandas"}),
    "domain.expected": frozenset({"numpy", "pandas"}),
    "domain.conform": frozenset({"pandas"}),
    "domain.book": frozenset({"pandas"}),
    "domain.lookahead": frozenset({"numpy", "pandas"}),
    "domain.overfitting": frozenset({"numpy"}),
    "domain.risk_honoured": frozenset({"pandas"}),
    "domain.scoring": frozenset({"numpy", "pandas"}),
    "domain.windows": frozenset({"numpy", "pandas"}),
}
"""Modules (or packages) of domain that need more than the standard library, schemas and pydantic."""

HEAVY = frozenset({"numpy", "pandas", "lark"})
IO_AND_CLOCK = (
    *(
        "asyncio",
        "glob",
        "http",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "secrets",
        "shutil",
    ),
    *("socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib.request"),
)
IO_CALLS = frozenset({"open", "input", "print"})
CLOCK_CALLS = frozenset({"now", "utcnow", "today"})
CLOCKS = frozenset({"datetime", "date", "Timestamp"})
UNWANTED_IN_WORKFLOWS = ("docker", "git", "hvac", "sqlmodel", "pandas", "torch")


@dataclass(frozen=True)
class Import:
    """One import: `name` is dotted and absolute, down to the imported name; None where it can't be read."""

    name: str | None
    line: int
    typing_only: bool = False
    deferred: bool = False


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    is_package: bool
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]


def covers(prefix: str, name: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def allowed(prefixes: tuple[str, ...], name: str) -> bool:
    return any(covers(prefix, name) for prefix in prefixes)


def read_module(root: Path, path: Path) -> Module:
    parts = list(path.relative_to(root).with_suffix("").parts)
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    return Module(name, path, is_package, ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))


def read_modules(root: Path) -> dict[str, Module]:
    """Every module of the rooms below `root`, by dotted name."""
    paths = [path for room in ROOMS for path in sorted((root / room).rglob("*.py"))]
    paths += [root / f"{room}.py" for room in ROOMS if (root / f"{room}.py").is_file()]
    return {module.name: module for module in (read_module(root, path) for path in paths)}


def imports_of(module: Module) -> Iterator[Import]:
    """Every import of a module, in whatever block it stands."""
    yield from _imports(module, module.tree, typing_only=False, deferred=False)


def _imports(module: Module, node: ast.AST, typing_only: bool, deferred: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, node.lineno, typing_only, deferred) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = _base_of(module, node)
        yield from (Import(f"{base}.{each.name}", node.lineno, typing_only, deferred) for each in node.names)
    elif isinstance(node, ast.Call) and _last_name(node.func) in ("import_module", "__import__"):
        first = node.args[0] if node.args else None
        name = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
        yield Import(name, node.lineno, typing_only, deferred)
    guarded = isinstance(node, ast.If) and _last_name(node.test) == "TYPE_CHECKING"
    deferred = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for field, child in _children(node):
        yield from _imports(module, child, typing_only or (guarded and field == "body"), deferred)


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield field, child


def _base_of(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module.name.split(".")
    up = node.level - 1 if module.is_package else node.level
    base = package[: len(package) - up]
    return ".".join([*base, node.module] if node.module else base)


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def problem_with(module: Module, found: Import) -> str | None:
    """Why this import breaks the table, or None."""
    room = ROOMS[module.room]
    if found.name is None:
        return None if room.dynamic else "imports by a computed name, which nobody can check"
    top = found.name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return None
    if top == "temporalio" and module.room == "services" and not covers(CONNECTING, module.name):
        return f"only {CONNECTING} may import temporalio in services"
    if top in HEAVY and module.room == "domain" and top not in needs_of(module):
        return f"{module.name} is not among the domain modules that need {top} (DOMAIN_NEEDS)"
    if top == module.room or allowed(room.ours + room.third, found.name):
        return None
    if allowed(room.typing_only, found.name):
        return None if found.typing_only else f"{module.room} may import {top} only under TYPE_CHECKING"
    if allowed(room.deferred, found.name):
        return None if found.deferred else f"{module.room} may import {top} only inside a function"
    if room.any_third and top not in OURS:
        return None
    return f"{module.room} may not import {top}"


def needs_of(module: Module) -> frozenset[str]:
    return frozenset().union(*(needs for name, needs in DOMAIN_NEEDS.items() if covers(name, module.name)))


def problems(modules: Mapping[str, Module], room: str) -> list[str]:
    return [
        f"{module.name}:{found.line} imports {found.name or 'something'}: {problem}"
        for module in modules.values()
        if module.room == room
        for found in imports_of(module)
        if (problem := problem_with(module, found))
    ]


def impurities(module: Module) -> list[str]:
    """I/O and clock in a module of domain."""
    found = [
        f"{module.name}:{each.line} imports {each.name}: domain does no I/O and knows no clock"
        for each in imports_of(module)
        if each.name and any(covers(name, each.name) for name in IO_AND_CLOCK)
    ]
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        plain = isinstance(node.func, ast.Name) and node.func.id in IO_CALLS
        clock = (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in CLOCK_CALLS
            and _last_name(node.func.value) in CLOCKS
        )
        if plain or clock:
            name = _last_name(node.func)
            found.append(f"{module.name}:{node.lineno} calls {name}(): domain does no I/O and knows no clock")
    return found


def loaded_by(modules: Mapping[str, Module], start: str) -> dict[str, str]:
    """All that importing `start` loads, parents of a module included: dotted name to who asks for it."""
    asked: dict[str, str] = {start: "the test"}
    waiting = [start]
    while waiting:
        module = modules.get(waiting.pop())
        if module is None:
            continue
        for found in imports_of(module):
            if found.typing_only or found.name is None:
                continue
            parts = found.name.split(".")
            for name in (".".join(parts[: end + 1]) for end in range(len(parts))):
                if name not in asked:
                    asked[name] = module.name
                    waiting.append(name)
    return asked


PROBE = """
import importlib, json, pkgutil, sys
import workflows
def failed(name): raise ImportError(name)
names = [found.name for found in pkgutil.walk_packages(workflows.__path__, "workflows.", onerror=failed)]
for name in names: importlib.import_module(name)
print(json.dumps({"imported": names, "loaded": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def probe(root: Path) -> tuple[set[str], set[str]]:
    """Import each module of `root`/workflows in a fresh interpreter: (imported, top-level modules loaded)."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return set(answer["imported"]), set(answer["loaded"])
