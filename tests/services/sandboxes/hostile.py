"""Programs that want out, or want too much. Each prints a line for every door that it found open, and nothing else.

The limits' programs say which limits they must be reported to have hit; the walls' programs must find nothing.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Program:
    """`hit`: the flags of the result that must be set, all others must not; `fails`: whether it can't end well."""

    name: str
    code: str
    hit: frozenset[str] = frozenset()
    fails: bool = True
    timeout: float = 20.0
    limits: dict[str, float] = field(default_factory=dict)


def _limit(name: str, code: str, *hit: str, fails: bool = True, timeout: float = 20.0) -> Program:
    limits = {"processes": 24, "memory_mb": 128, "disk_mb": 8, "output_kb": 64}
    return Program(name, code, frozenset(hit), fails, timeout, limits)


FORKS = """
import os, signal
for number in range(1, 32):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True:
    try:
        if os.fork() == 0: os.setsid()
    except OSError: pass
"""
THREADS = """
import threading, time
threading.stack_size(1 << 16)
for _ in range(200):
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
"""
TOO_MANY_THREADS = (
    f"try:\n{''.join(f'  {line}' for line in THREADS.splitlines(keepends=True))}"
    "except RuntimeError:\n  time.sleep(0.3)\n  raise\n"
)
SHARED_MEMORY = """
import mmap
held = []
for _ in range(64):
    held.append(mmap.mmap(-1, 64 << 20))
    for place in range(0, 64 << 20, 4096): held[-1][place] = 1
"""
FILL = """
import os
for number in range(4000):
    with open(f"{place}/filler-{number}", "wb") as file: file.write(bytes(1 << 20))
"""
_DEAF = """
import signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
"""
LOOP = _DEAF + "while True: pass\n"
STUBBORN = _DEAF + "while True: time.sleep(1)\n"
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 3)
        while True: time.sleep(1)
    os._exit(0)
os.wait()
"""
ZOMBIES = """
import os
for _ in range(15):
    if os.fork() == 0: os._exit(0)
"""

LIMITS = [
    _limit("fork bomb that ignores signals", FORKS, "timed_out", "too_many_processes", timeout=1.0),
    _limit("threads without end", TOO_MANY_THREADS, "too_many_processes"),
    _limit("memory bomb", "x = bytearray(1 << 30)", "out_of_memory"),
    _limit("memory bomb, piece by piece", "x = []\nwhile True: x.append(b'x' * (1 << 20))", "out_of_memory"),
    _limit("memory bomb of shared pages", SHARED_MEMORY, "out_of_memory"),
    _limit("disk filler", "place = '.'" + FILL, "disk_full"),
    _limit("disk filler in /tmp", "place = '/tmp'" + FILL, "disk_full"),
    _limit("disk filler in /dev/shm", "place = '/dev/shm'" + FILL, "disk_full"),
    _limit(
        "a sparse file of a terabyte", "import os\nos.truncate(os.open('x', os.O_CREAT | os.O_RDWR), 1 << 40)"
    ),
    _limit("endless output", "while True: print('x' * 4000)", "timed_out", "output_truncated", timeout=0.5),
    _limit("endless loop that ignores signals", LOOP, "timed_out", timeout=0.5),
    _limit("it stops itself", "import os\nos.kill(os.getpid(), 19)", "timed_out", timeout=0.5),
    _limit("double-forked daemon", DAEMON, fails=False),
    _limit("zombies", ZOMBIES, fails=False),
    _limit("a crash in C", "import ctypes\nctypes.string_at(0)"),
]


SOCKETS = """
import errno, socket
for family in range(64):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            socket.socket(family, kind).close()
        except OSError as error:
            continue
        if family not in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6): print("made a socket of family", family)
        if kind == socket.SOCK_RAW and family != socket.AF_UNIX: print("made a raw socket of family", family)
for name, call in {"vsock": (40, 1, 0), "netlink": (16, 3, 0), "packet": (17, 3, 0x300)}.items():
    try: socket.socket(*call); print("made", name)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EPERM): print(name, "was refused with", error)
"""
PROC = """
import os
for place in ("kcore", "kmsg", "1/mem", "1/environ", "1/maps", "1/stack", "1/syscall", "1/pagemap"):
    try:
        if os.read(os.open(f"/proc/{place}", os.O_RDONLY), 16): print("read", place)
    except OSError: pass
