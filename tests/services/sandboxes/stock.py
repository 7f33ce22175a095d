"""A stock that is filled in the background, waited for."""

import time

from services.sandboxes import SandboxManager


def in_stock(manager: SandboxManager) -> list[str]:
    return [info.sandbox_id for info in manager.list({"genesis.stock": "true"})]


def wait_for_stock(manager: SandboxManager) -> str:
    """The id of one that waits."""
    manager.start()
    deadline = time.monotonic() + 30
    while not manager.stock:
        assert time.monotonic() < deadline, "the stock was never filled"
        time.sleep(0.02)
    return in_stock(manager)[0]
