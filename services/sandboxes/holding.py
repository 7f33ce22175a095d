"""What every provider does alike: hold the sandboxes it made, one an id, and give the same one again."""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import Future

from schemas.sandbox import Limits
from services.sandboxes.contract import SandboxError, SandboxLost, check_id
from services.sandboxes.served import LIFE, ServedSandbox

_log = logging.getLogger(__name__)


class HoldingProvider(ABC):
    """Creation that is safe to repeat, also from several threads at the same time. `life`: seconds after which each of
    its sandboxes ends by itself, whatever became of this process."""

    def __init__(self, life: float = LIFE) -> None:
        self._life = life
        self._lock = threading.Lock()
        self._held: dict[str, Future[ServedSandbox]] = {}
        self._closed = False

    def create(self, sandbox_id: str, *, limits: Limits, labels: Mapping[str, str]) -> ServedSandbox:
        check_id(sandbox_id)
        while True:
            with self._lock:
                if self._closed:
                    raise SandboxLost("the provider is closed; start the worker again")
                held = self._held.get(sandbox_id)
                if held is None:
                    held = self._held[sandbox_id] = Future()
                    break
            sandbox = held.result()
            if sandbox.alive:
                return sandbox
            self.destroy(sandbox_id)
        try:
            self._evict(sandbox_id)
            sandbox = self._start(sandbox_id, limits, dict(labels))
        except BaseException as error:
            with self._lock:
                self._held.pop(sandbox_id, None)
            held.set_exception(error)
            raise
        held.set_result(sandbox)
        return sandbox

    def destroy(self, sandbox_id: str) -> bool:
        check_id(sandbox_id)
        with self._lock:
            held = self._held.get(sandbox_id)
        # where the start failed, that was told to whoever asked for it
        there = held is not None and held.exception() is None
        if held is not None:
            if there:
                held.result().destroy()
            with self._lock:
                if self._held.get(sandbox_id) is held:
                    del self._held[sandbox_id]
        return self._evict(sandbox_id) or there

    def close(self) -> None:
        with self._lock:
            self._closed = True
            held = [*self._held]
        for sandbox_id in held:
            try:
                self.destroy(sandbox_id)
            except SandboxError as error:
                _log.warning("sandbox %s can't be destroyed: %s", sandbox_id, error)

    @abstractmethod
    def _start(self, sandbox_id: str, limits: Limits, labels: dict[str, str]) -> ServedSandbox:
        """Make one and wait until it serves; on failure nothing of it may be left."""

    @abstractmethod
    def _evict(self, sandbox_id: str) -> bool:
        """Remove whatever on this host has the id, whoever made it; whether there was anything."""
