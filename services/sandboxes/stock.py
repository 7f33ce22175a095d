"""Started sandboxes that wait for a lease, each for one."""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from schemas.sandbox import Limits, ProviderName
from services.sandboxes.contract import SandboxProvider
from services.sandboxes.leased import STOCK, Held
from services.sandboxes.served import LIFE
from services.sandboxes.slots import Slot, Slots

REST = 30.0
"""Seconds until the stock is filled again after a failure."""
LOOK = 1.0
"""Seconds until a full host is looked at again, for a slot that another process gave back."""
PAUSE = 0.1
"""Seconds between a lease from the stock and the start of the next sandbox, which takes a core for a quarter of a
second: first come the first moments of what was leased."""
STALE = LIFE / 2
"""Seconds in stock after which a sandbox is replaced: its remaining life must do for a try-out."""
_log = logging.getLogger(__name__)


class Stock:
    """Kept at `ready` sandboxes by one thread of its own, once it was started. `choose` names the provider, and raises
    SandboxError where there is none; with `slots`, each sandbox has taken one."""

    def __init__(
        self,
        choose: Callable[[], SandboxProvider],
        ready: int,
        limits: Limits,
        labels: Mapping[str, str],
        slots: Slots | None,
    ) -> None:
        self.ready = ready
        self._choose = choose
        self._limits = limits
        self._labels = {STOCK: "true", **labels}
        self._slots = slots
        self._held: list[Held] = []
        self._taken = 0.0
        self._change = threading.Condition()
        self._closed = False
        self._filler: threading.Thread | None = None

    def start(self) -> None:
        """Begin to fill it. Idempotent."""
        with self._change:
            if self.ready and self._filler is None and not self._closed:
                self._filler = threading.Thread(target=self._fill, name="sandbox-stock", daemon=True)
                self._filler.start()

    def all(self) -> Sequence[Held]:
        with self._change:
            return [*self._held]

    def take(self, provider: ProviderName, limits: Limits) -> Held | None:
        """One that lives and fits, with its slot, or None. Never waits."""
        while True:
            with self._change:
                fitting = (
                    held
                    for held in self._held
                    if held.provider.name == provider and held.sandbox.limits == limits
                )
                held = next(fitting, None)
                if held is None:
                    return None
                self._held.remove(held)
                self._taken = time.monotonic()
                self._change.notify_all()
            if held.sandbox.alive and time.time() - held.sandbox.info.created < STALE:
                return held
            held.end()

    def give_up_one(self) -> Slot | None:
        """Destroy one for its slot, which is the caller's then."""
        with self._change:
            held = self._held.pop(0) if self._held else None
        if held is None:
            return None
        try:
            held.provider.destroy(held.sandbox.info.sandbox_id)
        except BaseException:
            held.give_back()
            raise
        return held.slot

    def look_again(self) -> None:
        """A slot may have become free."""
        with self._change:
            self._change.notify_all()

    def close(self) -> None:
        """Destroy all of it. It stays empty."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        if self._filler:
            self._filler.join()
        with self._change:
            held, self._held = self._held, []
        for one in held:
            one.end()

    def _fill(self) -> None:
        """Keep it full, one at a time, until it is closed."""
        while not self._closed:
            try:
                self._add_one()
            except Exception as error:  # noqa: BLE001 - a full disk, say: whatever it is may pass
                _log.warning("no sandbox could be made in advance: %s: %s", type(error).__name__, error)
                with self._change:
                    self._change.wait_for(lambda: self._closed, timeout=REST)

    def _add_one(self) -> None:
        """Wait until one is wanted, and make it where there is a slot for it."""
        with self._change:
            self._change.wait_for(lambda: self._closed or len(self._held) < self.ready)
            if (pause := self._taken + PAUSE - time.monotonic()) > 0:
                self._change.wait_for(lambda: self._closed, timeout=pause)
            if self._closed:
                return
            slot = self._slots.take() if self._slots else None
            if self._slots and slot is None:
                self._change.wait(LOOK)
                return
        with ExitStack() as undo:
            if slot:
                undo.callback(slot.free)
            held = self._make(slot)
            undo.pop_all()
        with self._change:
            self._held.append(held)
            self._change.notify_all()

    def _make(self, slot: Slot | None) -> Held:
        provider = self._choose()
        name = f"stock-{uuid.uuid4().hex[:12]}"
        sandbox = provider.create(name, limits=self._limits, labels=self._labels)
        try:
            sandbox.prepare()
        except BaseException:
            provider.destroy(name)
            raise
        return Held(sandbox, provider, slot)
