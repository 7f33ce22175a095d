"""What only bubblewrap has: other ways to be started, its refusals, its cgroups and what is left of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from schemas.sandbox import Limits
from services.sandboxes.bubblewrap import BubblewrapProvider, BubblewrapSandbox
from services.sandboxes.cgroups import CONTROLLERS, Group, Groups
from services.sandboxes.refusals import explain
from services.sandboxes.statefiles import process_start
from tests.support.needs import checked

pytestmark = pytest.mark.timeout(90)
ROOT = Path(__file__).resolve().parents[3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change user and mounts")


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[BubblewrapProvider]:
    made = checked(BubblewrapProvider(tmp_path / "state"))
    yield made
    made.close()


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def groups_of(sandbox_id: str) -> list[Path]:
    """The cgroups that this machine has of sandboxes of that id."""
    bases = {place.parent for place in Groups.find().named("any").places.values()}
    return [place for base in bases for place in base.glob(f"genesis-{sandbox_id}-*")]


def mounts_here() -> list[str]:
    """But for Docker's, which come and go with containers of others."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [one for one in lines if one.split()[2] not in ("overlay", "nsfs") and "/containers/" not in one]


def test_nothing_is_left_after_destroy(provider: BubblewrapProvider, tmp_path: Path) -> None:
    mounts, descriptors = mounts_here(), len(os.listdir("/proc/self/fd"))
    groups = len({place.parent for place in Groups.find().named("any").places.values()})
    for _ in range(3):
        sandbox = provider.create("gone", limits=Limits(), labels={})
        assert isinstance(sandbox, BubblewrapSandbox)
        assert len(groups_of("gone")) == groups
        sandbox.run(["sh", "-c", "echo x > f; sleep 100 & sleep 100 & true"], timeout=10)
        pid = sandbox.pid
        provider.destroy("gone")
        assert not Path(f"/proc/{pid}").exists()
    assert groups_of("gone") == []
    assert [*tmp_path.rglob("*.json")] == []
    assert mounts_here() == mounts
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2


def test_a_burst_of_checks_is_one_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probes: list[object] = []
    run = subprocess.run

    def counted(*given: Any, **more: Any) -> Any:
        probes.append(given)
        return run(*given, **more)

    monkeypatch.setattr(subprocess, "run", counted)
    provider = BubblewrapProvider(tmp_path / "state")
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(provider.check) for _ in range(8)]:
            done.result()
    provider.close()
    assert len(probes) == 1


OWNER = """
import sys, threading, time
from pathlib import Path
from schemas.sandbox import Limits
from services.sandboxes.bubblewrap import BubblewrapProvider
provider = BubblewrapProvider(Path(sys.argv[1]))
made = []
def make(number):
    made.append(provider.create(f"owned-{number}", limits=Limits(), labels={"owned": "yes"}))
threads = [threading.Thread(target=make, args=(n,)) for n in range(2)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
# the threads that asked are gone: sandboxes must not die with them
time.sleep(0.3)
print(*(s.run(["sh", "-c", "(setsid sleep 300 &); echo alive"], timeout=9).stdout.strip() for s in made), flush=True)
made[0].run(["sleep", "300"], timeout=400)
"""


def test_a_killed_owner_leaves_no_process(provider: BubblewrapProvider, tmp_path: Path) -> None:
    state = tmp_path / "state"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(state)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "alive alive\n"
    assert {info.sandbox_id for info in provider.list({"owned": "yes"})} == {"owned-0", "owned-1"}
    below = children_of(owner.pid)
    inside = [child for bwrap in below for child in children_of(bwrap)]
    assert len(below) == len(inside) == 2
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in below + inside):
        assert time.monotonic() < deadline, "a sandbox outlived its owner"
        time.sleep(0.02)
    assert provider.list() == []
    assert [*state.glob("*.json")] == []
    assert [place for n in range(2) for place in groups_of(f"owned-{n}")] == []


def test_another_process_may_destroy_and_replace(provider: BubblewrapProvider, tmp_path: Path) -> None:
    other = BubblewrapProvider(tmp_path / "state")
    first = provider.create("same", limits=Limits(), labels={"of": "first"})
    assert [info.labels for info in other.list()] == [{"of": "first"}]
    second = other.create("same", limits=Limits(), labels={"of": "second"})
    assert not first.alive
    assert second.run(["true"], timeout=10).ok
    assert [info.labels for info in provider.list()] == [{"of": "second"}]
    other.close()
    assert provider.list() == []


def test_a_state_file_of_a_process_whose_number_was_used_again_kills_nobody(
    provider: BubblewrapProvider, tmp_path: Path
) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    time.sleep(0.05)  # a process is named by its number and the clock tick of its start
    try:
        provider.create("old", limits=Limits(), labels={})
        file = tmp_path / "state" / "old.json"
        text = file.read_text()
        provider.destroy("old")
        pid = provider_pid(text)
        file.write_text(text.replace(f'"pid":{pid}', f'"pid":{bystander.pid}'))
        assert provider.list() == []
        file.write_text(text.replace(f'"pid":{pid}', f'"pid":{bystander.pid}'))
        assert provider.destroy("old") is False
        assert bystander.poll() is None
        file.write_text("{ broken")
        assert provider.list() == []
        assert not file.exists()
    finally:
        bystander.kill()
        bystander.wait()


