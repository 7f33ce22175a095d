"""A host, a daemon or a provider that fails for a moment: nothing is lost by it for longer."""

import errno
import itertools
import os
import subprocess
import threading
from pathlib import Path

import pytest

from schemas.sandbox import Limits
from services.sandboxes import SandboxManager, SandboxUnavailable, Slots, bubblewrap
from services.sandboxes.bubblewrap import BubblewrapProvider, BubblewrapSandbox, _free_user
from services.sandboxes.statefiles import StateFiles
from tests.services.sandboxes.stock import wait_for_stock

pytestmark = pytest.mark.timeout(90)


class Faulty(BubblewrapProvider):
    """Fails `starts` times to make a sandbox, and `ends` times to end one."""

    starts = ends = 0

    def _start(self, sandbox_id: str, limits: Limits, labels: dict[str, str]) -> BubblewrapSandbox:
        if self.starts:
            self.starts -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super()._start(sandbox_id, limits, labels)

    def destroy(self, sandbox_id: str) -> bool:
        if self.ends:
            self.ends -= 1
            raise SandboxUnavailable("it doesn't answer; start it")
        return super().destroy(sandbox_id)


def test_the_stock_goes_on_whatever_went_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.sandboxes.stock.REST", 0.01)
    provider = Faulty(tmp_path / "b")
    provider.starts = 2
    with SandboxManager([provider], tmp_path / "l", ready=1, slots=Slots(tmp_path / "s", 1)) as manager:
        wait_for_stock(manager)
        assert provider.starts == 0
        assert manager.room() == 1


def test_a_lease_that_can_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    provider = Faulty(tmp_path / "b")
    provider.starts = 1
    with SandboxManager([provider], tmp_path / "l", ready=0, slots=Slots(tmp_path / "s", 1)) as manager:
        with pytest.raises(OSError, match="Too many open files"):
            manager.lease("e1.1")
        assert (manager.room(), manager.list(), manager.holds("e1.1")) == (1, [], False)
        assert manager.lease("e1.1").run(["true"], timeout=20).ok


def test_a_slot_outlives_no_lease(tmp_path: Path) -> None:
    """Also where the sandbox can't be ended just now: whoever asks again ends it."""
    provider = Faulty(tmp_path / "b")
    with SandboxManager([provider], tmp_path / "l", ready=0, slots=Slots(tmp_path / "s", 1)) as manager:
        held = manager.lease("e1.1")
        provider.ends = 1
        with pytest.raises(SandboxUnavailable):
            manager.release("e1.1")
        assert manager.room() == 1
        assert manager.release("e1.1") is not None
        assert not held.alive


def test_the_stock_that_can_not_make_way_gives_its_slot_back(tmp_path: Path) -> None:
    provider = Faulty(tmp_path / "b")
    slots = Slots(tmp_path / "s", 1)
    with SandboxManager([provider], tmp_path / "l", ready=1, slots=slots) as manager:
        wait_for_stock(manager)
        manager._stock.ready = 0  # it isn't to take the slot again
        provider.ends = 1
        with pytest.raises(SandboxUnavailable):
            manager.lease("e1.1", limits=Limits(memory_mb=128))
        assert slots.free() == 1


def test_what_can_not_be_written_down_is_not_leased(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = BubblewrapProvider(tmp_path / "b")
    with SandboxManager([provider], tmp_path / "l", ready=1, slots=Slots(tmp_path / "s", 1)) as manager:
        wait_for_stock(manager)
        manager._stock.ready = 0

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(StateFiles, "write", full)
        with pytest.raises(OSError, match="No space left"):
            manager.lease("e1.1")
        assert (manager.room(), manager.list()) == (1, [])


def test_closing_goes_on_past_one_that_can_not_be_ended(tmp_path: Path) -> None:
    provider = Faulty(tmp_path / "b")
    made = [provider.create(f"s{number}", limits=Limits(), labels={}) for number in range(2)]
    provider.ends = 1
    provider.close()
    assert not made[1].alive
    made[0].destroy()  # it lost its parent, the provider's thread, and may have ended by itself


def test_counting_slots_is_in_nobodys_way(tmp_path: Path) -> None:
    slots, done = Slots(tmp_path, 4), threading.Event()

    def count() -> None:
        while not done.is_set():
            slots.free()

    counter = threading.Thread(target=count)
    counter.start()
    try:
        for _ in range(2000):
            slot = slots.take()
            assert slot is not None, "all four are free, and one was refused"
            slot.free()
    finally:
        done.set()
        counter.join()


def test_no_two_sandboxes_have_one_user() -> None:
    assert len({_free_user() for _ in range(100)}) == 100


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_a_user_that_runs_something_else_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "_turns", itertools.count(7))
    taken = bubblewrap._USERS[7]
    with subprocess.Popen(["sleep", "60"], user=taken, group=taken) as other:
        try:
            assert _free_user() != taken
        finally:
            other.kill()
