"""Faults in a real worker: it is killed, fails, repeats or holds a step, as a plan says.

A plan is a list of `action:place:activity` texts; `activity@experiment` means the step of that experiment only:

- `kill:before:X`, `kill:inside:X`, `kill:after:X`: SIGKILL to the worker before the step begins, in the middle of its
  work, or when its work is done and not yet reported. Each happens once, however often the worker is restarted.
- `kill:FUNCTION:X`: SIGKILL as the step calls this function of ours.
- `fail:before:X`: the step fails for good.
- `twice:all:*`: every step is carried out twice; both results must be the same.
- `hold:before:X`, `hold:after:X`: the step waits until the test lets it go.
"""

import functools
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

INSIDE_CALLS = 6
"""A kill inside comes with this call of a function of ours after the step has begun."""


def planned(folder: Path, fault: str) -> Path:
    """The file that plans a fault for a worker that runs already."""
    return folder / f"plan-{fault.replace(':', '-')}"


class Faults(Interceptor):
    def __init__(self, plan: list[str], folder: Path) -> None:
        self.plan = {tuple(item.split(":")) for item in plan}
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self)

    def once(self, *key: str) -> bool:
        """True the first time only, over all processes and kills."""
        try:
            (self.folder / "-".join(key)).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def wants(self, action: str, place: str, name: str) -> str | None:
        """The key of the planned fault, if one is planned here, from the start or since (see `planned`)."""
        for key in (name, f"{name}@{activity.info().workflow_id}"):
            if (action, place, key) in self.plan or planned(self.folder, f"{action}:{place}:{key}").exists():
                return key
        return None

    def before(self, name: str) -> None:
        if key := self.wants("hold", "before", name):
            self._hold(key)
        if self.wants("fail", "before", name):
            raise ApplicationError(f"injected: {name} fails", type="Injected", non_retryable=True)
        if (key := self.wants("kill", "before", name)) and self.once("kill", "before", key):
            os.kill(os.getpid(), signal.SIGKILL)

    def after(self, name: str) -> None:
        if (key := self.wants("kill", "after", name)) and self.once("kill", "after", key):
            os.kill(os.getpid(), signal.SIGKILL)
        if key := self.wants("hold", "after", name):
            self._hold(key)

    def killer(self, name: str) -> "_Killer | None":
        """What kills within the step, if that is planned and hasn't happened yet."""
        places = {place for action, place, _ in self.plan if action == "kill"} - {"before", "after"}
        for place in ("inside", *sorted(places - {"inside"})):
            key = self.wants("kill", place, name)
            if key and not (self.folder / f"kill-{place}-{key}").exists():
                return _Killer(self, place, key)
        return None

    def _hold(self, key: str) -> None:
        if not self.once("held", key):
            return
        deadline = time.monotonic() + 60
        while not (self.folder / f"go-{key}").exists():
            if activity.info().heartbeat_timeout:
                activity.heartbeat()
            if time.monotonic() > deadline:
                raise RuntimeError(f"{key} was held for a minute and nobody let it go")
            time.sleep(0.02)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, faults: Faults) -> None:
        super().__init__(next)
        self._faults = faults

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name = activity.info().activity_type
        if inspect.iscoroutinefunction(input.fn):
            input.fn = self._wrapped_coroutine(name, input.fn)
        else:
            input.fn = self._wrapped(name, input.fn)
        return await super().execute_activity(input)

    def _wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        faults = self._faults

        @functools.wraps(function)
        def call(*args: Any) -> Any:
            faults.before(name)
            if killer := faults.killer(name):
                sys.setprofile(killer)
            try:
                result = function(*args)
            finally:
                sys.setprofile(None)
            if faults.wants("twice", "all", "*"):
                result = _same(name, result, function(*args))
            faults.after(name)
            return result

        return call

    def _wrapped_coroutine(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        faults = self._faults

        @functools.wraps(function)
        async def call(*args: Any) -> Any:
            faults.before(name)
            if killer := faults.killer(name):
                sys.setprofile(killer)
            try:
                result = await function(*args)
            finally:
                sys.setprofile(None)
            if faults.wants("twice", "all", "*"):
                result = _same(name, result, await function(*args))
            faults.after(name)
            return result

        return call


class _Killer:
    """A profile function that kills at a call of our own code, with the step's work half done."""

    def __init__(self, faults: Faults, place: str, key: str) -> None:
        self._faults = faults
        self._place = place
        self._key = key
        self._calls = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event != "call" or "/services/" not in frame.f_code.co_filename:
            return
        self._calls += 1
        here = self._calls == INSIDE_CALLS if self._place == "inside" else frame.f_code.co_name == self._place
        if here and self._faults.once("kill", self._place, self._key):
            os.kill(os.getpid(), signal.SIGKILL)


# What differs between two honest executions: how long they took, and whether the thing was there the first time.
_PASSING = {
    *("seconds", "existed", "peak_memory_mb", "new", "known", "report", "history", "status"),
    *("expires", "revoked", "reservations"),
}


def _same(name: str, first: Any, second: Any) -> Any:
    assert _facts(second) == _facts(first), f"{name} gave {second} the second time, {first} the first"
    return second


def _facts(result: Any) -> Any:
    if isinstance(result, BaseModel):
        return _facts(result.model_dump(mode="json"))
    if isinstance(result, dict):
        return {key: _facts(value) for key, value in result.items() if key not in _PASSING}
    if isinstance(result, list):
        return [_facts(value) for value in result]
    return result
