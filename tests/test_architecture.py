"""The import table of the design, held by reading the source; `workflows` is also imported in a fresh interpreter, to
see what gets loaded. Last, the checker (tests/support/architecture.py) is tried on files that break it."""

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.support.architecture import (
    DOMAIN_NEEDS,
    OURS,
    ROOMS,
    ROOT,
    UNWANTED_IN_WORKFLOWS,
    Module,
    covers,
    imports_of,
    impurities,
    loaded_by,
    probe,
    problems,
    read_module,
    read_modules,
)


@cache
def modules() -> Mapping[str, Module]:
    """Read once, and not by every process that collects these tests."""
    return read_modules(ROOT)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_the_table_allows(room: str) -> None:
    assert any(module.room == room for module in modules().values()), f"{room} has no Python file"
    assert problems(modules(), room) == []


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
    everything = [*modules().values(), *(read_module(ROOT, path) for path in beside)]
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
        each for module in modules().values() if module.room == "domain" for each in impurities(module)
    ] == []


def test_domain_modules_that_claim_a_need_have_it() -> None:
    for name, needs in DOMAIN_NEEDS.items():
        used = {
            found.name.partition(".")[0]
            for module in modules().values()
            if covers(name, module.name)
            for found in imports_of(module)
            if found.name
        }
        assert needs <= used, f"{name} no longer imports {sorted(needs - used)}: take it out of DOMAIN_NEEDS"


def test_workflows_reach_only_the_standard_library_pydantic_and_temporalio() -> None:
    for start in (name for name in modules() if covers("workflows", name)):
        reached = loaded_by(modules(), start)
        strangers = {
            name: asker
            for name, asker in reached.items()
            if name.partition(".")[0] not in {*sys.stdlib_module_names, *OURS, "pydantic", "temporalio"}
        }
        assert strangers == {}, f"importing {start} would load these, asked for by: {strangers}"


def test_there_is_no_utils() -> None:
    assert [
        name for name in modules() if name.rpartition(".")[2] in {"utils", "util", "helpers", "misc"}
    ] == []


def test_importing_workflows_loads_no_service() -> None:
    imported, loaded = probe(ROOT)
    assert imported == {name for name in modules() if covers("workflows", name)} - {"workflows"}
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