for link in ("1/cwd", "1/root", "1/exe", "1/fd/0", "1/ns/net"):
    try: print("followed", link, os.stat(f"/proc/{link}"))
    except OSError: pass
writable = ["sysrq-trigger", "sys/kernel/core_pattern", "sys/kernel/hostname", "sys/kernel/modprobe",
            "sys/vm/drop_caches", "sys/kernel/randomize_va_space", "sys/net/ipv4/ip_forward", "sys/fs/suid_dumpable",
            "1/oom_score_adj",
            "1/comm", "1/clear_refs", "1/uid_map", "self/uid_map", "self/setgroups", "bus/pci",
            "irq/default_smp_affinity", "mtrr", "acpi/wakeup", "scsi/scsi", "self/attr/exec"]
for place in writable:
    try:
        handle = os.open(f"/proc/{place}", os.O_WRONLY)
        os.write(handle, b"0 0 1")
        print("wrote", place)
    except OSError: pass
for pid in filter(str.isdigit, os.listdir("/proc")):
    if pid not in ("1", str(os.getpid())): print("saw process", pid)
with open("/proc/1/cmdline", "rb") as file:
    # the harness and its settings, which hold no secret
    if b"GENESIS" in file.read(): print("read the host's environment")
"""
SYS = """
import os
for directory, names, files in os.walk("/sys", onerror=lambda _: None):
    if directory.count("/") > 6: names.clear()
    for name in files[:200]:
        path = os.path.join(directory, name)
        try: os.close(os.open(path, os.O_WRONLY))
        except OSError: continue
        print("opened for writing", path)
for place in ("", "memory", "pids", "cpu", "unified", "devices", "freezer", "rdma"):
    for name in ("planted", ):
        try: os.mkdir(f"/sys/fs/cgroup/{place}/{name}"); print("made a cgroup in", place)
        except OSError: pass
    for name in ("release_agent", "cgroup.procs", "notify_on_release", "devices.allow", "pids.max", "memory.max"):
        try: open(f"/sys/fs/cgroup/{place}/{name}", "w").write("1"); print("wrote", place, name)
        except OSError: pass
"""
HOST_SOCKETS = """
import os, socket, stat
names = ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock",
         "/run/dbus/system_bus_socket", "/run/systemd/private", "/tmp/.X11-unix/X0", "/run/user/1000/bus"]
for top in ("/run", "/var", "/tmp", "/dev", "/etc", "/home", "/root", "/mnt", "/srv", "/opt/genesis", "/workspace"):
    for directory, below, files in os.walk(top):
        names += [os.path.join(directory, name) for name in files]
for name in names:
    try:
        if not stat.S_ISSOCK(os.stat(name).st_mode): continue
    except OSError: continue
    print("found a socket", name)
