"""The keeper: one process a home that owns the memory's storage and its model.

Embedded storage has one owner, and importing torch holds the interpreter's lock for seconds: so neither is done in a
worker. Whoever needs the memory first starts the keeper; worker and command line talk to it over a socket; it ends
when its last client has been gone for a while. A keeper that was killed leaves a lock that the system has released and
a socket that the next one replaces.

    python -m services.memory.keeper < config.json      prints 'ready', 'busy' or what is wrong, and goes on alone
"""

import fcntl
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from schemas.memory import Lesson, LessonUse, Observation, Recall
from services.collector import relax
from services.memory.config import MemoryConfig
from services.memory.embedding import INSTALL, Embedder
from services.memory.errors import MemoryFault, MemoryRefusal, MemoryUnavailable
from services.memory.wire import SOCKET, Garbled, Late, fault_message, receive, send

if TYPE_CHECKING:
    from services.memory.store import LessonStore

READY, BUSY = "ready", "busy"
LOCK, LOG = "keeper.lock", "keeper.log"
ANSWER_SECONDS = 20.0
"""For a client to take its answer."""
MOST_CONNECTIONS = 64
_TICK = 0.25


class Keeper:
    """Answers requests, one at a time, on a socket in its working directory."""

    def __init__(self, config: MemoryConfig) -> None:
        self._config = config
        self._store: LessonStore | None = None
        self._asking = threading.Lock()
        """The store isn't made for threads."""
        self._counting = threading.Lock()
        self._connections = 0
        self._last_left = time.monotonic()
        self._stop = threading.Event()

    def serve(self, listener: socket.socket) -> None:
        """Until told to stop, or alone for long enough, or its socket is gone."""
        listener.settimeout(_TICK)
        own = os.stat(SOCKET).st_ino
        while not self._stop.is_set() and not self._alone() and _inode(SOCKET) == own:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with self._counting:
                full = self._connections >= MOST_CONNECTIONS
                self._connections += not full
            if full:
                connection.close()
                continue
            threading.Thread(target=self._attend, args=(connection,), daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def close(self) -> None:
        """Waits for what is being written."""
        with self._asking:
            if self._store is not None:
                self._store.close()
                self._store = None

    def _alone(self) -> bool:
        with self._counting:
            return not self._connections and time.monotonic() - self._last_left > self._config.linger

    def _attend(self, connection: socket.socket) -> None:
        with connection:
            try:
                while True:
                    try:
                        # a client may be connected without asking anything, only to keep the keeper here
                        request = receive(connection, time.monotonic() + 3600)
                    except Late:
                        continue
                    if request is None:
                        return
                    connection.settimeout(ANSWER_SECONDS)
                    send(connection, self._answer(request))
            except (OSError, Garbled):
                return  # it went away, or isn't one of ours
            finally:
                with self._counting:
                    self._connections -= 1
                    self._last_left = time.monotonic()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            asked = MemoryConfig.model_validate(request["config"])
            if not asked.same_memory(self._config):
                raise MemoryUnavailable(
                    f"the memory of this home is held by process {os.getpid()}, for {self._config.where} with the "
                    f"model {self._config.model_name}, but {asked.where} with {asked.model_name} is asked for; use "
                    "the same settings, or end the worker that uses it: the process ends "
                    f"{self._config.linger:g} s after its last client"
                )
            with self._asking:
                return {"answer": _OPERATIONS[request["op"]](self._opened(), request["given"])}
        except MemoryFault as fault:
            return fault_message(fault)
        except ValidationError as error:
            return fault_message(MemoryRefusal(f"the memory can't take this: {error}"))
        except Exception as error:  # noqa: BLE001 - the keeper serves others; whoever asked is told
            traceback.print_exc()
            what = f"{type(error).__name__}: {error}"
            return fault_message(
                MemoryUnavailable(f"the memory's keeper failed ({what}); see its log, {LOG}")
            )

    def _opened(self) -> "LessonStore":
        if self._store is None:
            try:
                from services.memory.store import LessonStore
            except ImportError as error:
                raise MemoryUnavailable(f"the memory needs {error.name}: {INSTALL}") from error
            self._store = LessonStore(self._config, Embedder(self._config.model))
        return self._store


def _dump(lessons: list[Lesson]) -> list[dict[str, Any]]:
    return [lesson.model_dump(mode="json") for lesson in lessons]


def _page(store: "LessonStore", given: Any) -> Any:
    lessons, after = store.page(given["after"], given["size"])
    return {"lessons": _dump(lessons), "after": after}


def _clear(store: "LessonStore", _: Any) -> Any:
    store.clear()


_OPERATIONS: dict[str, Callable[["LessonStore", Any], Any]] = {
    "recall": lambda store, given: _dump(store.recall(Recall.model_validate(given))),
    "learn": lambda store, given: store.learn([Observation.model_validate(one) for one in given]),
    "use": lambda store, given: store.use(
        given["experiment_id"], [LessonUse.model_validate(one) for one in given["uses"]]
    ),
    "list": lambda store, given: _dump(store.lessons(**given)),
    "get": lambda store, given: store.get(given).model_dump(mode="json"),
    "forget": lambda store, given: store.forget(given).model_dump(mode="json"),
    "stats": lambda store, _: store.stats().model_dump(mode="json"),
    "page": _page,
    "restore": lambda store, given: store.restore([Lesson.model_validate(one) for one in given]),
    "clear": _clear,
}


def _inode(path: str) -> int | None:
    with suppress(OSError):
        return os.stat(path).st_ino
    return None


def main() -> None:
    """Take the lock, listen, let the starter go, and serve."""
    config = MemoryConfig.model_validate_json(sys.stdin.buffer.read())
    os.umask(0o077)
    config.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(config.folder)  # the socket's name may have no more than 107 bytes
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(BUSY)
        return
    with suppress(FileNotFoundError):
        os.unlink(SOCKET)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(SOCKET)
    listener.listen(MOST_CONNECTIONS)
    own = os.stat(SOCKET).st_ino
    print(READY, flush=True)
    if os.fork():
        os._exit(0)  # whoever started it need not wait for its end
    os.setsid()
    _redirect()
    code = 1
    try:
        relax()
        keeper = Keeper(config)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: keeper.stop())
        keeper.serve(listener)
        keeper.close()
        code = 0
    except Exception:  # noqa: BLE001 - the log is the only place left to say it
        traceback.print_exc()
    finally:
        with suppress(OSError):
            if _inode(SOCKET) == own:
                os.unlink(SOCKET)
        # threads may wait for clients, and torch's teardown is slow
        os._exit(code)


def _redirect() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(log, 2)
    os.close(nothing)
    os.close(log)


if __name__ == "__main__":
    main()
