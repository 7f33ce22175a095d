"""Removing containers in which nothing runs any more, in the background: it takes the daemon some 100 ms each."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from docker.errors import DockerException
from requests.exceptions import RequestException

AT_ONCE = 4
_log = logging.getLogger(__name__)


class Removals:
    """`remove` takes a container's id and returns once it is gone."""

    def __init__(self, remove: Callable[[str], None]) -> None:
        self._remove = remove
        self._pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="container-remover")
        self._lock = threading.Lock()
        self._under_way: dict[str, tuple[str, Future[None]]] = {}

    def add(self, container: str, sandbox_id: str) -> None:
        """A removal that fails is logged, and the container isn't under way any more: whoever lists sees it again."""
        with self._lock:
            self._under_way[container] = sandbox_id, self._pool.submit(self._carry_out, container)

    def __contains__(self, container: str) -> bool:
        with self._lock:
            return container in self._under_way

    def wait_for(self, sandbox_id: str) -> None:
        """Until nothing of that name is under way."""
        with self._lock:
            own = [future for name, future in self._under_way.values() if name == sandbox_id]
        for future in own:
            future.result()

    def close(self) -> None:
        """Wait for all of them."""
        self._pool.shutdown()

    def _carry_out(self, container: str) -> None:
        try:
            self._remove(container)
        except (DockerException, RequestException) as error:
            _log.warning("container %s has ended but can't be removed: %s", container[:12], error)
        finally:
            with self._lock:
                del self._under_way[container]
