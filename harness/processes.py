"""One untrusted process at a time: started confined, its output captured while it runs, its whole tree killed after."""

import contextlib
import errno
import fcntl
import os
import resource
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.cgroup import Counters, read_counters
from harness.confine import Config, confine_child
from harness.wire import HostGone
from harness.workspace import Workspace

TICK = 0.05  # seconds between two looks at processes and disk
CHUNK = 1 << 16
READY = b"\n"
BEYOND = 8  # so many above the limit aren't let be by a kernel that holds it; gVisor's doesn't, and they are ended here


@dataclass
class Outcome:
    """What became of the process; `report` holds what it wrote to its report pipe."""

    exit_code: int | None = None
    signal: int | None = None
    seconds: float = 0.0
    peak_kb: int = 0
    """Of its largest process."""
    sandbox_peak_kb: int = 0
    timed_out: bool = False
    output_truncated: bool = False
    too_many_processes: bool = False
    disk_full: bool = False
    out_of_memory: bool = False
    stdout: bytes = b""
    stderr: bytes = b""
    report: bytes = b""
    report_truncated: bool = False

    def head(self) -> dict[str, Any]:
        """The outcome without its bytes, and their lengths: they follow as the frame's body, in this order."""
        names = [name for name in self.__dataclass_fields__ if name not in ("stdout", "stderr", "report")]
        values = {name: getattr(self, name) for name in names}
        return values | {"lengths": [len(self.stdout), len(self.stderr), len(self.report)]}

    def body(self) -> bytes:
        return self.stdout + self.stderr + self.report


@dataclass
class _Captured:
    limit: int
    content: bytearray = field(default_factory=bytearray)
    truncated: bool = False

    def add(self, part: bytes) -> None:
        room = self.limit - len(self.content)
        self.content += part[:room]
        self.truncated |= len(part) > room


@dataclass(frozen=True)
class _Child:
    """A child that was forked, and the server's ends of its pipes: stdin; stdout, stderr and report."""

    pid: int
    stdin: int
    outputs: list[int]


