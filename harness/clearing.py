"""Removing trees that hostile code built: closed directories, any depth, no recursion, no path longer than a name."""

import os
import stat
from collections.abc import Collection


def clear_directory(place: int, kept: Collection[str] = (), ways: Collection[str] = ()) -> None:
    """Empties a directory, given by descriptor, but for the files `kept` and the directories `ways` that lead to them
    (paths below it). No other process may change it meanwhile. Raises OSError where something stays."""
    _sweep(place, "", kept, ways, place)


def _sweep(directory: int, prefix: str, kept: Collection[str], ways: Collection[str], place: int) -> None:
    """As deep as what is kept lies, which is not the hostile side's choice."""
    for name in os.listdir(directory):
        path = prefix + name
        if path in ways and stat.S_ISDIR(os.lstat(name, dir_fd=directory).st_mode):
            below = _open_directory(name, directory)
            try:
                _sweep(below, f"{path}/", kept, ways, place)
            finally:
                os.close(below)
        elif path not in kept:
            _remove(name, directory, place)


def _remove(name: str, directory: int, place: int) -> None:
    """Directories inside are moved up beside the first and taken one by one, however deep they were nested."""
    if _removed(name, directory):
        return
    waiting = [_move(name, directory, place)]
    while waiting:
        here = waiting.pop()
        below = _open_directory(here, place)
        try:
            for inner in os.listdir(below):
                if not _removed(inner, below):
                    waiting.append(_move(inner, below, place))
        finally:
            os.close(below)
        os.rmdir(here, dir_fd=place)


def _removed(name: str, directory: int) -> bool:
    """Whether it could be removed at once: anything but a directory that isn't empty."""
    if not stat.S_ISDIR(os.lstat(name, dir_fd=directory).st_mode):
        os.unlink(name, dir_fd=directory)
        return True
    try:
        os.rmdir(name, dir_fd=directory)
    except OSError:
        return False  # not empty; where it is something else, moving or emptying it fails with that
    return True


def _move(name: str, directory: int, place: int) -> str:
    # a directory that its owner can't write can't change its parent
    os.chmod(name, 0o700, dir_fd=directory)
    moved = f".genesis-{os.urandom(12).hex()}"
    os.rename(name, moved, src_dir_fd=directory, dst_dir_fd=place)
    return moved


def _open_directory(name: str, directory: int) -> int:
    os.chmod(name, 0o700, dir_fd=directory)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
