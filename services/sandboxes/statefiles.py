"""A directory of small JSON files, one a sandbox: how processes on one host know of each other's sandboxes."""

import functools
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

Record = TypeVar("Record", bound=BaseModel)


class StateFiles(Generic[Record]):
    """Files by name; written whole or not at all, and only for the owner to read."""

    def __init__(self, place: Path, model: type[Record]) -> None:
        self._place = place
        self._model = model

    def write(self, name: str, record: Record) -> None:
        self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._place, prefix=".new-")
        try:
            with os.fdopen(handle, "w") as stream:
                stream.write(record.model_dump_json())
            os.replace(temporary, self._path(name))
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise

    def read(self, name: str) -> Record | None:
        """The record; None where there is none. A file that can't be read as one is removed: nothing can use it."""
        try:
            return self._model.model_validate_json(self._path(name).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValidationError, json.JSONDecodeError):
            self.remove(name)
            return None

    def all(self) -> Iterator[tuple[str, Record]]:
        for path in sorted(self._place.glob("*.json")):
            if (record := self.read(path.stem)) is not None:
                yield path.stem, record

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._path(name).unlink()

    def _path(self, name: str) -> Path:
        return self._place / f"{name}.json"


def process_start(pid: int) -> str | None:
    """When a process began, in clock ticks since boot, and which boot: with its number this names it, now and after
    numbers are used again. None where there is no such process, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else f"{fields[19]}@{_boot()}"


@functools.cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