def provider_pid(text: str) -> int:
    return int(json.loads(text)["pid"])


USER = """
import os, sys
from pathlib import Path
from schemas.sandbox import Limits
from services.sandboxes.bubblewrap import BubblewrapProvider
provider = BubblewrapProvider(Path(sys.argv[1]))
provider.check()
sandbox = provider.create("mine", limits=Limits(processes=24, memory_mb=256), labels={})
status = Path(f"/proc/{sandbox.pid}/status").read_text()
print([line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")])
print(sandbox.run(["id", "-u"], timeout=9).stdout.strip(), len(provider.weaknesses()))
bomb = "import os\\nwhile True:\\n  try: os.fork()\\n  except OSError: pass"
print(sandbox.run(["python3", "-c", bomb], timeout=1.5).too_many_processes)
print(sandbox.run(["python3", "-c", "x = bytearray(1 << 30)"], timeout=9).out_of_memory)
print(sandbox.run(["unshare", "-U", "true"], timeout=9).ok, sandbox.run(["true"], timeout=9).ok)
provider.close()
print(provider.list(), os.listdir(sys.argv[1]))
"""


@as_root
def test_an_ordinary_user_needs_no_root_and_no_cgroups(
    provider: BubblewrapProvider, request: pytest.FixtureRequest
) -> None:
    """In a mount namespace of its own, where the interpreter stands at a place that every user may read."""
    # pytest closes its own temporary directories to others, again with each session that starts
    place_of_state = tempfile.TemporaryDirectory(prefix="genesis-test-")
    request.addfinalizer(place_of_state.cleanup)
    Path(place_of_state.name).chmod(0o711)
    state = Path(place_of_state.name) / "state"
    state.mkdir()
    os.chown(state, 1000, 1000)
    prefix = Path(sys.base_prefix).resolve()
    place = Path("/mnt") if not prefix.is_relative_to("/usr") else prefix
    interpreter = place / Path(sys.executable).resolve().relative_to(prefix)
    libraries = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    bind = f"mount --bind '{prefix}' /mnt && " if place != prefix else ""
    command = (
        f"{bind}exec setpriv --reuid 1000 --regid 1000 --clear-groups '{interpreter}' -c \"$CODE\" '{state}'"
    )
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": ":".join(libraries),
        "CODE": USER,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ran = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", command],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if "Permission denied" in ran.stderr and not ran.stdout:
        pytest.skip(f"the project can't be read by other users: {ran.stderr.strip().splitlines()[-1]}")
    lines = ran.stdout.splitlines()
    assert lines, ran.stderr
    assert lines[0] == "[['1000', '1000', '1000', '1000']]"
    assert lines[1].split()[0] == "65534"
    assert lines[2:] == ["True", "True", "False True", "[] []"], ran.stderr


CHECK = """
import sys
from pathlib import Path
from services.sandboxes.bubblewrap import BubblewrapProvider
try:
    BubblewrapProvider(Path(sys.argv[1])).check()
except Exception as error:
    print(type(error).__name__, error)
"""


