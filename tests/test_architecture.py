"""The import table of the design, held by reading the source.

Every import counts, those inside functions and literal `import_module("…")` calls too. Those under
`TYPE_CHECKING` are told apart: activities may name services there and nowhere else. Then `workflows` is
imported in a fresh interpreter to see what gets loaded. Last, the checker is tried on files that break it.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


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
    "domain.book": frozenset({"numpy", "pandas"}),
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


MODULES = read_modules(ROOT)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_the_table_allows(room: str) -> None:
    assert any(module.room == room for module in MODULES.values()), f"{room} has no Python file"
    assert problems(MODULES, room) == []


def test_every_top_level_python_place_is_in_the_table() -> None:
    beside = {"tests", "bench", "migrations", "deploy", "docs", "strategies"}
    places = {path.parent.name for path in ROOT.glob("*/*.py")} | {path.stem for path in ROOT.glob("*.py")}
    assert {place for place in places if not place.startswith(".")} - beside <= set(ROOMS)


def test_nobody_imports_harness() -> None:
    beside = [
        path
        for place in ("bench", "migrations", "deploy")
        for path in sorted((ROOT / place).rglob("*.py"))
        if "build" not in path.parts
    ]
    everything = [*MODULES.values(), *(read_module(ROOT, path) for path in beside)]
    guilty = [
        f"{module.name}:{found.line}"
        for module in everything
        if module.room != "harness"
        for found in imports_of(module)
        if found.name and covers("harness", found.name)
    ]
    assert guilty == []


def test_domain_does_no_io_and_knows_no_clock() -> None:
    assert [
        each for module in MODULES.values() if module.room == "domain" for each in impurities(module)
    ] == []


def test_domain_modules_that_claim_a_need_have_it() -> None:
    for name, needs in DOMAIN_NEEDS.items():
        used = {
            found.name.partition(".")[0]
            for module in MODULES.values()
            if covers(name, module.name)
            for found in imports_of(module)
            if found.name
        }
        assert needs <= used, f"{name} no longer imports {sorted(needs - used)}: take it out of DOMAIN_NEEDS"


def test_workflows_reach_only_the_standard_library_pydantic_and_temporalio() -> None:
    for start in (name for name in MODULES if covers("workflows", name)):
        reached = loaded_by(MODULES, start)
        strangers = {
            name: asker
            for name, asker in reached.items()
            if name.partition(".")[0] not in {*sys.stdlib_module_names, *OURS, "pydantic", "temporalio"}
        }
        assert strangers == {}, f"importing {start} would load these, asked for by: {strangers}"


def test_there_is_no_utils() -> None:
    assert [name for name in MODULES if name.rpartition(".")[2] in {"utils", "util", "helpers", "misc"}] == []


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


def test_importing_workflows_loads_no_service() -> None:
    imported, loaded = probe(ROOT)
    assert imported == {name for name in MODULES if covers("workflows", name)} - {"workflows"}
    assert loaded.isdisjoint(UNWANTED_IN_WORKFLOWS), sorted(loaded & set(UNWANTED_IN_WORKFLOWS))


# The checker itself


def a_tree(root: Path, files: Mapping[str, str]) -> dict[str, Module]:
    for name, source in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return read_modules(root)


BROKEN = [
    ("schemas/a.py", "import domain.rules", "schemas may not import domain"),
    ("schemas/a.py", "from sqlmodel import SQLModel", "schemas may not import sqlmodel"),
    ("schemas/deep/a.py", "from ...services import git", "schemas may not import services"),
    ("domain/a.py", "import numpy as np", "not among the domain modules that need numpy"),
    ("domain/rules/ast.py", "def f():\n    import lark", "not among the domain modules that need lark"),
    ("domain/conform.py", "import numpy", "not among the domain modules that need numpy"),
    ("domain/a.py", "from temporalio import workflow", "domain may not import temporalio"),
    ("domain/a.py", "import talib", "domain may not import talib"),
    ("domain/a.py", "import importlib\nimportlib.import_module(input())", "computed name"),
    ("domain/a.py", "import importlib\nimportlib.import_module('services.git')", "may not import services"),
    ("domain/a.py", "__import__('services')", "domain may not import services"),
    (
        "workflows/a.py",
        "def f():\n    from services.library import Library",
        "workflows may not import services",
    ),
    (
        "workflows/a.py",
        "try:\n    import git\nexcept ImportError:\n    git = None",
        "workflows may not import git",
    ),
    (
        "workflows/a.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import services",
        "may not import",
    ),
    ("activities/a.py", "from services.library import Library", "only under TYPE_CHECKING"),
    (
        "activities/a.py",
        "import typing\nif typing.TYPE_CHECKING:\n    pass\nelse:\n    import services",
        "only under TYPE_CHECKING",
    ),
    ("activities/a.py", "from temporalio import workflow", "activities may not import temporalio"),
    ("activities/a.py", "import temporalio.client", "activities may not import temporalio"),
    ("activities/a.py", "import docker", "activities may not import docker"),
    ("services/a.py", "from temporalio.client import Client", "only services.temporal may import temporalio"),
    ("services/temporally.py", "import temporalio", "only services.temporal may import temporalio"),
    ("services/a.py", "import workflows.experiment", "services may not import workflows"),
    ("services/a.py", "from harness import server", "services may not import harness"),
    ("harness/a.py", "from schemas.trading import Trade", "harness may not import schemas"),
    ("harness/a.py", "import bokeh", "harness may not import bokeh"),
    ("cli/a.py", "import activities", "cli may not import activities"),
    ("cli/a.py", "import docker", "cli may not import docker"),
    ("cli/a.py", "from worker import serving", "only inside a function"),
    ("cli/a.py", "class A:\n    import worker", "only inside a function"),
    ("worker.py", "import harness.server", "worker may not import harness"),
    ("starter.py", "from services import settings", "starter may not import services"),
]


@pytest.mark.parametrize(("path", "source", "expected"), BROKEN, ids=[f"{p}: {e}" for p, _, e in BROKEN])
def test_the_checker_finds(tmp_path: Path, path: str, source: str, expected: str) -> None:
    modules = a_tree(tmp_path, {path: source})
    room = Path(path).parts[0].removesuffix(".py")
    assert [problem for problem in problems(modules, room) if expected in problem]


HONEST = {
    "schemas/base.py": """
