"""Reading files that a person names."""

import stat
from pathlib import Path

from cli.output import CommandError

MOST_BYTES = 4 << 20
"""More than any module that the code policy accepts."""


def read_bytes(path: Path, *, most: int = MOST_BYTES) -> bytes:
    """A regular file's bytes. CommandError where there is none, it can't be read, or it is too large."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CommandError(f"{path}: this is not a file")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        raise CommandError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > most:
        raise CommandError(f"{path}: has more than {most >> 20} MiB, too much for this command")
    return data


def read_code(path: Path) -> str:
    """A Python file's text, with the line ends it has."""
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CommandError(
            f"{path}: line {line} is not UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8"
        ) from None
