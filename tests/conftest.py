"""Real parts for tests: one Temporal dev server a session, a home of its own for each test."""

import asyncio
import itertools
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path, PurePath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from services.temporal.server import binary, free_port
from tests.support.scripts import wrong_then_right
from tests.support.site import Site, site

_homes = itertools.count()


@pytest.fixture(scope="session")
def temporal_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real dev server with a database file, for the whole session."""
    folder = tmp_path_factory.mktemp("temporal")
    port = free_port()
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [
                str(binary()),
                *("server", "start-dev", "--headless", "--ip", "127.0.0.1", "--log-level", "error"),
                *("--port", str(port), "--db-filename", str(folder / "temporal.db")),
            ],
            stdout=log,
            stderr=log,
        )
    address = f"127.0.0.1:{port}"
    try:
        asyncio.run(_until_answering(address))
        yield address
    finally:
        server.terminate()
        server.wait(20)


async def _until_answering(address: str) -> None:
    from services.temporal.server import answers

    for _ in range(600):
        if await answers(address):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the Temporal dev server didn't answer within a minute")


@pytest.fixture
async def new_site(
    temporal_address: str, tmp_path: Path
) -> AsyncIterator[Callable[[], Coroutine[Any, Any, Site]]]:
    """Makes sites; their workers end with the test."""
    made: list[Site] = []

    async def make() -> Site:
        made.append(await site(tmp_path / f"home{next(_homes)}", temporal_address))
        return made[-1]

    yield make
    for one in made:
        one.end_workers()


@pytest.fixture
async def here(new_site: Callable[[], Coroutine[Any, Any, Site]]) -> Site:
    """A site of the test's own."""
    return await new_site()


@pytest.fixture(scope="session")
async def served(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A site that many tests share, with one worker that plays faults as they are planned."""
    one = await site(tmp_path_factory.mktemp("shared") / "home", temporal_address)
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
    # the command line's tests share the embedded server's port
    return folder if folder == "cli" else str(path)


class LaneScheduling(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return lane(PurePath(nodeid.partition("::")[0]))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LaneScheduling:
    # not by marks and `--dist loadgroup`, which pytest-xdist 3.8 can't do with pytest 9.2 and doesn't say so
    return LaneScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long lanes begin first."""
    items.sort(key=lambda item: item.path.parent.name != "durability")
