"""The desk where a run takes decisions and words to stop, and refuses what comes late, twice or for another commit."""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from schemas.experiment import Decision, DecisionAction, DecisionReceipt, ExperimentStatus
    from workflows.journal import Ending, Journal
    from workflows.messages import MessageError, decision_from


@dataclass
class Desk:
    """Only takes down; the story acts. `stop` may also be set by the deadline and by Temporal's own cancel."""

    experiment_id: str
    journal: Journal
    decision: Decision | None = None
    stop: Ending | None = None

    def refusal(self, decision: Decision) -> str | None:
        """Why a decision can't be taken; None if it can."""
        name, status = self.experiment_id, self.journal.status
        if self.journal.ending:
            return f"{name} has ended ({status}); nothing was changed"
        if self.stop:
            return f"{name} is being stopped ({self.stop.reason}); nothing was changed"
        if status is ExperimentStatus.MERGING or (
            self.decision and self.decision.action is DecisionAction.APPROVE
        ):
            return f"{name} is being merged; nothing was changed"
        if self.decision:
            return f"{name} was decided already ({self.decision.action} by {self.decision.by}); nothing was changed"
        waits = status is ExperimentStatus.WAITING
        if not waits and decision.action is not DecisionAction.CANCEL:
            return f"{name} is not waiting for a decision (it is at step {self.journal.here}); nothing was changed"
        judged = self.journal.judged or ""
        if decision.commit and not judged.startswith(decision.commit):
            last = "what waits for a decision is" if waits else "what was judged last is"
            return f"commit {decision.commit} was not judged; {last} {judged or 'nothing'}"
        return None

    def accept(self, decision: Decision) -> DecisionReceipt:
        if decision.action is DecisionAction.CANCEL:
            words = f": {decision.comment}" if decision.comment else ""
            self.stop = Ending(ExperimentStatus.CANCELLED, f"cancelled by {decision.by}{words}", decision.by)
        else:
            self.decision = decision
        done = {"approve": "approved", "reject": "rejected", "cancel": "being cancelled"}[decision.action]
        return DecisionReceipt(
            experiment_id=self.experiment_id,
            action=decision.action,
            commit=self.journal.judged,
            message=f"{self.experiment_id} is {done}",
        )

    def signalled(self, action: DecisionAction, message: RawValue) -> None:
        """A signal has no answer: what is refused is told in the run's details and on the record."""
        try:
            decision = decision_from(action, message)
            refusal = self.refusal(decision)
        except MessageError as error:
            decision, refusal = Decision(action=action), str(error)
        if refusal is None:
            self.accept(decision)
            return
        self.journal.notice(f"refused: {refusal}")
        self.journal.emit("decision_refused", actor=decision.by, action=action, reason=refusal)