class Processes:
    """Starts processes and watches them. `host` is the protocol's input: where it ends, so does everything."""

    def __init__(self, config: Config, workspace: Workspace, host: int) -> None:
        self._config = config
        self._workspace = workspace
        self._host = host
        self._base = _own_bytes("VmData"), _own_bytes("VmSize")
        wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self._wake = wake_read
        self._prepared: _Child | None = None

    def run(
        self, action: Callable[[int], int], timeout: float, stdin: bytes = b"", report_limit: int = 0
    ) -> Outcome:
        """Calls `action(report_fd)` in a confined child and returns what became of it, after at most `timeout`
        seconds. When this returns, no process but the server is left in the sandbox."""
        before, began = read_counters(), time.monotonic()
        child = self._fork(action)
        if child is None:
            return Outcome(
                exit_code=None, too_many_processes=True, stderr=b"the sandbox can't start a process\n"
            )
        return self._follow(child, before, began, timeout, stdin, report_limit)

    def prepare(self, action: Callable[[int], int]) -> None:
        """Calls `action(report_fd)` in a confined child ahead of time. It does what can be done without an order,
        reports READY, and reads its stdin, which ends once `run_prepared` has given it. Until then it must not run
        untrusted code. Does nothing where a child waits already."""
        if not self.prepared:
            self._prepared = self._fork(action)
            if self._prepared and os.read(self._prepared.outputs[2], len(READY)) != READY:
                self.discard()

    @property
    def prepared(self) -> bool:
        """Whether a child is waiting. One that has ended meanwhile is forgotten."""
        if self._prepared and os.waitid(os.P_PID, self._prepared.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            self.discard()
        return self._prepared is not None

    def run_prepared(self, timeout: float, stdin: bytes, report_limit: int = 0) -> Outcome:
        """As `run`, with the child that waits. It is used up by this."""
        child, self._prepared = self._prepared, None
        return self._follow(
            child,  # type: ignore[arg-type] # there is one: whoever calls this has asked `prepared`
            read_counters(),
            time.monotonic(),
            timeout,
            stdin,
            report_limit,
        )

    def discard(self) -> None:
        """Ends the child that waits, if there is one: it and untrusted code are never there together."""
        child, self._prepared = self._prepared, None
        if child:
            kill_everything()
            for end in (child.stdin, *child.outputs):
                os.close(end)

    def _fork(self, action: Callable[[int], int]) -> "_Child | None":
        """None where the sandbox has no room for one."""
        input_read, input_write = os.pipe2(os.O_CLOEXEC)
        outputs = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
        try:
            pid = os.fork()
        except OSError as error:
            for end in (input_read, input_write, *(end for pair in outputs for end in pair)):
                os.close(end)
            if error.errno not in (errno.EAGAIN, errno.ENOMEM):
                raise
            return None
        if pid == 0:
            self._become_child(action, input_read, [write for _, write in outputs])
        os.close(input_read)
        for _, write in outputs:
            os.close(write)
        return _Child(pid, input_write, [read for read, _ in outputs])

    def _follow(
        self,
        child: "_Child",
        before: Counters,
        began: float,
        timeout: float,
        stdin: bytes,
        report_limit: int,
    ) -> Outcome:
        limits = (self._config.output, self._config.output, report_limit)
        captured = dict(zip(child.outputs, map(_Captured, limits), strict=True))
        outcome = self._watch(child.pid, began, timeout, _Feed(child.stdin, stdin), captured)
        out, err, report = captured.values()
        outcome.stdout, outcome.stderr, outcome.report = (bytes(one.content) for one in (out, err, report))
        outcome.output_truncated = out.truncated or err.truncated
        outcome.report_truncated = report.truncated
        after = read_counters()
        outcome.sandbox_peak_kb = after.peak_kb
        outcome.out_of_memory = after.oom_kills > before.oom_kills
        outcome.too_many_processes |= after.refused_forks > before.refused_forks
        return outcome

    def _become_child(self, action: Callable[[int], int], stdin: int, outputs: list[int]) -> None:
        """Never returns. The report pipe is descriptor 3; nothing else of the server's is left open."""
        code = 70
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            # copies out of the way first: a target may be one of the sources
            sources = [fcntl.fcntl(end, fcntl.F_DUPFD, 64) for end in (stdin, *outputs)]
            for target, source in enumerate(sources):
                os.dup2(source, target)
            os.set_inheritable(3, False)
            os.closerange(4, 4096)
            confine_child(self._config, *self._base)
            os.chdir(self._workspace.root)
            code = action(3)
            sys.stdout.flush()
            sys.stderr.flush()
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 1
        except BaseException:  # noqa: BLE001 - whatever it is, the child must not return into the server
            os.write(2, traceback.format_exc().encode(errors="replace")[-4000:])
        finally:
            os._exit(code & 0xFF)

    def _watch(
        self, child: int, began: float, timeout: float, feed: "_Feed", captured: dict[int, _Captured]
    ) -> Outcome:
        outcome = Outcome()
        status = None
        # who finds too many already may still remove them
        most_files = max(self._workspace.files(), self._workspace.most_files())
        with selectors.DefaultSelector() as selector:
            for read in captured:
                os.set_blocking(read, False)
                selector.register(read, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            selector.register(self._host, selectors.EVENT_READ)
            if feed.open:
                selector.register(feed.descriptor, selectors.EVENT_WRITE)
            while status is None:
                left = began + timeout - time.monotonic()
                if left <= 0:
                    outcome.timed_out = True
                    break
                for key, _ in selector.select(min(left, TICK)):
                    self._serve(key.fd, selector, feed, captured)
                status = self._reap(child)
                count = _living_threads()
                outcome.too_many_processes |= count > self._config.processes
                if count > self._config.processes + BEYOND:
                    break
                outcome.disk_full |= self._workspace.full()
                if self._workspace.files() > most_files:
                    outcome.disk_full = True
                    break
            outcome.seconds = time.monotonic() - began
            killed_status = kill_everything(child)
            status = status or killed_status
            feed.close()
            for read in captured:
                _drain(read, captured[read])
                os.close(read)
        code, usage = status if status else (0, None)
        outcome.peak_kb = usage.ru_maxrss if usage else 0
        if not outcome.timed_out and status:
            outcome.exit_code = os.WEXITSTATUS(code) if os.WIFEXITED(code) else None
            outcome.signal = os.WTERMSIG(code) if os.WIFSIGNALED(code) else None
        return outcome

    def _serve(
        self, descriptor: int, selector: selectors.BaseSelector, feed: "_Feed", captured: dict[int, _Captured]
    ) -> None:
        if descriptor == self._host:
            # while a command runs the host has nothing to say: this is its end
            raise HostGone("the host hung up while a command ran")
        if descriptor == self._wake:
            os.read(self._wake, CHUNK)
        elif descriptor == feed.descriptor:
            if not feed.push():
                selector.unregister(descriptor)
                feed.close()
        else:
            part = os.read(descriptor, CHUNK)
            captured[descriptor].add(part)
            if not part:
                selector.unregister(descriptor)

    @staticmethod
    def _reap(child: int) -> tuple[int, resource.struct_rusage] | None:
        """The child's status and usage once it has ended; orphans that ended are reaped on the way."""
        found = None
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            if pid == child:
                found = (status, usage)


class _Feed:
    """Bytes on their way into a process's stdin."""

    def __init__(self, descriptor: int, content: bytes) -> None:
        self.descriptor = descriptor
        self.open = True
        self._rest = memoryview(content)
        os.set_blocking(descriptor, False)
        if not content:
            self.close()

    def push(self) -> bool:
        """Whether there is more to come."""
        try:
            self._rest = self._rest[os.write(self.descriptor, self._rest[:CHUNK]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        return bool(self._rest)

    def close(self) -> None:
        if self.open:
            self.open = False
            os.close(self.descriptor)


def _living_threads() -> int:
    """In the whole sandbox. The counter of a cgroup, where there is one, tells more exactly of too many."""
    count = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            count += max(1, os.stat(f"/proc/{pid}/task").st_nlink - 2)
    return count


def kill_everything(child: int | None = None) -> tuple[int, resource.struct_rusage] | None:
    """Kills and reaps every process of the namespace but this one; the status and usage of `child`, if it was there."""
    found = None
    while True:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        try:
            pid, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return found
        if pid == child:
            found = (status, usage)


def _drain(read: int, captured: _Captured) -> None:
    """What is left in a pipe that nobody writes to any more."""
    while part := os.read(read, CHUNK):
        captured.add(part)


def _own_bytes(name: str) -> int:
    """Of this process: VmData is what RLIMIT_DATA counts, VmSize what RLIMIT_AS does."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0
