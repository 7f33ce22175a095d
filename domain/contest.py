"""Which of several candidates goes on."""

from collections.abc import Sequence

from schemas.candidates import CandidateOutcome
from schemas.gates import Outcome


def best_of(outcomes: Sequence[CandidateOutcome]) -> CandidateOutcome | None:
    """The best one that was judged: whoever passed its gates, then more gates passed, the higher Sharpe ratio, the
    higher return, fewer attempts, and at last the lower number. None where none was judged."""
    judged = [outcome for outcome in outcomes if outcome.report is not None]
    return max(judged, key=_merit, default=None)


def _merit(outcome: CandidateOutcome) -> tuple[bool, int, float, float, int, int]:
    report = outcome.report
    assert report is not None
    metrics = report.metrics
    lowest = float("-inf")
    return (
        report.passed,
        sum(gate.outcome is Outcome.PASSED for gate in report.gates),
        metrics.sharpe if metrics and metrics.sharpe is not None else lowest,
        metrics.return_pct if metrics else lowest,
        -outcome.attempts,
        -outcome.number,
    )
