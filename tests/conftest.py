"""Real parts for tests: one Temporal dev server for all, a home of its own for each test."""

import asyncio
import gc
import itertools
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from pathlib import Path, PurePath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.support.scripts import wrong_then_right
from tests.support.site import Site, site
from tests.support.temporal import CLI, Place, TemporalServer

_homes = itertools.count()


_shared = pytest.StashKey[tuple[tempfile.TemporaryDirectory[str], TemporalServer]]()


def _share(config: pytest.Config, namespaces: list[str]) -> TemporalServer:
    """The server of the session, which begins where it isn't there yet."""
    if _shared not in config.stash:
        folder = tempfile.TemporaryDirectory(prefix="genesis-temporal-")
        server = TemporalServer(Path(folder.name), [*namespaces, CLI], stored=False)
        server.start()
        config.stash[_shared] = folder, server
    return config.stash[_shared][1]


def pytest_configure_node(node: WorkerController) -> None:
    """One server for all of xdist's workers, with a namespace for each: an idle one takes a tenth of a core."""
    names = [f"gw{number}" for number in range(node.workerinput["workercount"])]
    node.workerinput["temporal"] = _share(node.config, names).address


def pytest_unconfigure(config: pytest.Config) -> None:
    if _shared in config.stash:
        folder, server = config.stash[_shared]
        server.kill()
        folder.cleanup()


@pytest.fixture(scope="session")
def temporal(request: pytest.FixtureRequest) -> Place:
    """A real dev server, and a namespace that no other of xdist's workers uses."""
    given = getattr(request.config, "workerinput", None)
    if given is None:
        place = Place(_share(request.config, []).address)
    else:
        place = Place(given["temporal"], given["workerid"])
    asyncio.run(place.answering())
    return place


@pytest.fixture
async def new_site(temporal: Place, tmp_path: Path) -> AsyncIterator[Callable[[], Coroutine[Any, Any, Site]]]:
    """Makes sites; their workers end with the test."""
    made: list[Site] = []

    async def make() -> Site:
        made.append(await site(tmp_path / f"home{next(_homes)}", temporal))
        return made[-1]

    yield make
    for one in made:
        one.end_workers()


@pytest.fixture
async def here(new_site: Callable[[], Coroutine[Any, Any, Site]]) -> Site:
    """A site of the test's own."""
    return await new_site()


@pytest.fixture(scope="session")
async def served(temporal: Place, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A site that many tests share, with one worker that plays faults as they are planned."""
    one = await site(tmp_path_factory.mktemp("shared") / "home", temporal)
    (one.home / "script.json").write_text(wrong_then_right())
    await one.serving()
    yield one
    one.end_workers()


LANES = {
    "test_crashes": "one",
    "test_server_crashes": "one",
    "test_decisions": "one",
    "test_holdout": "one",
    "test_backpressure": "two",
    "test_repeats_and_replay": "two",
    "test_failures_and_cancels": "two",
    "test_models": "one",
    "test_sweep": "three",
    "test_hosts": "three",
    "test_candidates": "three",
    "test_fork": "three",
    "test_canary": "four",
    "test_model_crashes": "four",
}
"""Durability tests of one lane run one after the other: each brings up so many workers that more would starve them."""


def lane(path: PurePath) -> str:
    """Tests of one lane stay on one worker: those of a file, and of the files that share a lane."""
    folder = path.parent.name
    if folder == "durability":
        return LANES[path.stem]
    # the command line's tests share the embedded server's port, the memory's a model that takes seconds to load
    return folder if folder in ("cli", "memory") else str(path)


class LaneScheduling(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return lane(PurePath(nodeid.partition("::")[0]))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LaneScheduling:
    # not by marks and `--dist loadgroup`, which pytest-xdist 3.8 can't do with pytest 9.2 and doesn't say so
    return LaneScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Without the garbage collector, which would walk again and again through what imports have just made; nor does it
    see that again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


LONG = ("cli", "sandboxes", "memory", "secrets", "test_trying", "test_code_policy_contained")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long lanes begin first, so that none is left over for one worker at the end."""

    def turn(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return 0 if folder == "durability" else 1 if folder in LONG or item.path.stem in LONG else 2

    items.sort(key=turn)