"""
MOUNTS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
before = open("/proc/self/mounts").read()
os.makedirs("mnt", exist_ok=True)
def attempt(what, done):
    if done >= 0: print("did", what)
attempt("tmpfs", libc.mount(b"none", b"mnt", b"tmpfs", 0, None))
attempt("proc", libc.mount(b"none", b"mnt", b"proc", 0, None))
attempt("bind", libc.mount(b"/", b"mnt", None, 4096, None))
attempt("remount", libc.mount(b"none", b"/", None, 32 | 4096, None))
attempt("overlay", libc.mount(b"overlay", b"mnt", b"overlay", 0, b"lowerdir=/,upperdir=/tmp,workdir=/tmp"))
attempt("umount", libc.umount2(b"/proc", 2))
attempt("umount workspace", libc.umount2(b"/workspace", 2))
attempt("chroot", libc.chroot(b"/workspace"))
for name, flags in {"user": 0x10000000, "mount": 0x20000, "net": 0x40000000, "pid": 0x20000000, "ipc": 0x08000000,
                    "uts": 0x04000000, "cgroup": 0x02000000}.items():
    attempt("unshare " + name, libc.unshare(flags))
for name in os.listdir("/proc/self/ns"):
    try: attempt("setns " + name, libc.setns(os.open(f"/proc/1/ns/{name}", os.O_RDONLY), 0))
    except OSError: pass
os.system("mount -t tmpfs none mnt 2>/dev/null; umount /tmp 2>/dev/null")
if open("/proc/self/mounts").read() != before: print("changed the mounts")
os.rmdir("mnt")
"""
TRACING = """
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
numbers = {"x86_64": (101, 310, 311, 438, 312), "aarch64": (117, 270, 271, 438, 272)}[platform.machine()]
ptrace, readv, writev, getfd, kcmp = numbers
class Piece(ctypes.Structure): _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))
room = ctypes.create_string_buffer(64)
own, other = Piece(ctypes.addressof(room), 64), Piece(0x400000, 64)
child = os.fork()
if child == 0:
    import time; time.sleep(5); os._exit(0)
for pid in (1, os.getppid(), child):
    if libc.syscall(ptrace, 16, pid, None, None) == 0: print("traced", pid)
    if libc.syscall(ptrace, 0x4206, pid, None, None) == 0: print("seized", pid)
    for number in (readv, writev):
        if libc.syscall(number, pid, ctypes.byref(own), 1, ctypes.byref(other), 1, 0) > 0: print("memory of", pid)
    if pid != child:
        for way in (os.O_RDONLY, os.O_RDWR):
            try: os.open(f"/proc/{pid}/mem", way); print("opened the memory of", pid)
            except OSError: pass
if libc.syscall(ptrace, 0, 0, None, None) == 0: print("is traced")
try:
    if libc.syscall(getfd, os.pidfd_open(1), 0, 0) >= 0: print("took a descriptor of the server")
except OSError: pass
if libc.syscall(kcmp, 1, os.getpid(), 0, 0, 0) >= 0: print("compared itself with the server")
os.kill(child, 9)
"""
KEYRINGS = """
import ctypes, platform
libc = ctypes.CDLL(None, use_errno=True)
add, request, control = {"x86_64": (248, 249, 250), "aarch64": (217, 218, 219)}[platform.machine()]
for ring in (-1, -2, -3, -4, -5):
    if libc.syscall(add, b"user", b"genesis", b"message", 7, ctypes.c_long(ring)) >= 0: print("added a key to", ring)
    if libc.syscall(control, 0, ctypes.c_long(ring), 1, 0, 0) >= 0: print("found the keyring", ring)
if libc.syscall(control, 1, None, 0, 0, 0) >= 0: print("joined a session")
if libc.syscall(request, b"user", b"genesis", None, ctypes.c_long(-3)) >= 0: print("asked for a key")
"""
DEVICES = """
import os, stat
known = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)}
for directory, below, names in os.walk("/dev"):
    for name in names:
        try: status = os.stat(os.path.join(directory, name))
        except OSError: continue
        number = os.major(status.st_rdev), os.minor(status.st_rdev)
        if stat.S_ISBLK(status.st_mode): print("block device", name)
        if stat.S_ISCHR(status.st_mode) and number not in known and number[0] != 136: print("device", name, number)
for place in (".", "/tmp", "/dev/shm", "/dev"):
    for kind, number in ((stat.S_IFCHR, (1, 1)), (stat.S_IFCHR, (10, 232)), (stat.S_IFBLK, (8, 0))):
        try: os.mknod(f"{place}/node", kind | 0o666, os.makedev(*number)); print("made a device in", place)
        except OSError: pass
"""
SETUID = """
import os, shutil, stat, subprocess, time
for call in (os.setuid, os.seteuid, os.setgid, os.setegid):
    try: call(0); print(call.__name__)
    except OSError: pass
try: os.setgroups([0]); print("setgroups")
except OSError: pass
if 0 in os.getgroups(): print("is in root's group")
privileged = [shutil.copy("/usr/bin/env", "own-env")]
os.chmod("own-env", 0o6755)
for top in ("/usr", "/opt"):
    for directory, below, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            try: status = os.lstat(path)
            except OSError: continue
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o6000: privileged.append(path)
started = {}
for path in privileged:
    argv = [path, "sleep", "5"] if path == "own-env" else [path]
    try:
        started[path] = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError: continue
time.sleep(0.3)
for path, ran in started.items():
    try:
        for line in open(f"/proc/{ran.pid}/status"):
            if line.startswith(("Uid:", "Gid:")) and "0" in line.split(): print(path, "runs as", line)
    except OSError: pass
    ran.kill()
os.remove("own-env")
"""
HARD_LINKS = """
import os
targets = ["/usr/bin/env", "/opt/genesis/harness/server.py", "/opt/site/backtesting/backtesting.py", "/etc/passwd",
           "/proc/1/environ", "/proc/self/exe", "/dev/null", "/proc/version"]
for number, target in enumerate(targets):
    for follow in (True, False):
        try: os.link(target, f"hard-{number}", follow_symlinks=follow)
        except OSError: continue
        print("linked", target)
"""
HARNESS = """
import os, sys
places = ["/opt/genesis/harness", "/opt/genesis", "/opt/site", "/opt/site/numpy", "/opt/site/backtesting", "/usr/lib",
          os.path.dirname(os.__file__), os.path.dirname(sys.executable), "/etc", "/"]
for place in places:
    for name in ("sitecustomize.py", "planted.pth"):
        try: open(os.path.join(place, name), "w"); print("planted in", place)
        except OSError: pass
    try: os.mkdir(os.path.join(place, "__pycache__new")); print("made a directory in", place)
    except OSError: pass
for file in ("/opt/genesis/harness/server.py", "/opt/genesis/harness/__main__.py",
             "/opt/site/backtesting/backtesting.py", os.__file__, os.path.realpath(sys.executable)):
    for attempt in (lambda: open(file, "ab"), lambda: os.chmod(file, 0o777), lambda: os.unlink(file),
                    lambda: os.utime(file), lambda: os.rename(file, file + ".old"), lambda: os.truncate(file, 0),
                    lambda: os.setxattr(file, "user.x", b"")):
        try: attempt(); print("changed", file)
        except OSError: pass
"""

