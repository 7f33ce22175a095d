"""What an experiment had reserved of its budget and of the day's ends with it."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import permanent
from schemas.steps import BudgetRef, BudgetReleased

if TYPE_CHECKING:
    from services.budget import Budgets


class Accounting:
    def __init__(self, budgets: "Budgets") -> None:
        self._budgets = budgets

    @activity.defn(no_thread_cancel_exception=True)
    def release_budget(self, ref: BudgetRef) -> BudgetReleased:
        with permanent(*self._budgets.permanent_errors):
            return BudgetReleased(reservations=self._budgets.release(ref.experiment_id))
