"""What a result is worth is reckoned: a step of its own, on any worker."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import permanent
from schemas.holdout import Evidence
from schemas.steps import WeighInput

if TYPE_CHECKING:
    from services.weighing import Weigher


class Weighing:
    def __init__(self, weigher: "Weigher") -> None:
        self._weigher = weigher

    @activity.defn(no_thread_cancel_exception=True)
    def weigh_result(self, order: WeighInput) -> Evidence:
        with permanent(*self._weigher.permanent_errors):
            return self._weigher.weigh(order)
