"""What is recommended, from the gates and the thresholds, with the reason in words."""

from collections.abc import Sequence

from schemas.definition import Thresholds
from schemas.experiment import Recommendation, Verdict
from schemas.gates import GateResult, Outcome
from schemas.trading import Metrics


def missed_thresholds(metrics: Metrics, *sources: Thresholds) -> list[str]:
    """Each threshold that is missed, as a sentence that names what to adapt. Of several sources all hold."""
    missed: dict[str, None] = {}
    for bounds in sources:
        if bounds.min_trades is not None and metrics.trades < bounds.min_trades:
            missed[
                f"{metrics.trades} trades, at least {bounds.min_trades} asked for: loosen the entry rules, or try "
                "longer data"
            ] = None
        if bounds.max_drawdown is not None and -metrics.max_drawdown_pct > bounds.max_drawdown:
            missed[
                f"worst drawdown {-metrics.max_drawdown_pct:.2f} %, at most {bounds.max_drawdown:g} % allowed: "
                "tighten the stop or make positions smaller"
            ] = None
        if bounds.min_sharpe is not None and (metrics.sharpe is None or metrics.sharpe < bounds.min_sharpe):
            found = "can't be computed" if metrics.sharpe is None else f"is {metrics.sharpe:.2f}"
            missed[
                f"Sharpe ratio {found}, at least {bounds.min_sharpe:g} asked for: the rules earn too little for their "
                "risk"
            ] = None
    return list(missed)


def recommend(
    gates: Sequence[GateResult], metrics: Metrics | None, *thresholds: Thresholds
) -> Recommendation:
    """`merge` where every gate passes, `merge_with_adaptations` where thresholds are missed, else `rollback`."""
    open_gates = [gate for gate in gates if gate.outcome is not Outcome.PASSED]
    if open_gates or not gates or metrics is None:
        failed = [gate for gate in open_gates if gate.outcome is Outcome.FAILED]
        reason = "; ".join(f"gate {gate.gate} failed: {gate.summary}" for gate in failed)
        return Recommendation(verdict=Verdict.ROLLBACK, reason=reason or "the code was never tried out")
    if missed := missed_thresholds(metrics, *thresholds):
        return Recommendation(
            verdict=Verdict.MERGE_WITH_ADAPTATIONS,
            reason=f"every gate passed, but {len(missed)} threshold{'s' if len(missed) > 1 else ''} missed",
            adaptations=missed,
        )
    return Recommendation(
        verdict=Verdict.MERGE,
        reason=f"all {len(gates)} gates passed: {metrics.trades} trades, return {metrics.return_pct:+.2f} %",
    )
