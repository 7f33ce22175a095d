"""The Temporal server is killed, alone and together with the worker; nothing acknowledged is lost."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.experiment import ExperimentStatus
from services.settings import Settings
from services.temporal.connect import TemporalUnreachable
from tests.support.site import Site, site
from tests.support.temporal import Place, TemporalServer
from worker import serving

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TemporalServer]:
    one = TemporalServer(tmp_path)
    yield one
    one.kill()


@pytest.mark.parametrize("with_the_worker", [False, True], ids=["server", "server and worker"])
@pytest.mark.parametrize("step", ["generate_code", "try_out", "merge_strategy"])
async def test_killed_in_the_middle(
    server: TemporalServer, tmp_path: Path, step: str, with_the_worker: bool
) -> None:
    await server.serving()
    here: Site = await site(tmp_path / "home", Place(server.address))
    try:
        worker = await here.serving(f"hold:after:{step}")
        handle = await here.start(here.request(f"server-{step}"))
        held = here.home / "faults" / f"held-{step}"
        await here.until(held.exists, f"{step} to be held")
        server.kill()
        if with_the_worker:
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
        (here.home / "faults" / f"go-{step}").touch()
        await server.serving()
        if with_the_worker:
            await here.serving()
        result = await asyncio.wait_for(handle.result(), 120)
        assert result.status is ExperimentStatus.MERGED, result.reason
        assert here.merges() == [f"server-{step}"]
        assert here.left_over() == []
    finally:
        here.end_workers()


async def test_a_worker_says_so_where_the_server_went_as_it_began(
    server: TemporalServer, tmp_path: Path
) -> None:
    await server.serving()
    client = await Place(server.address).client()
    server.kill()
    with pytest.raises(TemporalUnreachable, match=f"{server.address} went away while a worker began"):
        async with serving(client, Settings(home=tmp_path / "home", sandboxes_ready=0)):
            await asyncio.sleep(60)
