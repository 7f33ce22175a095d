"""Leases: idempotent, single use, from a stock where that fits, and released by whoever finds them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schemas.sandbox import Limits, ProviderName
from services.sandboxes import (
    SandboxesFull,
    SandboxLost,
    SandboxManager,
    SandboxUnavailable,
    Slots,
    default_providers,
)
from services.sandboxes.bubblewrap import BubblewrapProvider, BubblewrapSandbox
from services.sandboxes.docker import DEFAULT_IMAGE
from services.sandboxes.stock import PAUSE
from tests.services.sandboxes.conftest import PROVIDERS
from tests.services.sandboxes.stock import in_stock, wait_for_stock
from tests.support.needs import checked

pytestmark = pytest.mark.timeout(90)


class Missing(BubblewrapProvider):
    """A provider of this host that has been taken away."""

    def check(self) -> None:
        raise SandboxUnavailable("it was taken away; bring it back")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[SandboxManager]:
    with SandboxManager([BubblewrapProvider(tmp_path / "b")], tmp_path / "l", ready=1) as made:
        yield made


def test_a_lease_takes_from_the_stock_once(manager: SandboxManager) -> None:
    ready = wait_for_stock(manager)
    first = manager.lease("e1.1", labels={"genesis.experiment": "e1"})
    assert first.info.sandbox_id == ready
    assert manager.lease("e1.1") is first
    assert manager.get("e1.1") is first
    second = manager.lease("e2.1", labels={"genesis.experiment": "e2"})
    assert second.info.sandbox_id != ready
    listed = {info.labels.get("genesis.lease") for info in manager.list({"genesis.experiment": "e1"})}
    assert listed == {"e1.1"}


def test_other_limits_are_made_for_the_lease(manager: SandboxManager) -> None:
    ready = wait_for_stock(manager)
    own = manager.lease("e1.1", limits=Limits(memory_mb=128))
    assert own.info.sandbox_id == "e1.1"
    assert own.limits.memory_mb == 128
    assert ready in in_stock(manager)


def test_release_tells_what_it_came_to_and_can_be_repeated(manager: SandboxManager) -> None:
    sandbox = manager.lease("e1.1")
    sandbox.run(["true"], timeout=10)
    released = manager.release("e1.1")
    assert released is not None
    assert (released.sandbox_id, released.provider) == ("e1.1", "bubblewrap")
    assert released.seconds > 0
    assert released.peak_memory_mb is not None
    assert not sandbox.alive
    assert manager.release("e1.1") is None
    with pytest.raises(SandboxLost, match=r"e1\.1"):
        manager.get("e1.1")
    assert manager.list({"genesis.lease": "e1.1"}) == []


def test_a_dead_lease_is_replaced(manager: SandboxManager) -> None:
    first = manager.lease("e1.1")
    first.destroy()
    second = manager.lease("e1.1")
    assert second is not first
    assert second.run(["true"], timeout=10).ok


def test_a_lease_from_many_threads_is_one(manager: SandboxManager) -> None:
    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(lambda _: manager.lease("e1.1"), range(6)))) == 1


def test_another_process_leases_are_found_and_released(tmp_path: Path) -> None:
    """As after a restart of the worker, while the sandbox still lives."""
    with SandboxManager([BubblewrapProvider(tmp_path / "b")], tmp_path / "l", ready=1) as first:
        wait_for_stock(first)
        sandbox = first.lease("e1.1", labels={"genesis.experiment": "e1"})
        with SandboxManager([BubblewrapProvider(tmp_path / "b")], tmp_path / "l", ready=0) as second:
            (seen,) = second.list({"genesis.experiment": "e1"})
            assert seen.sandbox_id == sandbox.info.sandbox_id
            with pytest.raises(SandboxLost):
                second.get("e1.1")
            released = second.release("e1.1")
            assert released is not None
            assert second.release("e1.1") is None
        assert not sandbox.alive


def test_cleanup_leaves_what_is_in_use(tmp_path: Path) -> None:
    with SandboxManager([BubblewrapProvider(tmp_path / "b")], tmp_path / "l", ready=0) as first:
        held = first.lease("e1.1")
        with SandboxManager([BubblewrapProvider(tmp_path / "b")], tmp_path / "l", ready=0) as second:
            assert first.cleanup() == second.cleanup() == []  # its owner lives
            assert held.alive


def test_the_first_that_works_is_taken(tmp_path: Path) -> None:
    providers = [Missing(tmp_path / "a"), *default_providers(tmp_path / "b", order=["bubblewrap"], image="x")]
    with SandboxManager(providers[:1], tmp_path / "l", ready=0) as none:
        with pytest.raises(SandboxUnavailable, match="bubblewrap: it was taken away"):
            none.lease("e1.1")
        with pytest.raises(SandboxUnavailable, match="not configured; configured: bubblewrap"):
            none.lease("e1.1", provider="docker")
    providers[1].close()


def test_waiting_can_be_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    class Slow(BubblewrapProvider):
        def _start(self, sandbox_id: str, limits: Limits, labels: dict[str, str]) -> BubblewrapSandbox:
            time.sleep(1.5)
            started.append(super()._start(sandbox_id, limits, labels))
            return started[-1]

    def stop() -> None:
        raise InterruptedError

    started: list[BubblewrapSandbox] = []
    with SandboxManager([Slow(tmp_path / "b")], tmp_path / "l", ready=0) as manager:
        with pytest.raises(InterruptedError):
            manager.lease("e1.1", on_wait=stop)
        deadline = time.monotonic() + 20
        while not started or started[0].alive or manager.list():
            assert time.monotonic() < deadline, "what was being made was kept"
            time.sleep(0.05)


def test_closing_ends_everything(tmp_path: Path) -> None:
    provider = BubblewrapProvider(tmp_path / "b")
    manager = SandboxManager([provider], tmp_path / "l", ready=1)
    wait_for_stock(manager)
    sandbox = manager.lease("e1.1")
    manager.close()
    manager.close()
    assert not sandbox.alive
    assert provider.list() == []
    assert [*tmp_path.rglob("*.json")] == []
    with pytest.raises(SandboxLost, match="closed"):
        manager.lease("e1.2")
    assert not [
        t for t in threading.enumerate() if t.name.startswith(("sandbox-stock", "bubblewrap-starter"))
    ]


def test_no_more_than_the_host_may_have(tmp_path: Path) -> None:
    """Over all managers of a host, the stock included; what is given back, dies or is renewed makes no difference."""
    slots = tmp_path / "slots"
    with (
        SandboxManager(
            [BubblewrapProvider(tmp_path / "b")], tmp_path / "l", ready=0, slots=Slots(slots, 2)
        ) as one,
        SandboxManager(
            [BubblewrapProvider(tmp_path / "b")], tmp_path / "l", ready=0, slots=Slots(slots, 2)
        ) as two,
    ):
        first = one.lease("e1.1")
        two.lease("e2.1")
        assert (one.room(), two.room()) == (0, 0)
        for manager in (one, two):
            with pytest.raises(
                SandboxesFull, match=r"e3\.1.*as many as it may have \(2\).*GENESIS_MAX_SANDBOXES"
            ):
                manager.lease("e3.1")
            assert not manager.holds("e3.1")
        assert one.lease("e1.1") is first

        renewed = one.renew("e1.1")
        assert renewed is not first
        assert not first.alive
        assert one.get("e1.1") is renewed
        assert (one.room(), len(one.list())) == (0, 2)

        renewed.destroy()  # it died: whoever asks its manager finds the room
        assert one.room() == 1
        one.lease("e3.1")
        assert one.room() == 0
        assert two.release("e2.1") is not None
        assert two.release("e2.1") is None
        assert one.room() == 1


def test_the_stock_makes_way_for_a_lease_it_can_t_serve(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots", 1)
    with SandboxManager(
        [BubblewrapProvider(tmp_path / "b")], tmp_path / "l", ready=1, slots=slots
    ) as manager:
        wait_for_stock(manager)
        assert manager.room() == 1
        own = manager.lease("e1.1", limits=Limits(memory_mb=128))
        assert own.limits.memory_mb == 128
        time.sleep(1.5)  # the stock wants to be filled, and may not
        assert [info.sandbox_id for info in manager.list()] == ["e1.1"]
        manager.release("e1.1")
        wait_for_stock(manager)


def test_the_slots_of_a_killed_process_are_free(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from services.sandboxes import Slots\n"
        f"held = Slots(pathlib.Path({str(tmp_path)!r}), 2).take(); print(held is not None, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3], text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    slots = Slots(tmp_path, 2)
    assert slots.free() == 1
    mine = slots.take()
    assert mine is not None
    assert slots.take() is None
    process.kill()
    process.wait()
    process.stdout.close()
    assert slots.free() == 1
    mine.free()
    mine.free()
    assert slots.free() == 2


def test_a_renewal_that_fails_gives_the_slot_back(tmp_path: Path) -> None:
    class Breaks(BubblewrapProvider):
        def _start(self, sandbox_id: str, limits: Limits, labels: dict[str, str]) -> BubblewrapSandbox:
            if broken:
                raise SandboxLost("it broke")
            return super()._start(sandbox_id, limits, labels)

    broken: list[bool] = []
    slots = Slots(tmp_path / "slots", 1)
    with SandboxManager([Breaks(tmp_path / "b")], tmp_path / "l", ready=0, slots=slots) as manager:
        manager.lease("e1.1")
        broken.append(True)
        with pytest.raises(SandboxLost, match="it broke"):
            manager.renew("e1.1")
        with pytest.raises(SandboxLost, match="not held"):
            manager.renew("e1.1")
        assert (manager.room(), manager.list()) == (1, [])


def test_the_stock_is_prepared_and_makes_room_for_what_was_leased(manager: SandboxManager) -> None:
    wait_for_stock(manager)
    began = time.monotonic()
    sandbox = manager.lease("e1.1")
    assert isinstance(sandbox, BubblewrapSandbox)
    assert len(Path(f"/proc/{sandbox.pid}/task/{sandbox.pid}/children").read_text().split()) == 1
    while not manager.stock:
        time.sleep(0.005)
    assert (
        manager.list({"genesis.stock": "true"})[0].created - time.time() + time.monotonic() >= began + PAUSE
    )


@pytest.mark.parametrize("name", PROVIDERS)
def test_no_sandbox_serves_two_experiments(tmp_path: Path, name: ProviderName) -> None:
    """Four at once, from a stock of two that is refilled meanwhile: each finds its workspace as nobody left it."""
    (provider,) = default_providers(tmp_path / "b", order=[name], image=DEFAULT_IMAGE)
    checked(provider)
    with SandboxManager([provider], tmp_path / "l", ready=2) as manager:
        wait_for_stock(manager)

        def experiment(number: int) -> tuple[str, str]:
            sandbox = manager.lease(f"e{number}.1")
            found = sandbox.run(["sh", "-c", "ls -A . /tmp; touch mine /tmp/mine"], timeout=20)
            manager.release(f"e{number}.1")
            return sandbox.info.sandbox_id, found.stdout

        with ThreadPoolExecutor(4) as pool:
            served = [*pool.map(experiment, range(10))]
    assert len({sandbox_id for sandbox_id, _ in served}) == 10
    assert {found for _, found in served} == {".:\n\n/tmp:\n"}
    assert any(sandbox_id.startswith("stock-") for sandbox_id, _ in served)


class Breaking(BubblewrapProvider):
    """The first sandbox dies as soon as it serves."""

    broken = 0

    def _start(self, sandbox_id: str, limits: Limits, labels: dict[str, str]) -> BubblewrapSandbox:
        sandbox = super()._start(sandbox_id, limits, labels)
        if not self.broken:
            self.broken = sandbox.pid
            os.kill(sandbox.pid, signal.SIGKILL)
        return sandbox


def test_a_sandbox_that_dies_before_it_is_in_stock_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.sandboxes.stock.REST", 0.01)
    provider = Breaking(tmp_path / "b")
    with SandboxManager([provider], tmp_path / "l", ready=1, slots=Slots(tmp_path / "s", 1)) as manager:
        wait_for_stock(manager)
        assert provider.broken
        assert manager.room() == 1  # its slot was given back
        assert len(provider.list()) == len([*(tmp_path / "b").glob("*.json")]) == 1