@as_root
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "unshare --user --map-user=1000 --keep-caps sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && "
            'exec setpriv --inh-caps=-all --ambient-caps=-all "$@"\' sh',
            "user.max_user_namespaces=0). Allow some with 'sudo sysctl -w user.max_user_namespaces",
        ),
        ("setpriv --bounding-set=-sys_admin", "--cap-add SYS_ADMIN"),
    ],
)
def test_a_host_that_forbids_it_is_told_apart(tmp_path: Path, command: str, words: str) -> None:
    """Really forbidden, in a user namespace of the test's own."""
    if shutil.which("unshare") is None or shutil.which("setpriv") is None:
        pytest.skip("util-linux is not installed")
    ran = subprocess.run(
        ["sh", "-c", f'exec {command} "$@"', "sh", sys.executable, "-c", CHECK, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.stdout.startswith("SandboxUnavailable"), ran.stderr
    assert words in ran.stdout


@pytest.mark.parametrize(
    ("said", "settings", "root", "words"),
    [
        (
            "bwrap: setting up uid map: Permission denied",
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            False,
            "kernel.apparmor_restrict_unprivileged_userns=0'",
        ),
        (
            "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted",
            {"kernel/apparmor_restrict_unprivileged_userns": "1", "user/max_user_namespaces": "100"},
            False,
            "AppArmor",
        ),
        (
            "bwrap: No permissions to creating new namespace, likely because the kernel does not allow non-privileged "
            "user namespaces. On e.g. debian this can be enabled with 'sysctl kernel.unprivileged_userns_clone=1'.",
            {"kernel/unprivileged_userns_clone": "0"},
            False,
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            "bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)",
            {"user/max_user_namespaces": "100"},
            False,
            "limit of namespaces is reached",
        ),
        (
            "bwrap: Can't mount proc on /newroot/proc: Operation not permitted",
            {},
            False,
            "systempaths=unconfined",
        ),
        ("bwrap: Failed to make / slave: Permission denied", {}, True, "--cap-add SYS_ADMIN"),
        ("", {}, False, "without a word"),
    ],
)
def test_refusals_say_what_to_do(
    tmp_path: Path, said: str, settings: dict[str, str], root: bool, words: str
) -> None:
    for name, value in settings.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(value + "\n")
    text = explain(said, root=root, system=tmp_path)
    assert words in text
    assert said in text


def fake_host(tmp_path: Path, cgroup: str, mounts: str) -> Path:
    (tmp_path / "cgroup").write_text(cgroup)
    (tmp_path / "mountinfo").write_text(mounts)
    return tmp_path


def test_cgroup_v2_is_used_where_it_is_delegated(tmp_path: Path) -> None:
    """The files of a tree like systemd's; the kernel's side of v2 is not here where v1 holds the controllers."""
    tree = tmp_path / "fs"
    for place, control in (("", "cpu memory"), ("user", "cpu memory pids"), ("user/app", "")):
        (tree / place).mkdir(parents=True, exist_ok=True)
        (tree / place / "cgroup.subtree_control").write_text(control)
        (tree / place / "cgroup.procs").write_text("")
    host = fake_host(
        tmp_path, "0::/user/app\n", f"30 20 0:26 / {tree} rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
    )
    groups = Groups.find(host)
    assert groups.unified
    assert set(groups.bases.values()) == {tree / "user"}
    assert groups.missing == []
    place = tree / "user" / "genesis-x"
    place.mkdir()
    for file in ("memory.max", "memory.swap.max", "pids.max", "cpu.max", "cgroup.procs"):
        (place / file).write_text("")
    settings = groups._settings(Limits(processes=10, cpus=0.5), 1 << 20)
    assert settings["cpu"] == {"cpu.max": "50000 100000"}
    assert settings["pids"] == {"pids.max": "11"}
    group = groups.named("genesis-x")
    (place / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n")
    (place / "pids.events").write_text("max 3\n")
    (place / "memory.peak").write_text(f"{5 << 20}\n")
    counted = group.counters()
    assert (counted.oom_kills, counted.refused_forks, group.peak_memory_mb()) == (1, 3, 5.0)


@as_root
def test_a_group_of_v2_ends_all_that_is_in_it() -> None:
    """By the kernel's own tree of v2, which is there without controllers too."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    trees = [Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"]
    if not trees or not os.access(trees[0] / "cgroup.procs", os.W_OK):
        pytest.skip("this machine has no cgroup v2 that can be written")
    place = trees[0] / f"genesis-test-{uuid.uuid4().hex}"
    place.mkdir()
    group = Group(dict.fromkeys(CONTROLLERS, place), unified=True)
    parent = subprocess.Popen(["sh", "-c", "read go; trap '' TERM; sleep 60 & wait"], stdin=subprocess.PIPE)
    try:
        group.add(parent.pid)
        assert parent.stdin
        parent.stdin.write(b"go\n")
        parent.stdin.flush()
        deadline = time.monotonic() + 10
        while len((place / "cgroup.procs").read_text().split()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        inside = [int(pid) for pid in (place / "cgroup.procs").read_text().split()]
        assert group.remove()
        assert not place.exists()
        assert parent.wait(10) == -signal.SIGKILL
        assert [process_start(pid) for pid in inside] == [None, None]
    finally:
        parent.kill()
        parent.communicate()


def test_without_a_writable_cgroup_it_says_what_is_weaker(tmp_path: Path) -> None:
    host = fake_host(tmp_path, "0::/\n", f"30 20 0:26 / {tmp_path / 'absent'} ro - cgroup2 cgroup2 ro\n")
    assert Groups.find(host).missing == ["memory", "pids", "cpu"]
    assert Groups.find(host).create("x", Limits(), 1) is None


def test_the_cpu_is_shared_out(provider: BubblewrapProvider) -> None:
    if "cpu" in Groups.find().missing:
        pytest.skip("no cpu cgroup can be written here")
    sandbox = provider.create("slow", limits=Limits(cpus=0.2), labels={})
    code = """
import time
used, began = time.process_time(), time.monotonic()
while time.monotonic() - began < 1.5: pass
print(time.process_time() - used)
"""
    used = float(sandbox.run(["python3", "-c", code], timeout=20).stdout)
    assert used < 0.9  # of 1.5 s; the quota is 0.3 s and a period


def test_a_stopped_server_is_killed_after_the_grace(
    provider: BubblewrapProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inner clock fails: the outer one ends the sandbox, and the result is still a value."""
    monkeypatch.setattr("services.sandboxes.served.GRACE", 0.3)
    sandbox = provider.create("hung", limits=Limits(), labels={})
    assert isinstance(sandbox, BubblewrapSandbox)
    os.kill(sandbox.pid, signal.SIGSTOP)
    result = sandbox.run(["true"], timeout=0.5)
    assert result.timed_out
    assert not sandbox.alive
