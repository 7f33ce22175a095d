"""The provider for where a Docker daemon answers: one locked-down container a sandbox, spoken to over its stdin.

The daemon is spoken to over a Unix socket or plain TCP: the stream of an attached container is used as it is, which
neither TLS nor ssh allow. A container removes itself when its harness ends, and the harness ends when its stdin does:
a worker that was killed leaves nothing running.

A sandbox is destroyed once its harness has ended everything in it, itself last; the daemon removes the empty container
after that, some 100 ms later, and nobody waits for it.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig
from requests.exceptions import RequestException

from schemas.sandbox import Limits, ProviderName, SandboxInfo
from services.sandboxes import image
from services.sandboxes.contract import SandboxLost, SandboxUnavailable, carries
from services.sandboxes.holding import HoldingProvider
from services.sandboxes.removals import Removals
from services.sandboxes.served import LIFE, SMALL, ServedSandbox, harness_config, whole_memory
from services.sandboxes.wire import Wire, WireClosed, WireTimeout

DEFAULT_IMAGE = "genesis-sandbox:latest"
START = 120.0
"""Seconds until a sandbox must serve; most of them are imports from a cold disk."""
CALL = 60
"""Seconds for one request to the daemon."""
GONE = 15.0
"""Seconds until a removed container must have disappeared."""
GVISOR = 1024
"""More threads for gVisor: its kernel is counted with the sandbox and dies of the limit, so that the harness must be
faster."""
LEAVING = 1.0
"""Seconds that the harness gets to end everything before the daemon is asked to."""
BELIEVED = 5.0
"""Seconds for which a check that went well isn't made again; a start finds out by itself."""
NOBODY = 65534
_WORKSPACE = "/workspace"
_LIBRARIES = "/opt/site"
_ID, _CREATED, _OWN = "genesis.sandbox", "genesis.created", "genesis.label."
_BUILD = "build it with 'make sandbox-image'"
_log = logging.getLogger(__name__)


class DockerSandbox(ServedSandbox):
    def __init__(
        self,
        info: SandboxInfo,
        limits: Limits,
        wire: Wire,
        stream: Any,
        container: str,
        provider: "DockerProvider",
    ) -> None:
        super().__init__(info, limits, wire)
        self._stream = stream
        self._provider = provider
        self.container = container
        """The container's id."""

    def _is_alive(self) -> bool:
        return not self._wire.hung_up()

    def _leave(self) -> bool:
        # the daemon takes some 70 ms to kill a container and to notice it, the harness less than one to end what runs
        if not self._call.acquire(blocking=False):
            return False
        try:
            return self._wire.exchange({"do": "end"}, b"", LEAVING, None)[0].get("ok") is True
        except (WireClosed, WireTimeout):
            return False
        finally:
            self._call.release()

    def _kill(self) -> None:
        try:
            self._provider.kill(self.container)
        except (DockerException, RequestException) as error:
            # hung up on, it ends by itself; and no late answer is taken for that to another order
            _hang_up(self._stream)
            _log.warning("the Docker daemon can't end container %s: %s", self.container[:12], error)

    def _remove(self) -> None:
        self._stream.close()
        self._provider.clear_away(self.container, self._info.sandbox_id)

    def _died_of_memory(self, before: object, began: float) -> bool:
        return self._provider.ran_out_of_memory(self.container, began)


