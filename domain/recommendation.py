"""What is recommended, from the gates, the holdout and the thresholds, with the reason in words."""

from collections.abc import Iterator, Sequence

from schemas.definition import Thresholds
from schemas.experiment import Recommendation, Verdict
from schemas.gates import GateReport, GateResult, Outcome
from schemas.holdout import Evidence, HoldoutReport, Window
from schemas.trading import Metrics


def recommend(
    report: GateReport, holdout: HoldoutReport | None, evidence: Evidence | None, *thresholds: Thresholds
) -> Recommendation:
    """`merge` where every gate passes, `merge_with_adaptations` where thresholds are missed, else `rollback`.

    How likely the result was found by chance is said, and decides nothing unless a threshold asks for it.
    """
    metrics = report.metrics
    if not report.passed or not report.gates or metrics is None:
        return _rollback(report.gates, "gate", "the code was never tried out")
    if holdout and not holdout.passed:
        return _rollback(holdout.gates, "in the holdout, gate", "the holdout was not judged")
    outside = window_of(evidence, "out-of-sample")
    worth = list(_worth(outside, evidence))
    if missed := missed_thresholds(metrics, outside, evidence, *thresholds):
        passed = f"every gate passed, but {_count(len(missed), 'threshold')} missed"
        return Recommendation(
            verdict=Verdict.MERGE_WITH_ADAPTATIONS, reason=_sentences(passed, worth), adaptations=missed
        )
    figures = f"{_count(metrics.trades, 'trade')}, return {metrics.return_pct:+.2f} %"
    passed = f"all {len(report.gates)} gates passed: {figures}"
    return Recommendation(verdict=Verdict.MERGE, reason=_sentences(passed, worth))


def missed_thresholds(
    metrics: Metrics, outside: Window | None, evidence: Evidence | None, *sources: Thresholds
) -> list[str]:
    """Each threshold that is missed, as a sentence that names what to adapt. Of several sources all hold.

    With a holdout, drawdown and Sharpe ratio are asked of what lies before it and of itself, the number of trades of
    both together. Of a holdout in which nothing was held nothing is asked.
    """
    missed: dict[str, None] = {}
    if outside and not outside.exposure_pct:
        outside = None
    trades = metrics.trades + (outside.trades if outside else 0)
    for bounds in sources:
        if bounds.min_trades is not None and trades < bounds.min_trades:
            missed[
                f"{trades} trades, at least {bounds.min_trades} asked for: loosen the entry rules, or try longer data"
            ] = None
        for where, part in (("", metrics), (" in the holdout", outside)):
            if part:
                missed |= dict.fromkeys(_missed_in(part, where, bounds))
        deflated = evidence.deflated_sharpe if evidence else None
        if bounds.min_deflated_sharpe is not None and (
            deflated is None or deflated < bounds.min_deflated_sharpe
        ):
            found = "can't be computed" if deflated is None else f"is {deflated:.2f}"
            missed[
                f"deflated Sharpe ratio {found}, at least {bounds.min_deflated_sharpe:g} asked for: fewer tries or "
                "longer data would make the result worth more"
            ] = None
    return list(missed)


def window_of(evidence: Evidence | None, name: str) -> Window | None:
    return next((window for window in evidence.windows if window.name == name), None) if evidence else None


def _missed_in(part: Metrics | Window, where: str, bounds: Thresholds) -> Iterator[str]:
    if bounds.max_drawdown is not None and -part.max_drawdown_pct > bounds.max_drawdown:
        yield (
            f"worst drawdown{where} {-part.max_drawdown_pct:.2f} %, at most {bounds.max_drawdown:g} % allowed: tighten "
            "the stop or make positions smaller"
        )
    if bounds.min_sharpe is not None and (part.sharpe is None or part.sharpe < bounds.min_sharpe):
        found = "can't be computed" if part.sharpe is None else f"is {part.sharpe:.2f}"
        yield (
            f"Sharpe ratio{where} {found}, at least {bounds.min_sharpe:g} asked for: the rules earn too little for "
            "their risk"
        )


def _rollback(gates: Sequence[GateResult], word: str, otherwise: str) -> Recommendation:
    failed = [gate for gate in gates if gate.outcome is Outcome.FAILED]
    reason = "; ".join(f"{word} {gate.gate} failed: {gate.summary}" for gate in failed)
    return Recommendation(verdict=Verdict.ROLLBACK, reason=reason or otherwise)


def _worth(outside: Window | None, evidence: Evidence | None) -> Iterator[str]:
    """What the result is worth, a sentence each."""
    if outside:
        if outside.trades or outside.carried:
            sharpe = "" if outside.sharpe is None else f", Sharpe {outside.sharpe:.2f}"
            said = f"{_count(outside.trades, 'trade')}, return {outside.return_pct:+.2f} %{sharpe}"
        else:
            said = "no trade, so it says nothing"
        yield f"In the holdout of {outside.bars} bars: {said}"
        if evidence and evidence.opened_before:
            yield f"This holdout had been opened before, by {_count(evidence.opened_before, 'experiment')}"
    if evidence and evidence.deflated_sharpe is not None:
        tries = "one try" if evidence.tries == 1 else f"{evidence.tries} tries"
        yield f"After {tries} the Sharpe ratio is above 0 with probability {evidence.deflated_sharpe:.2f}"
    if evidence and evidence.overfitting_probability is not None:
        yield (
            f"The probability of overfitting among {evidence.variants} variants is "
            f"{evidence.overfitting_probability:.2f}"
        )


def _sentences(first: str, more: Sequence[str]) -> str:
    return ". ".join([first, *more]) + "." if more else first


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
