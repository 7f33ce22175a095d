"""The Temporal server is killed, alone and together with the worker; nothing acknowledged is lost."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from schemas.experiment import ExperimentStatus
from services.settings import Settings
from services.temporal.connect import TemporalUnreachable
from services.temporal.server import answers, binary, free_port
from tests.support.site import Site, site
from worker import serving

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]


class Server:
    """A dev server on a fixed port with a database file, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(binary()),
                    *("server", "start-dev", "--headless", "--ip", "127.0.0.1", "--log-level", "error"),
                    *("--port", str(self.port), "--db-filename", str(self.folder / "temporal.db")),
                ],
                stdout=log,
                stderr=log,
            )
        for _ in range(600):
            if await answers(self.address):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("the server didn't answer within a minute")

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path)
    yield one
    one.kill()


@pytest.mark.parametrize("with_the_worker", [False, True], ids=["server", "server and worker"])
@pytest.mark.parametrize("step", ["generate_code", "try_out", "merge_strategy"])
async def test_killed_in_the_middle(server: Server, tmp_path: Path, step: str, with_the_worker: bool) -> None:
    await server.start()
    here: Site = await site(tmp_path / "home", server.address)
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
        await server.start()
        if with_the_worker:
            await here.serving()
        result = await asyncio.wait_for(handle.result(), 120)
        assert result.status is ExperimentStatus.MERGED, result.reason
        assert here.merges() == [f"server-{step}"]
        assert here.left_over() == []
    finally:
        here.end_workers()


async def test_a_worker_says_so_where_the_server_went_as_it_began(server: Server, tmp_path: Path) -> None:
    await server.start()
    client = await Client.connect(server.address, data_converter=pydantic_data_converter)
    server.kill()
    with pytest.raises(TemporalUnreachable, match=f"{server.address} went away while a worker began"):
        async with serving(client, Settings(home=tmp_path / "home", sandboxes_ready=0)):
            await asyncio.sleep(60)