from pydantic import BaseModel
from datetime import UTC
""",
    "domain/rules/parse.py": """
import lark
from schemas.base import Shape
from domain.rules import ast
from . import ast
""",
    "domain/expected/walk.py": """
import numpy
import pandas as pd
from ..rules import parse
""",
    "workflows/experiment.py": """
from temporalio import workflow
from activities.code import Code
import domain.score
""",
    "activities/code.py": """
from typing import TYPE_CHECKING
from temporalio import activity
from temporalio.exceptions import ApplicationError
if TYPE_CHECKING:
    from services.library import Library
""",
    "services/temporal/client.py": "import temporalio.client",
    "services/library.py": """
import git
import domain.lifecycle
from services.temporal import client
""",
    "harness/server.py": """
import talib, backtesting
import importlib
importlib.import_module(entry)
""",
    "cli/show.py": """
import typer, rich.table
import services.records
def serve():
    from worker import serving
""",
    "worker.py": """
import cli, services, workflows, activities
import temporalio.worker
""",
    "starter.py": "from cli import app",
}


def test_the_checker_lets_pass_what_is_allowed(tmp_path: Path) -> None:
    modules = a_tree(tmp_path, HONEST)
    assert [problem for room in ROOMS for problem in problems(modules, room)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from os import path",
        "import urllib.request",
        "open('a')",
        "from datetime import datetime\ndatetime.now()",
        "from datetime import date\nx = lambda: date.today()",
    ],
)
def test_the_checker_finds_io_and_clock(tmp_path: Path, source: str) -> None:
    assert impurities(a_tree(tmp_path, {"domain/a.py": source})["domain.a"])


def test_the_checker_follows_what_workflows_load(tmp_path: Path) -> None:
    modules = a_tree(
        tmp_path,
        {
            "workflows/a.py": "from domain.rules.kind import KIND",
            "domain/rules/__init__.py": "from domain import expected",
            "domain/rules/kind.py": "KIND = 1",
            "domain/expected.py": "import pandas",
        },
    )
    assert loaded_by(modules, "workflows.a")["pandas"] == "domain.expected"


def test_the_probe_sees_what_is_loaded(tmp_path: Path) -> None:
    a_tree(
        tmp_path,
        {
            "workflows/__init__.py": "",
            "workflows/deep/__init__.py": "",
            "workflows/deep/a.py": "import docker",
            "docker.py": "",
        },
    )
    imported, loaded = probe(tmp_path)
    assert imported == {"workflows.deep", "workflows.deep.a"}
    assert "docker" in loaded
