"""Containers after their daemon or machine was lost: found again, and swept. On a second daemon, the test's own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException, NotFound

from services.sandboxes import SandboxLost, SandboxManager, SandboxUnavailable, Slots
from services.sandboxes.docker import DEFAULT_IMAGE, DockerProvider
from services.sandboxes.statefiles import process_start
from tests.support.needs import checked

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]
ROOT = Path(__file__).resolve().parents[3]

OWNER = """
import sys, time
from pathlib import Path
from services.sandboxes import SandboxManager
from services.sandboxes.docker import DockerProvider
manager = SandboxManager([DockerProvider()], Path(sys.argv[1]), ready=1)
manager.lease("lost.1", labels={"genesis.experiment": "lost"})
while not manager.stock:
    time.sleep(0.05)
print("up", flush=True)
time.sleep(600)
"""


class Daemon:
    """A dockerd with its own containerd, beside the machine's."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.url = f"unix://{place}/sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # in a network of its own: where it is to have no bridge, it removes the machine's
        argv = ["unshare", "--net", "dockerd", "-H", self.url, "--bridge=none"]
        argv += ["--iptables=false", "--ip6tables=false"]
        argv += ["--data-root", f"{self._place}/data", "--exec-root", f"{self._place}/exec"]
        with (self._place / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*argv, "--pidfile", f"{self._place}/pid"], stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 40
        while not self._answers():
            said = (self._place / "log").read_text()[-2000:]
            assert self._process.poll() is None, f"dockerd ended: {said}"
            assert time.monotonic() < deadline, f"dockerd doesn't answer: {said}"
            time.sleep(0.05)

    def _answers(self) -> bool:
        with suppress(DockerException):
            return bool(self.client().ping())
        return False

    def client(self) -> docker.DockerClient:
        return docker.DockerClient(base_url=self.url)

    def containers(self) -> list[dict[str, Any]]:
        """Those that it has: after a crash it may list one that it knows nothing of."""
        api = self.client().api
        found = []
        for about in api.containers(all=True):
            with suppress(NotFound):
                found.append(api.inspect_container(about["Id"]))
        return found

    def crash(self, *, machine: bool) -> None:
        """Kill the daemon, which leaves containers running; with `machine` everything that it has started."""
        assert self._process
        ours = [self._process.pid, int((self._place / "exec/containerd/containerd.pid").read_text())]
        if machine:
            ours += [pid for shim in self._shims() for pid in (shim, *descendants(shim))]
        for pid in ours:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        wait_until_gone(ours)
        # /run is empty after a restart; and while init hasn't buried containerd, its number would pass for a living one
        if machine:
            shutil.rmtree(self._place / "exec")
        else:
            (self._place / "exec/containerd/containerd.pid").unlink()

    def _shims(self) -> list[int]:
        """Every process of it names its socket."""
        mark = f"{self._place}/exec".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (place / "cmdline").read_bytes().split(b"\0")
                if b"containerd-shim" in words[0] and any(mark in word for word in words):
                    found.append(int(place.name))
        return found

    def close(self) -> None:
        if self._process and self._process.poll() is None:
            self.crash(machine=True)
        for shim in self._shims():  # there are some where the daemon didn't come up again
            for pid in (*descendants(shim), shim):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    found: list[int] = []
    with suppress(OSError):
        for task in tasks.iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(process_start(pid) for pid in pids):
        assert time.monotonic() < deadline, f"one of {pids} outlived its end"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    if os.geteuid() or not (shutil.which("dockerd") and shutil.which("unshare")):
        pytest.skip("a daemon of one's own takes root, dockerd and unshare")
    checked(DockerProvider())  # its image is copied
    place = Path(tempfile.mkdtemp(prefix="gd-"))  # short: a socket's path ends at 108 characters
    made = Daemon(place)
    try:
        made.start()
        with subprocess.Popen(["docker", "save", DEFAULT_IMAGE], stdout=subprocess.PIPE) as saved:
            load = ["docker", "-H", made.url, "load", "-q"]
            subprocess.run(load, stdin=saved.stdout, check=True, timeout=60, stdout=subprocess.DEVNULL)
        yield made
    finally:
        made.close()
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if (point := line.split()[1]).startswith(f"{place}/"):
                subprocess.run(["umount", "-l", point], check=False)
        shutil.rmtree(place)


def test_a_daemon_that_goes_while_it_is_needed_costs_the_sandbox_and_no_more(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", daemon.url)
    slots = Slots(tmp_path / "slots", 1)
    with SandboxManager([DockerProvider()], tmp_path / "leases", ready=0, slots=slots) as manager:
        held = manager.lease("e1.1")
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(held.run, ["sleep", "300"], timeout=400)
            time.sleep(0.3)
            daemon.crash(machine=False)
            try:
                with pytest.raises(SandboxLost, match=r"e1\.1"):
                    call.result(20)
                assert not held.alive
                with pytest.raises(SandboxLost):
                    held.put({"x": b""})
                with pytest.raises(SandboxUnavailable, match="doesn't answer"):
                    manager.release("e1.1")
                assert slots.free() == 1
                with pytest.raises(SandboxUnavailable, match="no Docker daemon answers"):
                    DockerProvider().check()
            finally:
                daemon.start()
        assert manager.list() == [] or manager.release("e1.1")
        assert manager.lease("e1.1").run(["true"], timeout=20).ok
    assert daemon.containers() == []


@pytest.mark.parametrize("machine", [False, True], ids=["daemon", "machine"])
def test_what_a_lost_daemon_or_machine_left_is_swept(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: bool
) -> None:
    monkeypatch.setenv("DOCKER_HOST", daemon.url)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, tmp_path / "leases"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "up\n"
    inside = [container["State"]["Pid"] for container in daemon.containers()]
    assert len(inside) == 2
    daemon.crash(machine=machine)
    owner.kill()
    owner.wait()
    daemon.start()
    with SandboxManager([DockerProvider()], tmp_path / "leases", ready=0) as manager:
        manager.cleanup()
        assert manager.list() == []
    assert daemon.containers() == []
    wait_until_gone(inside)
