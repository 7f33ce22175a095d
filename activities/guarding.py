"""An experiment's token: issued before anything needs it, revoked at the end. It never leaves the worker."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import passing, permanent
from schemas.secrets import Issued, IssueInput, TokensGone, TokensRef

if TYPE_CHECKING:
    from services.secrets.guard import Guard


class Guarding:
    def __init__(self, guard: "Guard") -> None:
        self._guard = guard

    @activity.defn(no_thread_cancel_exception=True)
    def issue_token(self, order: IssueInput) -> Issued:
        with permanent(*self._guard.permanent_errors), passing(*self._guard.passing_errors):
            return self._guard.issue(order)

    @activity.defn(no_thread_cancel_exception=True)
    def revoke_tokens(self, ref: TokensRef) -> TokensGone:
        with passing(*self._guard.passing_errors):
            return self._guard.revoke(ref)
