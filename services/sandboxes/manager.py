"""Leases of sandboxes: one for each experiment's round, from a small stock of started ones where that fits.

A sandbox of the stock has limits and libraries like any other and is used once: whoever leases it, destroys it. What a
lease is called and which labels it carries stands in a file of its own, because a container can't be renamed.

With `slots`, every sandbox, the stock's too, takes one of the host's for its life; where none is left, a lease is
refused (SandboxesFull) and doesn't wait: who comes next is not for one process to decide.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

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
from services.sandboxes.leased import (
    LEASE,
    OWNER,
    Lease,
    LeaseFile,
    is_orphan,
    this_process,
    wait_for,
)
from services.sandboxes.slots import SandboxesFull, Slot, Slots
from services.sandboxes.statefiles import StateFiles
from services.sandboxes.stock import Stock


class SandboxManager:
    """All calls may be made from any thread. `providers` in order of preference; `state` is a directory of its own."""

    def __init__(
        self,
        providers: Sequence[SandboxProvider],
        state: Path,
        *,
        ready: int = 1,
        limits: Limits | None = None,
        slots: Slots | None = None,
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._files = StateFiles(state, LeaseFile)
        self._limits = limits or Limits()
        self._slots = slots
        self._owner = this_process()
        self._stock = Stock(self.provider, ready, self._limits, {OWNER: self._owner}, slots)
        self._leases: dict[str, Future[Lease]] = {}
        self._lock = threading.RLock()
        self._closed = False
        self._makers = ThreadPoolExecutor(max_workers=16, thread_name_prefix="sandbox-maker")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to fill the stock, in the background. Idempotent; without it, the first lease does this."""
        self._stock.start()

    @property
    def stock(self) -> Sequence[SandboxInfo]:
        """The sandboxes that are ready for a lease."""
        return [held.sandbox.info for held in self._stock.all()]

    @property
    def most(self) -> int | None:
        """How many sandboxes this host may have; None where there is no maximum."""
        return self._slots.most if self._slots else None

    def room(self) -> int | None:
        """How many leases this host could grant at this moment, the stock included; None where there is no maximum."""
        if self._slots is None:
            return None
        room = self._slots.free() + len(self.stock)
        if not room:
            self._bury()
            room = self._slots.free() + len(self.stock)
        return room

    def holds(self, sandbox_id: str) -> bool:
        """Whether this process has leased it, or is making it."""
        with self._lock:
            return sandbox_id in self._leases

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

        Raises SandboxesFull where the host has no slot left, and SandboxUnavailable and SandboxLost like
        SandboxProvider.create. Its `info.sandbox_id` is the provider's name for it, which is another one where it came
        from the stock.
        """
        check_id(sandbox_id)
        self.start()
        wanted = dict(labels or {})
        while True:
            with self._lock:
                future = self._leases.get(sandbox_id)
                if future is None:
                    future = self._submit(sandbox_id, provider, limits or self._limits, wanted, None)
            lease = self._made(sandbox_id, future, on_wait)
            if lease.sandbox.alive:
                return lease.sandbox
            if self._forget(sandbox_id, future):
                self._end(lease)

    def renew(self, sandbox_id: str, *, on_wait: OnWait | None = None) -> Sandbox:
        """Another sandbox in the place of a leased one, which is destroyed; the lease and its slot stay.

        Raises SandboxLost where this process doesn't hold it, or where the new one died while starting.
        """
        with self._lock:
            self.get(sandbox_id)
            old = self._leases[sandbox_id].result()
            self._files.remove(old.sandbox.info.sandbox_id)
            chosen, limits = old.provider.name, old.sandbox.limits
            future = self._submit(sandbox_id, chosen, limits, old.labels, old)
        return self._made(sandbox_id, future, on_wait).sandbox

    def _submit(
        self,
        sandbox_id: str,
        provider: ProviderName | None,
        limits: Limits,
        labels: Mapping[str, str],
        instead_of: Lease | None,
    ) -> "Future[Lease]":
        """Have a lease made; the caller holds the lock."""
        if self._closed:
            raise SandboxLost("the sandbox manager is closed; start the worker again")
        future = self._makers.submit(self._make, sandbox_id, provider, limits, labels, instead_of)
        self._leases[sandbox_id] = future
        return future

    def _made(self, sandbox_id: str, future: "Future[Lease]", on_wait: OnWait | None) -> Lease:
        try:
            return wait_for(future, on_wait)
        except SandboxError:
            self._forget(sandbox_id, future)
            raise
        except BaseException:
            # on_wait asked to stop: what is being made is thrown away once it is there
            self._forget(sandbox_id, future)
            future.add_done_callback(self._discard)
            raise

    def get(self, sandbox_id: str) -> Sandbox:
        """A leased sandbox. Raises SandboxLost where this process doesn't hold it."""
        with self._lock:
            future = self._leases.get(sandbox_id)
        if future is None or not future.done() or future.exception() is not None:
            raise SandboxLost(
                f"sandbox {sandbox_id} is not held by this worker; lease it again and redo the step"
            )
        return future.result().sandbox

    def release(self, sandbox_id: str) -> ReleaseInfo | None:
        """Destroy a leased sandbox, also one that another process left; None where there was none. Idempotent."""
        check_id(sandbox_id)
        with self._lock:
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
        return sorted(
            (info for info in found.values() if carries(info, labels)), key=lambda info: info.created
        )

    def cleanup(self) -> Sequence[SandboxInfo]:
        """Destroy the sandboxes whose owner has ended. Returns what was destroyed."""
        gone = []
        for info in self.list():
            if is_orphan(info) and self._providers[info.provider].destroy(info.sandbox_id):
                self._files.remove(info.sandbox_id)
                gone.append(info)
        return gone

    def close(self) -> None:
        """Destroy everything that is held, the stock included, and close the providers. Idempotent."""
        with self._lock:
            self._closed = True
            leases, self._leases = [*self._leases.values()], {}
        self._stock.close()
        for future in leases:
            self._discard(future)
        self._makers.shutdown()
        for provider in self._providers.values():
            provider.close()

    def _make(
        self,
        sandbox_id: str,
        name: ProviderName | None,
        limits: Limits,
        labels: Mapping[str, str],
        instead_of: Lease | None,
    ) -> Lease:
        slot = instead_of.slot if instead_of else None
        with ExitStack() as undo:
            if slot:
                undo.callback(slot.free)
            if instead_of:
                instead_of.provider.destroy(instead_of.sandbox.info.sandbox_id)
            chosen = self.provider(name)
            own = dict(labels) | {LEASE: sandbox_id, OWNER: self._owner}
            ready = self._stock.take(chosen.name, limits)
            if ready:
                undo.close()  # it has a slot of its own
                undo.callback(ready.end)
                self._files.write(ready.sandbox.info.sandbox_id, LeaseFile(lease=sandbox_id, labels=own))
                undo.pop_all()
                self._stock.look_again()
                return Lease(ready.sandbox, chosen, ready.slot, labels, time.monotonic())
            if self._slots and slot is None:
                slot = self._slot(sandbox_id)
                undo.callback(slot.free)
            sandbox = chosen.create(sandbox_id, limits=limits, labels=own)
            undo.pop_all()
        return Lease(sandbox, chosen, slot, labels, time.monotonic())

    def _slot(self, sandbox_id: str) -> Slot:
        """A free slot, or that of a sandbox in stock, which is of no use to this lease and goes."""
        assert self._slots
        slot = self._slots.take()
        if slot is None:
            self._bury()
            slot = self._slots.take()
        if slot is None:
            slot = self._stock.give_up_one()
        if slot is None:
            raise SandboxesFull(
                f"no room for sandbox {sandbox_id}: this host has as many as it may have ({self._slots.most}); ask "
                "again once one is given back, or set GENESIS_MAX_SANDBOXES"
            )
        return slot

    def _bury(self) -> None:
        """Give the slots back of leased sandboxes that have died."""
        with self._lock:
            done = [
                (name, future)
                for name, future in self._leases.items()
                if future.done() and not future.exception()
            ]
        for name, future in done:
            lease = future.result()
            if not lease.sandbox.alive and self._forget(name, future):
                self._end(lease)

    def _release_foreign(self, sandbox_id: str) -> ReleaseInfo | None:
        for info in self.list():
            if sandbox_id in (info.labels.get(LEASE), info.sandbox_id):
                self._providers[info.provider].destroy(info.sandbox_id)
                self._files.remove(info.sandbox_id)
                seconds = round(max(0.0, time.time() - info.created), 3)
                return ReleaseInfo(sandbox_id=sandbox_id, provider=info.provider, seconds=seconds)
        return None

    def _forget(self, sandbox_id: str, future: "Future[Lease]") -> bool:
        with self._lock:
            known = self._leases.get(sandbox_id) is future
            if known:
                del self._leases[sandbox_id]
            return known

    def _end(self, lease: Lease) -> None:
        lease.end()
        self._files.remove(lease.sandbox.info.sandbox_id)
        self._stock.look_again()

    def _discard(self, future: "Future[Lease]") -> None:
        if future.exception() is None:  # else that was told to whoever asked for it
            with suppress(SandboxError):
                self._end(future.result())
