"""The sandbox's one writable place. What lies there may be hostile code's work: no link is ever followed."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence

from harness.clearing import clear_directory

DEEPEST = 32
READABLE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Refused(Exception):
    """A file operation that is not done; `kind` says why: path, missing, not_regular, too_large, disk_full, changed."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Workspace:
    """Files below `root`. What was put from outside is remembered by digest, so that a change of it is noticed.
    `scratch` are the other places where the sandbox's code can write."""

    def __init__(self, root: str, scratch: Sequence[str] = ()) -> None:
        self.root = root
        self._root = _open_place(root)
        self._scratch = [_open_place(place) for place in scratch]
        self._digests: dict[str, hashlib._Hash] = {}

    def put(self, path: str, content: bytes, append: bool) -> None:
        """Writes a file, or its next part; a file, link or FIFO that stands there is replaced."""
        directory, name = self._open_parent(path, make=True)
        try:
            if not append:
                self._remove(directory, name, path)
                self._digests[path] = hashlib.sha256()
            flags = (
                os.O_WRONLY
                | os.O_NOFOLLOW
                | os.O_CLOEXEC
                | (os.O_APPEND if append else os.O_CREAT | os.O_EXCL)
            )
            file = os.open(name, flags, 0o644, dir_fd=directory)
            try:
                rest = memoryview(content)
                while rest:
                    rest = rest[os.write(file, rest) :]
            finally:
                os.close(file)
            self._digests[path].update(content)
        except OSError as error:
            raise _refusal(error, path) from error
        finally:
            os.close(directory)

    def read(self, path: str, limit: int) -> bytes:
        """A regular file's content, at most `limit` bytes of it: more is refused, not cut."""
        directory, name = self._open_parent(path, make=False)
        try:
            file = os.open(name, READABLE, dir_fd=directory)
        except OSError as error:
            raise _refusal(error, path) from error
        finally:
            os.close(directory)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise Refused("not_regular", f"'{path}' is not a regular file")
            content = bytearray()
            while len(content) <= limit and (part := os.read(file, min(limit + 1 - len(content), 1 << 20))):
                content += part
        finally:
            os.close(file)
        if len(content) > limit:
            raise Refused("too_large", f"'{path}' holds more than the {limit} bytes that were asked for")
        return bytes(content)

    def read_put(self, path: str, limit: int) -> tuple[bytes, str]:
        """A file that was put from outside, and its digest; refused where the sandbox has changed it since."""
        if path not in self._digests:
            raise Refused("missing", f"'{path}' was not put into the sandbox")
        content = self.read(path, limit)
        digest = hashlib.sha256(content).hexdigest()
        if digest != self._digests[path].hexdigest():
            raise Refused("changed", f"'{path}' was changed inside the sandbox after it had been put there")
        return content, digest

    def clear(self) -> None:
        """Removes what was not put from outside, in all writable places. Only while no process but this one lives in
        the sandbox: nothing may move meanwhile. Raises Refused (changed) where something can't be removed.
        """
        kept = set(self._digests)
        ways = {path[:end] for path in kept for end, letter in enumerate(path) if letter == "/"}
        try:
            for place in self._scratch:
                clear_directory(place)
            clear_directory(self._root, kept, ways)
        except OSError as error:
            raise Refused("changed", f"the workspace can't be cleared: {error.strerror}") from error

    def entries(self, limit: int) -> list[dict[str, str | int]]:
        """Entries below the root: path, kind (file, directory, link, other) and size; at most `limit` of them, and none
        below the deepest level that is looked into. What is no UTF-8 in a name is written with backslashes.
        """
        found: list[dict[str, str | int]] = []
        self._list_into(found, os.open(".", READABLE | os.O_DIRECTORY, dir_fd=self._root), "", DEEPEST, limit)
        return found

    def _list_into(
        self, found: list[dict[str, str | int]], directory: int, prefix: str, levels: int, limit: int
    ) -> None:
        try:
            for name in sorted(os.listdir(directory)):
                if len(found) >= limit:
                    return
                try:
                    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    path = prefix + os.fsencode(name).decode(errors="backslashreplace")
                    found.append({"path": path, "kind": _kind(status.st_mode), "size": status.st_size})
                    if stat.S_ISDIR(status.st_mode) and levels > 1:
                        below = os.open(name, READABLE | os.O_DIRECTORY, dir_fd=directory)
                        self._list_into(found, below, path + "/", levels - 1, limit)
                except PermissionError:
                    continue  # the sandbox's code closed its own directory
        finally:
            os.close(directory)

    def full(self) -> bool:
        """Whether no block or no inode is left in one of the writable places."""
        return any(map(_full, self._status()))

    def files(self) -> int:
        """How many there are in the writable places, directories and links too."""
        return sum(status.f_files - status.f_ffree for status in self._status())

    def most_files(self) -> int:
        """One for each block: a file takes memory that no size counts, and a tmpfs of its own accord lets there be as
        many as fill half of the machine's memory."""
        return sum(status.f_blocks for status in self._status())

    def _status(self) -> Iterator[os.statvfs_result]:
        return map(os.fstatvfs, (self._root, *self._scratch))

    def _open_parent(self, path: str, make: bool) -> tuple[int, str]:
        """A descriptor of the file's directory, opened step by step without following links, and the file's name."""
        parts = path.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise Refused("path", f"'{path}' is not a plain path below the workspace")
        here = os.dup(self._root)
        for part in parts[:-1]:
            try:
                if make and not _exists(part, here):
                    os.mkdir(part, 0o755, dir_fd=here)
                below = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            except OSError as error:
                raise _refusal(error, path) from error
            finally:
                os.close(here)
            here = below
        return here, parts[-1]

    @staticmethod
    def _remove(directory: int, name: str, path: str) -> None:
        try:
            os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            return
        except IsADirectoryError as error:
            raise Refused("not_regular", f"'{path}' is a directory") from error


def _open_place(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _full(status: os.statvfs_result) -> bool:
    return status.f_bavail == 0 or (status.f_files > 0 and status.f_ffree == 0)


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "link" if stat.S_ISLNK(mode) else "other"


def _refusal(error: OSError, path: str) -> Refused:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Refused("disk_full", f"'{path}' doesn't fit into the sandbox's workspace")
    if error.errno == errno.ENOENT:
        return Refused("missing", f"'{path}' isn't there")
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR):
        return Refused("not_regular", f"'{path}' is not a regular file, or leads through a link")
    return Refused("path", f"'{path}': {error.strerror}")
