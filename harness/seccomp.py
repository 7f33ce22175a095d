"""A system call filter for untrusted processes: what no strategy, test run or interpreter needs is refused (EPERM).

Classic BPF, assembled by hand because the standard library has nothing for it; numbers from Linux's
`asm/unistd_64.h` (x86-64) and `asm-generic/unistd.h` (arm64). On another machine there is no filter, and the
namespaces must do. A system call of a foreign ABI (32 bit, x32) ends the process.

Sockets are refused by family: not every family is bound to a network namespace (vsock reaches the hypervisor), and the
rest (netlink, packet, alg, …) is kernel code that no strategy needs. What outlives a process in an IPC namespace is
refused too: System V's objects and POSIX's queues would carry messages from one trial to the next. So are files in
memory that no file system's size bounds.
"""

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
ALLOW, ERRNO, KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
LOAD, JUMP_EQUAL, JUMP_SET, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
S_IFCHR = 0x2000
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, SECOND_ARGUMENT, THIRD_ARGUMENT = (
    0,
    4,
    16,
    24,
    32,
)  # offsets in struct seccomp_data, little endian
AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
NEW_NAMESPACES = 0x7E020000  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}
X32 = 0x40000000

# by name: (x86-64, arm64); None where the machine has no such call
REFUSED = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "fanotify_init": (300, 262),
    "lookup_dcookie": (212, 18),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "personality": (135, 92),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "vhangup": (153, 58),
    "quotactl_fd": (443, 443),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
}


@dataclass(frozen=True)
class Machine:
    """What differs between machines: the place in the tuples above, and the calls whose arguments are looked at."""

    place: int
    architecture: int
    """AUDIT_ARCH_*."""
    clone: int
    clone3: int
    prlimit64: int
    socket: int
    socketpair: int
    mknodat: int
    mknod: int | None = None


MACHINES = {
    "x86_64": Machine(
        0, 0xC000003E, clone=56, clone3=435, prlimit64=302, socket=41, socketpair=53, mknodat=259, mknod=133
    ),
    "aarch64": Machine(
        1, 0xC00000B7, clone=220, clone3=435, prlimit64=261, socket=198, socketpair=199, mknodat=33
    ),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def assemble(machine: str) -> bytes | None:
    """The filter as an array of struct sock_filter, or None for a machine whose numbers aren't known."""
    if machine not in MACHINES:
        return None
    on = MACHINES[machine]
    refused: list[int] = sorted(
        numbers[on.place]  # type: ignore[misc] # mypy narrows no item whose index is computed
        for numbers in REFUSED.values()
        if numbers[on.place] is not None
    )
    deny = _instruction(RETURN, ERRNO | errno.EPERM)
    program = [
        _instruction(LOAD, ARCHITECTURE),
        _instruction(JUMP_EQUAL, on.architecture, if_true=1),
        _instruction(RETURN, KILL_PROCESS),
        _instruction(LOAD, NUMBER),
    ]
    if machine == "x86_64":
        program += [_instruction(JUMP_AT_LEAST, X32, if_false=1), _instruction(RETURN, KILL_PROCESS)]
    for number in refused:
        program += [_instruction(JUMP_EQUAL, number, if_false=1), deny]
    program += [
        # clone3's flags lie behind a pointer: without it, the C library falls back to clone
        _instruction(JUMP_EQUAL, on.clone3, if_false=1),
        _instruction(RETURN, ERRNO | errno.ENOSYS),
        _instruction(JUMP_EQUAL, on.clone, if_false=4),
        _instruction(LOAD, FIRST_ARGUMENT),
        _instruction(JUMP_SET, NEW_NAMESPACES, if_false=1),
        deny,
        _instruction(RETURN, ALLOW),
        *_no_devices(on.mknod, SECOND_ARGUMENT),
        *_no_devices(on.mknodat, THIRD_ARGUMENT),
        _instruction(JUMP_EQUAL, on.socket, if_true=1),
        _instruction(JUMP_EQUAL, on.socketpair, if_false=6),
        _instruction(LOAD, FIRST_ARGUMENT),
        _instruction(JUMP_EQUAL, AF_UNIX, if_true=3),
        _instruction(JUMP_EQUAL, AF_INET, if_true=2),
        _instruction(JUMP_EQUAL, AF_INET6, if_true=1),
        _instruction(RETURN, ERRNO | errno.EAFNOSUPPORT),
        _instruction(RETURN, ALLOW),
        # one's own limits only: the server has the same uid
        _instruction(JUMP_EQUAL, on.prlimit64, if_false=3),
        _instruction(LOAD, FIRST_ARGUMENT),
        _instruction(JUMP_EQUAL, 0, if_true=1),
        deny,
        _instruction(RETURN, ALLOW),
    ]
    return b"".join(program)


def _no_devices(number: int | None, mode: int) -> list[bytes]:
    """Refuses to make device nodes with the call `number`, whose file mode is the argument at `mode`."""
    if number is None:
        return []
    return [
        _instruction(JUMP_EQUAL, number, if_false=4),
        _instruction(LOAD, mode),
        _instruction(JUMP_SET, S_IFCHR, if_false=1),  # S_IFBLK has this bit too; of what can be made no other
        _instruction(RETURN, ERRNO | errno.EPERM),
        _instruction(RETURN, ALLOW),
    ]


def install_filter() -> None:
    """Binds the calling process and all it starts. Needs no_new_privs, which the server has set."""
    code = assemble(platform.machine())
    if code is None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(code) // 8, code)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"the system call filter was refused: {os.strerror(number)}")
