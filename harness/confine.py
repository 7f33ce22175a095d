"""What binds untrusted processes from within: an unprivileged user, rlimits, a system call filter.

The walls (namespaces, cgroups, read-only system) are put up by the provider before this code runs. These are the
second line: they also hold where cgroups can't be written.
"""

import contextlib
import ctypes
import os
import resource
import signal
import struct
import time
from dataclasses import dataclass, field

from harness.seccomp import install_filter

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 23, 24, 38
CAPABILITY_VERSION_3 = 0x20080522

SLACK = 1 << 30
_SECOND = {
    resource.RLIMIT_MSGQUEUE: 0,
    resource.RLIMIT_MEMLOCK: 1 << 20,
    resource.RLIMIT_RTPRIO: 0,
    resource.RLIMIT_NICE: 0,
}

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Config:
    """How the provider wants the server to be; sizes in bytes."""

    libraries: list[str]
    """Directories with numpy, pandas, talib and backtesting."""
    workspace: str
    memory: int
    processes: int
    disk: int
    output: int
    """Of stdout and stderr each."""
    user: int | None = None
    """The uid and gid to become; None where the provider has already seen to it."""
    own_user: bool = True
    """Whether nobody else uses the uid, so that RLIMIT_NPROC counts this sandbox alone."""
    scratch: list[str] = field(default_factory=list)
    """The other writable places, each a file system of its own."""
    bounded: bool = True
    """Whether the memory of the sandbox as a whole is bounded from outside."""
    life: float = 86_400.0
    """Seconds after which the sandbox ends, whatever becomes of its host."""


def protect_server(user: int | None) -> None:
    """Makes this process an unprivileged one that children of the same uid can neither trace nor signal.

    As PID 1 of its namespace the kernel drops every signal from inside that has no handler, SIGKILL included.
    """
    if os.getpid() != 1:
        raise SystemExit(
            "the harness must be PID 1 of a namespace of its own: it kills everything it can see"
        )
    if user is not None:
        _drop_bounding_set()
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        _clear_inheritable()
        # a change of uid clears the death signal that bubblewrap asked for
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if 0 in (os.getuid(), os.geteuid(), os.getgid(), os.getegid()):
        raise SystemExit("the harness refuses to serve as root")
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_SET_DUMPABLE, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def limit_life(seconds: float) -> None:
    """Ends this process, and as PID 1 its whole namespace, after so many seconds: a host that hangs without hanging up
    leaves nothing behind. The timer is the kernel's; a forged signal finds that it isn't time yet."""
    end = time.monotonic() + seconds

    def ring(*_: object) -> None:
        if time.monotonic() >= end:
            os._exit(0)

    signal.signal(signal.SIGALRM, ring)
    # again every second: one that comes a moment too early isn't the last
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)


def confine_child(config: Config, base_memory: int, base_space: int) -> None:
    """Binds the calling process, a fresh child of the server, for good. `base_memory` bytes and `base_space` bytes of
    address space are not its own doing."""
    _prctl(PR_SET_DUMPABLE, 1)  # /proc/self is root's while this is 0
    # where memory runs out, the kernel takes the child and not the server
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")
    bounds = {
        resource.RLIMIT_DATA: base_memory + config.memory,
        resource.RLIMIT_FSIZE: config.disk,
        resource.RLIMIT_NOFILE: 512,
        resource.RLIMIT_CORE: 0,
    }
    if not config.bounded:
        # RLIMIT_DATA doesn't count what is shared; the slack is for what threads reserve and never touch
        bounds[resource.RLIMIT_AS] = base_space + config.memory + SLACK
    if config.own_user:
        # the server counts too; and one more, so that a cgroup, which counts refusals, is there first
        bounds[resource.RLIMIT_NPROC] = config.processes + 2
    for kind, value in bounds.items():
        _lower(kind, value)
    for kind, value in _SECOND.items():
        # gVisor's kernel has no such limits, nor what they bound
        with contextlib.suppress(ValueError):
            _lower(kind, value)
    os.umask(0o077)
    install_filter()


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (bound, bound))


def _drop_bounding_set() -> None:
    capability = 0
    while _libc.prctl(PR_CAPBSET_READ, ctypes.c_ulong(capability), 0, 0, 0) >= 0:
        _prctl(PR_CAPBSET_DROP, capability)
        capability += 1


def _clear_inheritable() -> None:
    """The change of uid emptied the other sets."""
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    if _libc.capset(ctypes.c_char_p(header), ctypes.c_char_p(bytes(24))):
        number = ctypes.get_errno()
        raise OSError(number, f"capset: {os.strerror(number)}")


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
