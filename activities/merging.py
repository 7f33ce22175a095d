"""Judged code enters the library."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import permanent
from schemas.library import MergeOutcome
from schemas.steps import MergeInput

if TYPE_CHECKING:
    from services.merging import Merger


class Merging:
    def __init__(self, merger: "Merger") -> None:
        self._merger = merger

    @activity.defn(no_thread_cancel_exception=True)
    def merge_strategy(self, order: MergeInput) -> MergeOutcome:
        with permanent(*self._merger.permanent_errors):
            return self._merger.merge(order)
