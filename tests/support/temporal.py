"""Temporal for tests: a real dev server that can be killed and started again, and a place on one."""

import asyncio
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from services.temporal.server import answers, binary, free_port

CLI = "cli"
"""The namespace of the command line's tests."""


@dataclass(frozen=True)
class Place:
    """Where runs are: a server's address, and a namespace there."""

    address: str
    namespace: str = "default"

    @property
    def environment(self) -> dict[str, str]:
        """For processes of ours."""
        return {"TEMPORAL_ADDRESS": self.address, "TEMPORAL_NAMESPACE": self.namespace}

    @property
    def options(self) -> list[str]:
        """For the program `temporal`."""
        return ["--address", self.address, "--namespace", self.namespace]

    async def client(self) -> Client:
        return await Client.connect(
            self.address, namespace=self.namespace, data_converter=pydantic_data_converter
        )

    async def answering(self) -> None:
        for _ in range(600):
            if await answers(self.address, self.namespace):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("the Temporal dev server didn't answer within a minute")


class TemporalServer:
    """A dev server on a fixed port; with a database file, unless it is never to be started again."""

    def __init__(self, folder: Path, namespaces: Sequence[str] = (), *, stored: bool = True) -> None:
        self.folder = folder
        self.database = ["--db-filename", str(folder / "temporal.db")] if stored else []
        self.namespaces = namespaces
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns before it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(binary()),
                    *("server", "start-dev", "--headless", "--ip", "127.0.0.1", "--log-level", "error"),
                    *("--port", str(self.port), *self.database),
                    *(part for name in self.namespaces for part in ("--namespace", name)),
                ],
                stdout=log,
                stderr=log,
            )

    async def serving(self) -> None:
        self.start()
        await Place(self.address).answering()

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
