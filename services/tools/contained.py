"""Files below one directory, by paths that can't leave it: no `..`, no link, no race, nothing but regular files.

Where the kernel has openat2 (5.6 and newer), it resolves the whole path beneath the directory and follows no link.
Elsewhere each part is opened by itself, relative to the descriptor of the one before, and no link is followed. Either
way, what is then read or written is reached through a descriptor, never again by its whole name. `.git` can't be
reached: git_operation is for that.
"""

import ctypes
import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NoReturn, Self
from uuid import uuid4

from services.tools.errors import ToolRefused

Way = Literal["openat2", "walk"]

_SYS_OPENAT2 = 437  # the same number on every architecture
_BENEATH, _NO_SYMLINKS, _NO_MAGICLINKS = 0x08, 0x04, 0x02
_NO_REPLACE = 1
_TRIES = 100  # the kernel says EAGAIN where a rename elsewhere keeps it from being sure
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST, _LONGEST_PART, _DEEPEST = 4095, 255, 100
_LIBC = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    """struct open_how of linux/openat2.h."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def parts_of(path: str) -> list[str]:
    """The parts of a path below a directory. Raises ToolRefused (path) for any other."""
    parts = path.split("/")
    if path.startswith("/"):
        _refuse_path(path, "it is absolute; write it relative to the workspace")
    if ".." in parts:
        _refuse_path(path, "'..' may lead out of the workspace; write it without")
    if any(part in ("", ".") for part in parts):
        _refuse_path(path, "it has empty parts or '.'; write it as folder/file")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        _refuse_path(path, "it has control characters")
    try:
        if any(len(part.encode()) > _LONGEST_PART for part in parts):
            _refuse_path(path, f"a part of it is longer than {_LONGEST_PART} bytes")
        if len(path.encode()) > _LONGEST or len(parts) > _DEEPEST:
            _refuse_path(path, f"it is longer than {_LONGEST} bytes or deeper than {_DEEPEST} folders")
    except UnicodeEncodeError:
        _refuse_path(path, "it isn't Unicode text")
    if any(part.rstrip(". ").lower() == ".git" for part in parts):
        _refuse_path(path, "git's own files are not for reading and writing; use git_operation")
    return parts


def _refuse_path(path: str, why: str) -> NoReturn:
    raise ToolRefused("path", f"the path {path!r:.200} is refused: {why}")


class Contained:
    """The directory `root`, held open: renaming it, or a link in its place, changes nothing any more."""

    def __init__(self, root: Path, way: Way | None = None) -> None:
        if not sys.platform.startswith("linux"):
            raise OSError(errno.ENOSYS, "typed tools need Linux", str(root))
        self.descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.way = way or ("openat2" if has_openat2() else "walk")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self.descriptor)

    def size(self, path: str) -> int:
        """Bytes of a regular file. Raises ToolRefused (path, missing, not_regular)."""
        with self._found(path) as found:
            return os.fstat(found).st_size

    def read(self, path: str, most: int) -> bytes:
        """A regular file's bytes. Raises ToolRefused (path, missing, not_regular, permission, too_large)."""
        with self._found(path) as found, self._again(path, found, os.O_RDONLY) as file:
            data = bytearray()
            while len(data) <= most:
                piece = os.read(file, most + 1 - len(data))
                if not piece:
                    return bytes(data)
                data += piece
            raise ToolRefused(
                "too_large",
                f"{path} has {max(os.fstat(file).st_size, len(data))} bytes, at most {most} are read",
            )

    def create(self, path: str, data: bytes) -> None:
        """Write a new file, whole or not at all. Raises ToolRefused (exists, and as `read` does)."""
        self._place(path, data, new=True)

    def overwrite(self, path: str, data: bytes) -> None:
        """Replace a file's bytes, whole or not at all; it keeps its mode. Raises ToolRefused as `read` does."""
        with self._found(path) as found:
            mode = stat.S_IMODE(os.fstat(found).st_mode) & 0o777
        self._place(path, data, new=False, mode=mode)

    def append(self, path: str, data: bytes, most: int) -> int:
        """Add to a file that stays below `most` bytes; returns its size. Raises ToolRefused as `read` does."""
        with self._found(path) as found, self._again(path, found, os.O_WRONLY | os.O_APPEND) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # of two calls at once neither may pass the limit
            size = os.fstat(file).st_size
            if size + len(data) > most:
                raise ToolRefused(
                    "too_large", f"{path} would have {size + len(data)} bytes, at most {most} may be"
                )
            with _disk(path):
                _write(file, data)
                os.fsync(file)
            return size + len(data)

    def exists(self, path: str) -> bool:
        """Whether anything has this path. Raises ToolRefused (path), also where a link or a file is on the way."""
        parts = parts_of(path)
        try:
            folder = self._open(parts[:-1], _FOLDER)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _refusal(path, error) from error
        try:
            os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        finally:
            os.close(folder)
        return True

    # Descriptors

    @contextmanager
    def _found(self, path: str) -> Iterator[int]:
        """A descriptor that names a regular file without having opened it: no FIFO waits, no device acts."""
        parts = parts_of(path)
        try:
            found = self._open(parts, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise _refusal(path, error) from error
        try:
            status = os.fstat(found)
            if not stat.S_ISREG(status.st_mode):
                raise ToolRefused("not_regular", f"{path} is {_kind(status.st_mode)}, not a file")
            if status.st_nlink > 1:
                raise ToolRefused(
                    "not_regular",
                    f"{path} has {status.st_nlink} names (hard links), one of which may be outside",
                )
            yield found
        finally:
            os.close(found)

    @contextmanager
    def _again(self, path: str, found: int, flags: int) -> Iterator[int]:
        """The very file that `found` names, opened."""
        try:
            file = os.open(f"/proc/self/fd/{found}", flags | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise _refusal(path, error) from error
        try:
            yield file
        finally:
            os.close(file)

    def _place(self, path: str, data: bytes, *, new: bool, mode: int = 0o644) -> None:
        *folders, name = parts_of(path)
        fresh = f".genesis-{uuid4().hex}.tmp"
        with _disk(path):
            folder = self._folder(path, folders)
            try:
                self._fill(folder, fresh, data, mode)
                try:
                    if new:
                        _rename_to_new(folder, fresh, name)
                    else:
                        os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
                except FileExistsError:
                    raise ToolRefused(
                        "exists", f"{path} exists; write it with the mode overwrite or append"
                    ) from None
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(fresh, dir_fd=folder)
            finally:
                os.close(folder)

    def _fill(self, folder: int, name: str, data: bytes, mode: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(name, flags, 0o600, dir_fd=folder)
        try:
            _write(file, data)
            os.fchmod(file, mode)
            os.fsync(file)
        except BaseException:
            os.unlink(name, dir_fd=folder)
            raise
        finally:
            os.close(file)

    def _folder(self, path: str, parts: list[str]) -> int:
        """The folder at `parts`, made where it is missing."""
        for end in range(len(parts) + 1):
            try:
                opened = self._open(parts[:end], _FOLDER)
            except FileNotFoundError:
                above = self._open(parts[: end - 1], _FOLDER)
                try:
                    with suppress(FileExistsError):  # another call makes it too
                        os.mkdir(parts[end - 1], 0o755, dir_fd=above)
                finally:
                    os.close(above)
                opened = self._open(parts[:end], _FOLDER)
            if end == len(parts):
                return opened
            os.close(opened)
        raise AssertionError("a list has an end")

    def _open(self, parts: list[str], flags: int) -> int:
        """Open what `parts` lead to; no parts are the directory itself. Raises OSError, with ELOOP for a link."""
        if not parts:
            return os.open(".", flags, dir_fd=self.descriptor)
        found = (
            openat2(self.descriptor, "/".join(parts), flags)
            if self.way == "openat2"
            else self._walk(parts, flags)
        )
        if stat.S_ISLNK(os.fstat(found).st_mode):  # O_PATH with O_NOFOLLOW opens the link itself
            os.close(found)
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return found

    def _walk(self, parts: list[str], flags: int) -> int:
        at = self.descriptor
        try:
            for part in parts[:-1]:
                below = os.open(part, _FOLDER, dir_fd=at)
                if at != self.descriptor:
                    os.close(at)
                at = below
            return os.open(parts[-1], flags | os.O_NOFOLLOW, dir_fd=at)
        finally:
            if at != self.descriptor:
                os.close(at)


def openat2(folder: int, path: str, flags: int) -> int:
    """Open `path` beneath `folder` and over no link. Raises OSError."""
    how = _How(flags, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
    for _ in range(_TRIES):
        opened = _LIBC.syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_int(folder),
            ctypes.c_char_p(os.fsencode(path)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if opened >= 0:
            return int(opened)
        error = ctypes.get_errno()
        if error not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(error, os.strerror(error), path)


def _rename_to_new(folder: int, old: str, new: str) -> None:
    """Rename where nothing stands. Raises FileExistsError and other OSErrors."""
    done = _LIBC.renameat2(folder, os.fsencode(old), folder, os.fsencode(new), ctypes.c_uint(_NO_REPLACE))
    error = ctypes.get_errno()
    if done == 0:
        return
    if error not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(error, os.strerror(error), new)
    os.link(
        old, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False
    )  # this file system has only that


def has_openat2() -> bool:
    """Whether this kernel has it, and nothing (a seccomp filter) forbids it."""
    try:
        os.close(openat2(-100, ".", _FOLDER))  # AT_FDCWD
    except OSError as error:
        return error.errno not in (errno.ENOSYS, errno.EPERM)
    return True


@contextmanager
def _disk(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refusal(path, error) from error


def _refusal(path: str, error: OSError) -> ToolRefused:
    match error.errno:
        case errno.ELOOP | errno.EXDEV:
            return ToolRefused("path", f"the path {path} is refused: a part of it is a link")
        case errno.ENOTDIR:
            return ToolRefused(
                "path", f"the path {path} is refused: a part of it is a link or a file, not a folder"
            )
        case errno.ENOENT:
            return ToolRefused("missing", f"there is no {path} in the workspace")
        case errno.EISDIR:
            return ToolRefused("not_regular", f"{path} is a folder, not a file")
        case errno.ENAMETOOLONG:
            return ToolRefused("path", f"the path {path!r:.200} is too long")
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return ToolRefused("disk_full", f"no space is left for {path}")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return ToolRefused("permission", f"{path} can't be opened: {error.strerror}")
    raise error


def _kind(mode: int) -> str:
    names = {
        stat.S_IFDIR: "a folder",
        stat.S_IFLNK: "a link",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return names.get(stat.S_IFMT(mode), "something else")


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
