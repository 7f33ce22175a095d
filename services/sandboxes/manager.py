"""Leases of sandboxes: one for each experiment's round, from a small stock of started ones where that fits.

A sandbox of the stock has limits and libraries like any other and is used once: whoever leases it, destroys it. What a
lease is called and which labels it carries stands in a file of its own, because a container can't be renamed.
"""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel

from schemas.sandbox import Limits, ProviderName, ReleaseInfo, SandboxInfo
from services.sandboxes.contract import (
    OnWait,
    Sandbox,
    SandboxError,
    SandboxLost,
    SandboxProvider,
    SandboxUnavailable,
    carries,
    check_id,
)
from services.sandboxes.statefiles import StateFiles, process_start

LEASE, OWNER, STOCK = "genesis.lease", "genesis.owner", "genesis.stock"
"""Labels of the manager's own: the lease's id; host, process and its start; whether it waits in the stock."""
REST = 30.0
"""Seconds until the stock is filled again after a failure."""
_log = logging.getLogger(__name__)


class _LeaseFile(BaseModel):
    """Named by the sandbox."""

    lease: str
    labels: dict[str, str]


@dataclass(frozen=True)
class _Lease:
    sandbox: Sandbox
    provider: SandboxProvider
    began: float


class SandboxManager:
    """All calls may be made from any thread. `providers` in order of preference; `state` is a directory of its own."""

    def __init__(
        self,
        providers: Sequence[SandboxProvider],
        state: Path,
        *,
        ready: int = 1,
        limits: Limits | None = None,
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._files = StateFiles(state, _LeaseFile)
        self._ready = ready
        self._limits = limits or Limits()
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{process_start(os.getpid())}"
        self._leases: dict[str, Future[_Lease]] = {}
        self._stock: list[Sandbox] = []
        self._change = threading.Condition()
        self._closed = False
        self._makers = ThreadPoolExecutor(max_workers=16, thread_name_prefix="sandbox-maker")
        self._filler: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to fill the stock, in the background. Idempotent; without it, the first lease does this."""
        with self._change:
            if self._ready and self._filler is None and not self._closed:
                self._filler = threading.Thread(target=self._fill, name="sandbox-stock", daemon=True)
                self._filler.start()

    @property
    def stock(self) -> Sequence[SandboxInfo]:
        """The sandboxes that are ready for a lease."""
        with self._change:
            return [sandbox.info for sandbox in self._stock]

    def provider(self, name: ProviderName | None = None) -> SandboxProvider:
        """The provider of that name, or the first that works. Raises SandboxUnavailable, with every reason."""
        if name is not None:
            if name not in self._providers:
                raise SandboxUnavailable(
                    f"the provider {name} is not configured; configured: {', '.join(self._providers)}"
                )
            self._providers[name].check()
            return self._providers[name]
        reasons = []
        for provider in self._providers.values():
            try:
                provider.check()
            except SandboxUnavailable as error:
                reasons.append(f"{provider.name}: {error}")
            else:
                return provider
        raise SandboxUnavailable(
            "no sandbox can be made on this machine; " + "; ".join(reasons or ["none is configured"])
        )

    def image(self, name: ProviderName) -> str:
        """What the provider's sandboxes run on, for the record."""
        return self._providers[name].image()

    def lease(
        self,
        sandbox_id: str,
        *,
        provider: ProviderName | None = None,
        limits: Limits | None = None,
        labels: Mapping[str, str] | None = None,
        on_wait: OnWait | None = None,
    ) -> Sandbox:
        """The sandbox of that id, made or taken from the stock; asked again, the same one while it lives.

        Raises SandboxUnavailable and SandboxLost like SandboxProvider.create. Its `info.sandbox_id` is the provider's
        name for it, which is another one where it came from the stock.
        """
        check_id(sandbox_id)
        self.start()
        while True:
            with self._change:
                if self._closed:
                    raise SandboxLost("the sandbox manager is closed; start the worker again")
                future = self._leases.get(sandbox_id)
                if future is None:
                    future = self._leases[sandbox_id] = self._makers.submit(
                        self._make, sandbox_id, provider, limits or self._limits, dict(labels or {})
                    )
            try:
                lease = _wait(future, on_wait)
            except SandboxError:
                self._forget(sandbox_id, future)
                raise
            except BaseException:
                # on_wait asked to stop: what is being made is thrown away once it is there
                self._forget(sandbox_id, future)
                future.add_done_callback(_discard)
                raise
            if lease.sandbox.alive:
                return lease.sandbox
            self._forget(sandbox_id, future)
            self._end(lease)

    def get(self, sandbox_id: str) -> Sandbox:
        """A leased sandbox. Raises SandboxLost where this process doesn't hold it."""
        with self._change:
            future = self._leases.get(sandbox_id)
        if future is None or not future.done() or future.exception() is not None:
            raise SandboxLost(
                f"sandbox {sandbox_id} is not held by this worker; lease it again and redo the step"
            )
        return future.result().sandbox

    def release(self, sandbox_id: str) -> ReleaseInfo | None:
        """Destroy a leased sandbox, also one that another process left; None where there was none. Idempotent."""
        check_id(sandbox_id)
        with self._change:
            future = self._leases.pop(sandbox_id, None)
        if future is not None:
            try:
                lease = future.result()
            except SandboxError:
                return self._release_foreign(sandbox_id)
            info = ReleaseInfo(
                sandbox_id=sandbox_id,
                provider=lease.provider.name,
                seconds=round(time.monotonic() - lease.began, 3),
                peak_memory_mb=lease.sandbox.peak_memory_mb(),
            )
            self._end(lease)
            return info
        return self._release_foreign(sandbox_id)

    def list(self, labels: Mapping[str, str] | None = None) -> Sequence[SandboxInfo]:
        """The living sandboxes of this host, of every process, with the labels of their leases; oldest first."""
        return [info for info in self._list()[0] if carries(info, labels)]

    def cleanup(
        self, *, older_than: float | None = None, keep: Collection[str] = ()
    ) -> Sequence[SandboxInfo]:
        """Destroy sandboxes whose owner has ended, and with `older_than` (seconds) those that live longer than that;
        never those that this manager holds or whose lease is in `keep`. Returns what was destroyed."""
        held = {sandbox.info.sandbox_id for sandbox in self._held()}
        gone = []
        for info in self._list()[0]:
            if info.sandbox_id in held or info.labels.get(LEASE, info.sandbox_id) in keep:
                continue
            too_old = older_than is not None and time.time() - info.created > older_than
            if (too_old or _orphan(info)) and self._providers[info.provider].destroy(info.sandbox_id):
                self._files.remove(info.sandbox_id)
                gone.append(info)
        return gone

    def close(self) -> None:
        """Destroy everything that is held, the stock included, and close the providers. Idempotent."""
        with self._change:
            self._closed = True
            self._change.notify_all()
            leases, self._leases = [*self._leases.values()], {}
        if self._filler:
            self._filler.join()
        for future in leases:
            with suppress(SandboxError):
                self._end(future.result())
        with self._change:
            stock, self._stock = self._stock, []
        for sandbox in stock:
            self._providers[sandbox.info.provider].destroy(sandbox.info.sandbox_id)
        self._makers.shutdown()
        for provider in self._providers.values():
            provider.close()

    def _make(
        self, sandbox_id: str, name: ProviderName | None, limits: Limits, labels: dict[str, str]
    ) -> _Lease:
        chosen = self.provider(name)
        labels = labels | {LEASE: sandbox_id, OWNER: self._owner}
        sandbox = self._from_stock(chosen, limits)
        if sandbox:
            self._files.write(sandbox.info.sandbox_id, _LeaseFile(lease=sandbox_id, labels=labels))
        else:
            sandbox = chosen.create(sandbox_id, limits=limits, labels=labels)
        return _Lease(sandbox, chosen, time.monotonic())

    def _from_stock(self, provider: SandboxProvider, limits: Limits) -> Sandbox | None:
        while True:
            with self._change:
                fitting = (s for s in self._stock if s.info.provider == provider.name and s.limits == limits)
                sandbox = next(fitting, None)
                if sandbox is None:
                    return None
                self._stock.remove(sandbox)
                self._change.notify_all()
            if sandbox.alive:
                return sandbox
            provider.destroy(sandbox.info.sandbox_id)

    def _fill(self) -> None:
        """Keep the stock full, one at a time, until the manager is closed."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or len(self._stock) < self._ready)
                if self._closed:
                    return
            try:
                sandbox = self.provider().create(
                    f"stock-{uuid.uuid4().hex[:12]}",
                    limits=self._limits,
                    labels={STOCK: "true", OWNER: self._owner},
                )
            except SandboxError as error:
                _log.warning("no sandbox could be made in advance: %s", error)
                with self._change:
                    self._change.wait_for(lambda: self._closed, timeout=REST)
                continue
            with self._change:
                self._stock.append(sandbox)
                self._change.notify_all()

    def _release_foreign(self, sandbox_id: str) -> ReleaseInfo | None:
        for info in self._list()[0]:
            if sandbox_id in (info.labels.get(LEASE), info.sandbox_id):
                self._providers[info.provider].destroy(info.sandbox_id)
                self._files.remove(info.sandbox_id)
                seconds = round(max(0.0, time.time() - info.created), 3)
                return ReleaseInfo(sandbox_id=sandbox_id, provider=info.provider, seconds=seconds)
        return None

    def _list(self) -> tuple[Sequence[SandboxInfo], bool]:
        """What the providers list, with the labels of leases; and whether all of them answered."""
        found: dict[str, SandboxInfo] = {}
        whole = True
        for provider in self._providers.values():
            try:
                found |= {info.sandbox_id: info for info in provider.list()}
            except SandboxUnavailable:
                whole = False  # nothing of it can be seen, nor used
        for sandbox_id, file in self._files.all():
            if sandbox_id in found:
                found[sandbox_id] = found[sandbox_id].model_copy(update={"labels": file.labels})
            elif whole:
                self._files.remove(sandbox_id)
        return sorted(found.values(), key=lambda info: info.created), whole

    def _held(self) -> Sequence[Sandbox]:
        with self._change:
            done = [future for future in self._leases.values() if future.done() and not future.exception()]
            return [*(future.result().sandbox for future in done), *self._stock]

    def _forget(self, sandbox_id: str, future: "Future[_Lease]") -> None:
        with self._change:
            if self._leases.get(sandbox_id) is future:
                del self._leases[sandbox_id]

    def _end(self, lease: _Lease) -> None:
        lease.provider.destroy(lease.sandbox.info.sandbox_id)
        self._files.remove(lease.sandbox.info.sandbox_id)


def default_providers(
    state: Path, *, order: Sequence[ProviderName] = ("bubblewrap", "docker"), image: str, runtime: str = ""
) -> Sequence[SandboxProvider]:
    """The providers in that order, none of them checked. `state` is where bubblewrap's sandboxes are written down."""

    def make(name: ProviderName) -> SandboxProvider:
        # each brings libraries that the other doesn't need
        if name == "bubblewrap":
            from services.sandboxes.bubblewrap import BubblewrapProvider

            return BubblewrapProvider(state)
        from services.sandboxes.docker import DockerProvider

        return DockerProvider(image, runtime)

    return [make(name) for name in order]


def _wait(future: "Future[_Lease]", on_wait: OnWait | None) -> _Lease:
    while True:
        try:
            return future.result(timeout=1.0)
        except NotYet:
            if future.done():
                raise
            if on_wait:
                on_wait()


def _discard(future: "Future[_Lease]") -> None:
    with suppress(SandboxError):
        lease = future.result()
        lease.provider.destroy(lease.sandbox.info.sandbox_id)


def _orphan(info: SandboxInfo) -> bool:
    """Whether the process of this host that made it has ended."""
    host, _, process = info.labels.get(OWNER, "").rpartition(":")[0].rpartition(":")
    start = info.labels.get(OWNER, "").rpartition(":")[2]
    return host == socket.gethostname() and process.isdigit() and process_start(int(process)) != start