class DockerProvider(HoldingProvider):
    """`runtime` names one that the daemon knows (runc, runsc); empty takes its default."""

    def __init__(self, image: str = DEFAULT_IMAGE, runtime: str = "", *, life: float = LIFE) -> None:
        super().__init__(life)
        self._image = image
        self._runtime = runtime
        self._local = threading.local()
        self._checked = -BELIEVED
        self._removals = Removals(self.remove)
        self._gone: set[str] = set()
        """Containers that were removed here; after a crash of its own, the daemon may go on listing them."""

    @property
    def name(self) -> ProviderName:
        return "docker"

    def check(self) -> None:
        if time.monotonic() - self._checked < BELIEVED:
            return
        try:
            client = self._client()
            client.ping()
            runtimes = client.info().get("Runtimes", {}) if self._runtime else {}
        except (DockerException, RequestException) as error:
            raise SandboxUnavailable(
                f"no Docker daemon answers ({error}); install and start Docker, or point DOCKER_HOST at a daemon"
            ) from error
        scheme = client.api.base_url.partition(":")[0]
        if scheme not in ("http", "http+docker"):
            raise SandboxUnavailable(
                f"the Docker daemon is reached over {scheme}, which can't carry a sandbox's stream; forward its socket "
                "(ssh -L /tmp/docker.sock:/var/run/docker.sock HOST) and point DOCKER_HOST at that"
            )
        if self._runtime and self._runtime not in runtimes:
            known = ", ".join(sorted(runtimes))
            raise SandboxUnavailable(f"the Docker daemon has no runtime '{self._runtime}'; it has {known}")
        self._digest()
        self._checked = time.monotonic()

    def image(self) -> str:
        return f"docker {self._image} {self._digest()}"

    def weaknesses(self) -> Sequence[str]:
        about = self._client().info()
        told = [text for text in about.get("Warnings") or [] if text.startswith("WARNING: No ")]
        profiles = [text for text in about.get("SecurityOptions") or [] if text.startswith("name=seccomp")]
        if not profiles or "profile=unconfined" in profiles[0]:
            told.append(
                "no seccomp profile of the daemon is in force, only the harness's own filter (which spares the harness)"
            )
        return [f"Docker: {text}" for text in told]

    def _digest(self) -> str:
        """The image's id: the digest of its content, so that a tag moved meanwhile changes nothing. Raises
        SandboxUnavailable where there is no such image, or its harness is another one than that here."""
        try:
            found = self._client().images.get(self._image)
        except ImageNotFound as error:
            raise SandboxUnavailable(f"the image {self._image} is not there; {_BUILD}") from error
        except (DockerException, RequestException) as error:
            raise SandboxUnavailable(
                f"the image {self._image} can't be looked up: {error}; {_BUILD}"
            ) from error
        if found.labels.get(image.LABEL) != image.harness_digest():
            raise SandboxUnavailable(
                f"the image {self._image} was made from another version of Genesis; {_BUILD}"
            )
        return str(found.id)

    def list(self, labels: Mapping[str, str] | None = None) -> Sequence[SandboxInfo]:
        found = [self._info(about["Labels"]) for about in self._containers({"label": _ID})]
        return sorted((info for info in found if carries(info, labels)), key=lambda info: info.created)

    def close(self) -> None:
        super().close()
        self._removals.close()

    def kill(self, container: str) -> None:
        """End every process of a container. Idempotent."""
        try:
            self._client().api.kill(container, "SIGKILL")
        except APIError as error:
            if error.status_code not in (404, 409):  # gone; not running
                raise

    def remove(self, container: str) -> None:
        """Remove a container and wait until it is gone. Idempotent."""
        client = self._client()
        deadline = time.monotonic() + GONE
        while True:
            try:
                client.api.remove_container(container, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409 or time.monotonic() > deadline:  # its removal is under way
                    raise
            time.sleep(0.01)

    def clear_away(self, container: str, sandbox_id: str) -> None:
        """Have a container removed in which nothing runs any more; `close` waits for it."""
        self._removals.add(container, sandbox_id)

    def ran_out_of_memory(self, container: str, since: float) -> bool:
        """Whether the kernel ended something in it for want of memory; the daemon knows after the container is gone.
        Where the daemon can't be asked, nobody knows, and the answer is no."""
        try:
            events = self._client().events(
                since=int(since),
                until=int(time.time()) + 1,
                filters={"container": container, "event": "oom"},
                decode=True,
            )
            return any(True for _ in events)
        except (DockerException, RequestException):
            return False

    def _evict(self, sandbox_id: str) -> bool:
        found = self._containers({"label": f"{_ID}={sandbox_id}"})
        for about in found:
            self.remove(about["Id"])
            self._gone.add(about["Id"])
        return bool(found)

    def _start(self, sandbox_id: str, limits: Limits, labels: dict[str, str]) -> DockerSandbox:
        self._removals.wait_for(sandbox_id)  # one container of that name
        info = SandboxInfo(sandbox_id=sandbox_id, provider=self.name, labels=labels, created=time.time())
        api = self._client().api
        with ExitStack() as undo:
            try:
                container = api.create_container(**self._settings(info, limits))["Id"]
                undo.callback(self.remove, container)
                stream = api.attach_socket(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
                undo.callback(stream.close)
                api.start(container)
            except ImageNotFound as error:
                raise SandboxUnavailable(f"the image {self._image} is not there; {_BUILD}") from error
            except (DockerException, RequestException) as error:
                raise SandboxUnavailable(f"Docker can't start a sandbox: {error}") from error
            descriptor = stream.fileno()
            wire = Wire(descriptor, descriptor, multiplexed=True)
            try:
                wire.receive(START, None)
            except WireTimeout:
                raise SandboxLost(
                    f"sandbox {sandbox_id} didn't serve within {START:g} s; is the machine overloaded?"
                ) from None
            except WireClosed as error:
                said = wire.errors.decode(errors="replace").strip()
                raise SandboxLost(f"sandbox {sandbox_id} died while starting: {said or error}") from error
            undo.pop_all()
        return DockerSandbox(info, limits, wire, stream, container, self)

    def _settings(self, info: SandboxInfo, limits: Limits) -> dict[str, Any]:
        memory = whole_memory(limits)
        place = f"rw,exec,nosuid,nodev,mode=1777,size={limits.disk_mb << 20}"
        host = self._client().api.create_host_config(
            auto_remove=True,
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            pids_limit=limits.processes
            + 1
            + (GVISOR if self._runtime == "runsc" else 0),  # the harness is one
            mem_limit=memory,
            memswap_limit=memory,
            nano_cpus=int(limits.cpus * 1e9),
            shm_size=SMALL,
            tmpfs={_WORKSPACE: place, "/tmp": f"rw,nosuid,nodev,mode=1777,size={SMALL}"},  # noqa: S108
            log_config=LogConfig(type="none"),
            init=False,
            runtime=self._runtime or None,
        )
        settings = harness_config(
            limits,
            self._life,
            workspace=_WORKSPACE,
            libraries=[_LIBRARIES],
            user=None,
            own_user=False,
            bounded=True,
        )
        own = {f"{_OWN}{key}": value for key, value in info.labels.items()}
        return {
            "image": self._digest(),
            "name": f"genesis-{info.sandbox_id}",
            "command": [settings],
            "hostname": "sandbox",
            "user": f"{NOBODY}:{NOBODY}",
            "working_dir": _WORKSPACE,
            "labels": {_ID: info.sandbox_id, _CREATED: repr(info.created)} | own,
            "stop_signal": "SIGKILL",
            "stdin_open": True,
            "detach": False,  # the container's stdin ends with this one connection
            "network_disabled": True,
            "host_config": host,
        }

    def _info(self, labels: Mapping[str, str]) -> SandboxInfo:
        return SandboxInfo(
            sandbox_id=labels[_ID],
            provider=self.name,
            labels={key.removeprefix(_OWN): value for key, value in labels.items() if key.startswith(_OWN)},
            created=float(labels.get(_CREATED, "0")),
        )

    def _containers(self, filters: dict[str, str]) -> Sequence[dict[str, Any]]:
        """Those that are there, and not on their way out."""
        try:
            found = list_containers(self._client(), filters)
            return [
                about
                for about in found
                if about["Id"] not in self._removals and about["Id"] not in self._gone
            ]
        except (DockerException, RequestException) as error:
            raise SandboxUnavailable(f"the Docker daemon doesn't answer: {error}") from error

    def _client(self) -> docker.DockerClient:
        """One for each thread: a session of requests is not made to be shared."""
        client: docker.DockerClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = docker.from_env(timeout=CALL)
        return client


def _hang_up(stream: Any) -> None:
    """End a connection and keep its descriptor, which its Wire may be waiting on."""
    with suppress(OSError), socket.socket(fileno=os.dup(stream.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


def list_containers(client: docker.DockerClient, filters: dict[str, str]) -> Sequence[dict[str, Any]]:
    """Those that are there, running or not."""
    return [*client.api.containers(all=True, filters=filters)]
