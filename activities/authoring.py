"""Code is written, repaired and validated; each version is a commit on the experiment's own branch."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import passing, permanent
from activities.trying import beat
from schemas.steps import (
    AdoptInput,
    BranchGone,
    BranchRef,
    Committed,
    FixInput,
    FixOutput,
    GenerateInput,
    Validated,
    ValidateInput,
)

if TYPE_CHECKING:
    from services.authoring import Author


class Authoring:
    def __init__(self, author: "Author") -> None:
        self._author = author

    @activity.defn(no_thread_cancel_exception=True)
    def generate_code(self, order: GenerateInput) -> Committed:
        with permanent(*self._author.permanent_errors), passing(*self._author.passing_errors):
            return self._author.generate(order, on_wait=beat)

    @activity.defn(no_thread_cancel_exception=True)
    def adopt_code(self, order: AdoptInput) -> Committed:
        with permanent(*self._author.permanent_errors):
            return self._author.adopt(order)

    @activity.defn(no_thread_cancel_exception=True)
    def fix_code(self, order: FixInput) -> FixOutput:
        with permanent(*self._author.permanent_errors), passing(*self._author.passing_errors):
            return self._author.fix(order, on_wait=beat)

    @activity.defn(no_thread_cancel_exception=True)
    def validate_code(self, order: ValidateInput) -> Validated:
        with permanent(*self._author.permanent_errors):
            return self._author.validate(order)

    @activity.defn(no_thread_cancel_exception=True)
    def delete_branch(self, branch: BranchRef) -> BranchGone:
        return self._author.delete_branch(branch)
