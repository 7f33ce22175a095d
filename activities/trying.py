"""Code is tried: a sandbox is leased, used, and destroyed, all on the host that holds it."""

from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.exceptions import CancelledError

from activities.failures import passing, permanent
from schemas.gates import GateReport
from schemas.holdout import HoldoutReport
from schemas.steps import HoldoutInput, LeaseAnswer, LeaseInput, SandboxGone, SandboxRef, TryOutInput

if TYPE_CHECKING:
    from services.trying import TryOuts


def beat() -> None:
    """Say that there is progress, and end here if the step was cancelled.

    Called where ending is safe; the SDK's own way, an exception at any line of the thread, is switched off.
    """
    activity.heartbeat()
    if activity.is_cancelled():
        raise CancelledError("the step was cancelled")


class Trying:
    def __init__(self, try_outs: "TryOuts") -> None:
        self._try_outs = try_outs

    @activity.defn(no_thread_cancel_exception=True)
    def lease_sandbox(self, order: LeaseInput) -> LeaseAnswer:
        with permanent(*self._try_outs.permanent_errors):
            return self._try_outs.lease(order, on_wait=beat)

    @activity.defn(no_thread_cancel_exception=True)
    def try_out(self, order: TryOutInput) -> GateReport:
        with permanent(*self._try_outs.permanent_errors), passing(*self._try_outs.passing_errors):
            return self._try_outs.try_out(order, on_wait=beat)

    @activity.defn(no_thread_cancel_exception=True)
    def open_holdout(self, order: HoldoutInput) -> HoldoutReport:
        with permanent(*self._try_outs.permanent_errors), passing(*self._try_outs.passing_errors):
            return self._try_outs.open_holdout(order, on_wait=beat)

    @activity.defn(no_thread_cancel_exception=True)
    def destroy_sandbox(self, sandbox: SandboxRef) -> SandboxGone:
        return self._try_outs.destroy(sandbox)