WALLS = [
    Program(name, code, fails=False)
    for name, code in {
        "sockets of every family": SOCKETS,
        "/proc": PROC,
        "/sys": SYS,
        "docker.sock and its like": HOST_SOCKETS,
        "mounts and namespaces": MOUNTS,
        "tracing": TRACING,
        "keyrings": KEYRINGS,
        "device nodes": DEVICES,
        "setuid": SETUID,
        "hard links": HARD_LINKS,
        "writes to harness and libraries": HARNESS,
    }.items()
]

GVISOR_SHOWS = (
    *("read 1/environ", "read 1/maps", "followed 1/fd/0", "followed 1/ns/net"),
    *("device fuse (10, 229)", "device tun (10, 200)"),
)
"""What gVisor's kernel (the release of 2022) shows of itself: the harness isn't hidden from code of the same user, and
two of its own devices stand in /dev, which lead to no host."""

LEAVE = """
import ctypes, os, socket, subprocess, sys
for place in (".", "/tmp", "/dev/shm"):
    os.makedirs(f"{place}/message/deep", exist_ok=True)
    for path in (f"{place}/message/deep/x", f"{place}/message-file", f"{place}/talib.py", f"{place}/.hidden"):
        open(path, "w").write("what the first has seen")
    os.symlink("/etc", f"{place}/message-link")
    os.mkfifo(f"{place}/message-fifo")
    os.chmod(f"{place}/message/deep", 0)
    os.chmod(f"{place}/message", 0)
os.chdir("/tmp")
for _ in range(2000):
    os.mkdir("d"); os.chdir("d")
os.chdir("/workspace")
libc = ctypes.CDLL(None)
libc.shmget(4711, 4096, 0o1666); libc.msgget(4711, 0o1666); libc.semget(4711, 1, 0o1666)
subprocess.Popen([sys.executable, "-c", "import socket, time; s = socket.socket(socket.AF_UNIX); "
                  "s.bind(chr(0) + 'message'); s.listen(); time.sleep(100)"], start_new_session=True)
"""
LOOK = """
import ctypes, os, socket
allowed = {"./strategy.py", "./bars.csv"}
for place in (".", "/tmp", "/dev/shm"):
    for directory, below, names in os.walk(place):
        for name in below + names:
            if (found := os.path.join(directory, name)) not in allowed: print("found", found)
libc = ctypes.CDLL(None)
for call in (lambda: libc.shmget(4711, 0, 0), lambda: libc.msgget(4711, 0), lambda: libc.semget(4711, 0, 0)):
    if call() >= 0: print("found a System V object")
try: socket.socket(socket.AF_UNIX).connect(chr(0) + "message"); print("somebody listens")
except OSError: pass
for pid in filter(str.isdigit, os.listdir("/proc")):
    if pid not in ("1", str(os.getpid())): print("process", pid)
"""
