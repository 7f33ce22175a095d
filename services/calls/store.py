"""The answers that were paid for, kept before anything else is done with them.

    artifacts/ab/ab12…                                      an `Answer`, as any artifact
    artifacts/calls/EXPERIMENT/0-generate-0-1-6f0a….json    a `CallRecord`: the call's key, and the beginning of the
                                                            request's digest
    artifacts/calls/EXPERIMENT/0-lock                       held while a call of the candidate is under way

A step that is repeated, by a retry, after a crash or on another host that shares the artifacts, asks the same question
under the same key and finds the answer. The same key with another question is another call.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from schemas.code import Digest
from schemas.models import Answer, CallKey, CallRecord
from services.artifacts import Artifacts

_PAUSE = 0.2
"""Seconds between two looks at a lock that somebody else holds."""


class CallsDamaged(Exception):
    """A record of a paid call can't be read; says which file, and what to do."""


class Calls:
    """A store beside the artifacts, made on first use. Any number of threads and processes may share it."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._root = artifacts.root / "calls"

    def find(self, key: CallKey, request: Digest) -> tuple[CallRecord, Answer] | None:
        """What was answered to this request under this key. Raises CallsDamaged, and ArtifactError."""
        file = self._file(key, request)
        try:
            record = _read(file)
        except FileNotFoundError:
            return None
        if record.request != request or record.key != key:
            raise CallsDamaged(
                f"{file} holds another call, {record.key}; delete it to have the call made again"
            )
        return record, Answer.model_validate_json(self._artifacts.get(record.answer))

    def keep(self, record: CallRecord) -> None:
        """Keep the record, durably: once this returns, the call will not be made again. Its answer is kept before."""
        file = self._file(record.key, record.request)
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".tmp-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as draft:
                draft.write(record.model_dump_json(indent=2))
                draft.flush()
                os.fsync(draft.fileno())
            os.replace(name, file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # a rename is safe from a power cut once its folder is on disk
        finally:
            os.close(folder)

    def keep_answer(self, answer: Answer) -> Digest:
        return self._artifacts.put(answer.model_dump_json().encode())

    def of(self, experiment_id: str) -> list[CallRecord]:
        """The paid calls of an experiment, in the order in which they were answered."""
        found = [_read(file) for file in (self._root / experiment_id).glob("*.json")]
        return sorted(found, key=lambda record: (record.at, record.key.attempt, record.key.ask))

    @contextmanager
    def turn(self, key: CallKey, on_wait: Callable[[], None]) -> Iterator[None]:
        """Have the candidate's calls to oneself: of two attempts of one step that overlap, the second waits, and then
        finds what the first one paid for. A process that dies lets go."""
        folder = self._root / key.experiment_id
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / f"{key.candidate}-lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    on_wait()
                    time.sleep(_PAUSE)
            yield
        finally:
            os.close(descriptor)

    def _file(self, key: CallKey, request: Digest) -> Path:
        name = f"{key.candidate}-{key.step}-{key.attempt}-{key.ask}-{request[:32]}.json"
        return self._root / key.experiment_id / name


def _read(file: Path) -> CallRecord:
    try:
        return CallRecord.model_validate_json(file.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise CallsDamaged(
            f"{file} is damaged; restore it from a backup, or delete it to have the call made, and paid, again"
        ) from error
