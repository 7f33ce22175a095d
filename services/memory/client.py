"""The memory, as worker and command line use it: asks the keeper, and starts it where there is none."""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from schemas.memory import Lesson, LessonUse, MemoryStats, Observation, Recall
from services.memory.config import MemoryConfig
from services.memory.embedding import INSTALL, missing
from services.memory.errors import MemoryOff, MemoryRefusal, MemoryUnavailable
from services.memory.wire import Garbled, Late, answer_of, connect, receive, send
from services.settings import Settings

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
START_SECONDS = 30.0
CONNECT_SECONDS = 5.0
REST_SECONDS = 30.0
"""After it didn't answer, nobody waits for it again this long."""
BATCH = 64
"""Lessons in one request of an import: its vectors must be made before the time is over."""
PAGE = 500
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
"""Of the environment, what a keeper gets: no secret of the worker's."""

Beat = Callable[[], None]


class Memory:
    """Lessons, kept and found. Loads neither torch nor Qdrant into this process; safe for any number of threads.

    Every call may raise MemoryUnavailable (MemoryOff where it is switched off or not installed) within `timeout`
    seconds and the keeper's start, and MemoryRefusal for what can't be done. Writing calls may be repeated.
    `on_wait` is called about twice a second while a call waits, and may raise to end it.
    """

    def __init__(self, config: MemoryConfig, *, timeout: float = 60.0, on: bool = True) -> None:
        self._config = config
        self._timeout = timeout
        self._on = on
        self._lock = threading.Lock()
        self._present: socket.socket | None = None
        """Connected for as long as this object may ask again: the keeper stays."""
        self._resting_until = 0.0
        self._down = ""
        self._told: set[str] = set()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        config = MemoryConfig(
            folder=settings.home / "memory",
            url=settings.qdrant_url,
            api_key=settings.qdrant_api_key,
            model=settings.memory_model,
            threshold=settings.memory_threshold,
        )
        return cls(config, timeout=settings.memory_timeout, on=settings.memory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the keeper go; it ends a while after its last client."""
        with self._lock:
            if self._present is not None:
                self._present.close()
                self._present = None

    # Experiments

    def recall(self, query: Recall, on_wait: Beat | None = None) -> list[Lesson]:
        """The lessons above the threshold, best first, each with its similarity."""
        return [Lesson.model_validate(one) for one in self._ask("recall", _plain(query), on_wait)]

    def learn(self, observations: Sequence[Observation], on_wait: Beat | None = None) -> tuple[int, int]:
        """How many lessons were new, and how many met again. Repeated under the same keys, it counts nothing."""
        if not observations:
            return 0, 0
        new, known = self._ask("learn", [_plain(one) for one in observations], on_wait)
        return new, known

    def use(self, experiment_id: str, uses: Sequence[LessonUse], on_wait: Beat | None = None) -> int:
        """Count which lessons an engine was given and whether that helped."""
        if not uses:
            return 0
        given = {"experiment_id": experiment_id, "uses": [_plain(one) for one in uses]}
        return int(self._ask("use", given, on_wait))

    # People

    def lessons(
        self, *, limit: int = 50, framework: str = "", gate: str = "", error_type: str = ""
    ) -> list[Lesson]:
        """Those seen most often first."""
        given = {"limit": limit, "framework": framework, "gate": gate, "error_type": error_type}
        return [Lesson.model_validate(one) for one in self._ask("list", given)]

    def get(self, lesson_id: str) -> Lesson:
        """By its id or the beginning of one; raises MemoryRefusal where there is none, or more than one."""
        return Lesson.model_validate(self._ask("get", lesson_id))

    def forget(self, lesson_id: str) -> Lesson:
        """Remove it; returns what it was."""
        return Lesson.model_validate(self._ask("forget", lesson_id))

    def stats(self) -> MemoryStats:
        return MemoryStats.model_validate(self._ask("stats", None))

    def export(self) -> Iterator[Lesson]:
        """Every lesson, by id."""
        after = None
        while True:
            found = self._ask("page", {"after": after, "size": PAGE})
            for one in found["lessons"]:
                yield Lesson.model_validate(one)
            after = found["after"]
            if after is None:
                return

    def import_(self, lines: Iterable[str], *, replace: bool = False) -> tuple[int, int]:
        """Take an export's lines: how many lessons were new, and how many raised a count.

        Nothing is written unless every line can be read. Of a lesson that is known the higher counts hold: importing
        twice changes nothing. With `replace` all that was kept is removed before, and with it the model's mark.
        """
        lessons = list(read_lessons(lines))
        if replace:
            self._ask("clear", None)
        new = raised = 0
        for first in range(0, len(lessons), BATCH):
            made, more = self._ask("restore", [_plain(one) for one in lessons[first : first + BATCH]])
            new, raised = new + made, raised + more
        return new, raised

    # Asking

    def say_once(self, note: str) -> None:
        """Into the log, where it wasn't said yet."""
        with self._lock:
            if note in self._told:
                return
            self._told.add(note)
        log.warning("%s", note)

    def _ask(self, op: str, given: Any, on_wait: Beat | None = None) -> Any:
        self._check_there()
        if time.monotonic() < self._resting_until:
            raise MemoryUnavailable(self._down)
        try:
            return answer_of(self._exchange({"op": op, "given": given}, on_wait))
        except MemoryUnavailable as error:
            self._down = str(error)
            self._resting_until = time.monotonic() + REST_SECONDS
            raise

    def _check_there(self) -> None:
        if not self._on:
            raise MemoryOff("the memory is switched off (GENESIS_MEMORY)")
        if lacking := missing():
            raise MemoryOff(f"the memory is off: {', '.join(lacking)} not installed; {INSTALL}")

    def _exchange(self, request: dict[str, Any], on_wait: Beat | None) -> dict[str, Any]:
        """One request, in at most three connections: a keeper may end or be killed at any point of it."""
        deadline = time.monotonic() + self._timeout
        request["config"] = _config(self._config)
        for _ in range(3):
            self._stay(deadline)
            try:
                connection = connect(self._config.folder, CONNECT_SECONDS)
            except OSError:
                continue
            with connection:
                try:
                    send(connection, request)
                except OSError:
                    continue
                try:
                    answer = receive(connection, deadline, on_wait)
                except Late as late:
                    raise MemoryUnavailable(
                        f"the memory in {self._config.folder} didn't answer within {self._timeout:g} s; see keeper.log "
                        "there, or allow more with GENESIS_MEMORY_TIMEOUT"
                    ) from late
                except Garbled:
                    continue
            if answer is not None:
                return answer
        raise MemoryUnavailable(
            f"the memory's keeper ends before it answers; see {self._config.folder / 'keeper.log'}"
        )

    def _stay(self, deadline: float) -> None:
        """See that a keeper runs and knows of us."""
        with self._lock:
            if self._present is not None:
                if _open(self._present):
                    return
                self._present.close()
                self._present = None
            while True:
                try:
                    self._present = connect(self._config.folder, CONNECT_SECONDS)
                    return
                except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
                    pass
                except OSError as error:
                    raise MemoryUnavailable(
                        f"the memory's keeper in {self._config.folder} can't be reached ({error})"
                    ) from error
                if time.monotonic() > deadline:
                    raise MemoryUnavailable(
                        f"the memory's keeper in {self._config.folder} holds its lock but doesn't listen; end the "
                        "process that holds keeper.lock there"
                    )
                if not self._start():
                    time.sleep(0.1)  # somebody else starts it, or it is just ending

    def _start(self) -> bool:
        """Start a keeper; False where another has the lock."""
        config = self._config
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            config.folder.mkdir(parents=True, exist_ok=True)
            with suppress(PermissionError):
                config.folder.chmod(0o700)
            started = subprocess.run(
                [sys.executable, "-m", "services.memory.keeper"],
                input=_secret_config(config),
                capture_output=True,
                cwd=ROOT,
                env=environment | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"},
                timeout=START_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise MemoryUnavailable(f"the memory's keeper didn't start within {START_SECONDS:g} s") from error
        except OSError as error:
            raise MemoryUnavailable(
                f"the memory in {config.folder} can't be used ({error.strerror or error}); check path, rights and disk"
            ) from error
        said = started.stdout.decode(errors="replace").strip()
        if said not in ("ready", "busy"):
            lines = started.stderr.decode(errors="replace").strip().splitlines()
            raise MemoryUnavailable(
                f"the memory's keeper can't start in {config.folder}: {lines[-1] if lines else 'it said nothing'}"
            )
        return said == "ready"


def read_lessons(lines: Iterable[str]) -> Iterator[Lesson]:
    """Lessons of an export; empty lines are passed over. Raises MemoryRefusal with the number of the line."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield Lesson.model_validate_json(line)
            except ValidationError as error:
                wrong = error.errors(include_url=False)[0]
                place = ".".join(str(part) for part in wrong["loc"])
                raise MemoryRefusal(
                    f"line {number}: {f'{place}: ' if place else ''}{wrong['msg']}; nothing was imported"
                ) from error


def _plain(shape: Any) -> Any:
    return shape.model_dump(mode="json")


def _config(config: MemoryConfig) -> dict[str, Any]:
    """What a keeper compares; the key is no part of it."""
    return config.model_dump(mode="json", exclude={"api_key"})


def _secret_config(config: MemoryConfig) -> bytes:
    return json.dumps(_config(config) | {"api_key": config.api_key.get_secret_value()}).encode()


def _open(connection: socket.socket) -> bool:
    """Whether the other side is still there; it never sends unasked."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
