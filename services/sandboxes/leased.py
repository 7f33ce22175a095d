"""What the manager knows of a sandbox that it holds, and what it writes down for others."""

import os
import socket
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass

from pydantic import BaseModel

from schemas.sandbox import SandboxInfo
from services.sandboxes.contract import OnWait, Sandbox, SandboxProvider
from services.sandboxes.slots import Slot
from services.sandboxes.statefiles import process_start

LEASE, OWNER, STOCK = "genesis.lease", "genesis.owner", "genesis.stock"
"""Labels of the manager's own: the lease's id; host, process and its start; whether it waits in the stock."""


def this_process() -> str:
    """What names this process in the label OWNER."""
    return f"{socket.gethostname()}:{os.getpid()}:{process_start(os.getpid())}"


class LeaseFile(BaseModel):
    """Named by the sandbox."""

    lease: str
    labels: dict[str, str]


@dataclass(frozen=True)
class Held:
    """A living sandbox of this manager, leased or in stock, and its slot; None where the host has no maximum."""

    sandbox: Sandbox
    provider: SandboxProvider
    slot: Slot | None

    def end(self) -> None:
        try:
            self.provider.destroy(self.sandbox.info.sandbox_id)
        finally:
            self.give_back()

    def give_back(self) -> None:
        if self.slot:
            self.slot.free()


@dataclass(frozen=True)
class Lease(Held):
    labels: Mapping[str, str]
    began: float


def wait_for(future: "Future[Lease]", on_wait: OnWait | None) -> Lease:
    """The lease once it is made; `on_wait` is called about once a second until then."""
    while True:
        try:
            return future.result(timeout=1.0)
        except NotYet:
            if future.done():
                raise
            if on_wait:
                on_wait()


def is_orphan(info: SandboxInfo) -> bool:
    """Whether the process of this host that made it has ended."""
    host, _, process = info.labels.get(OWNER, "").rpartition(":")[0].rpartition(":")
    start = info.labels.get(OWNER, "").rpartition(":")[2]
    return host == socket.gethostname() and process.isdigit() and process_start(int(process)) != start
