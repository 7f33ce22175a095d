"""What the report says of a result's worth: windows side by side, the holdout, the tries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from domain.windows import KNOWN
from schemas.holdout import Evidence, Window
from services.report.scales import moment, number, percent
from services.report.view import ReportView


@dataclass(frozen=True)
class WindowTable:
    """Windows as columns; each row has a name and a text for each of them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


def window_tables(view: ReportView) -> list[WindowTable]:
    windows = view.result.evidence.windows if view.result.evidence else []
    walk = [window for window in windows if "/" in window.name]
    parts = [window for window in windows if "/" not in window.name]
    known = view.result.evidence.knowledge if view.result.evidence else []
    titled = (
        ("Before and in the holdout" if len(parts) > 1 else "All bars", parts),
        ("Walk forward", walk),
        ("What the model may have known", known),
    )
    return [_table(title, found) for title, found in titled if found]


def _table(title: str, windows: Sequence[Window]) -> WindowTable:
    rows = [
        ("from", [moment(window.start) for window in windows]),
        ("to", [moment(window.end) for window in windows]),
        ("bars", [number(window.bars) for window in windows]),
        ("return", [percent(window.return_pct, sign=True) for window in windows]),
        ("buy and hold", [percent(window.buy_and_hold_pct, sign=True) for window in windows]),
        ("Sharpe", [number(window.sharpe) for window in windows]),
        ("worst drawdown", [percent(window.max_drawdown_pct) for window in windows]),
        ("exposure", [percent(window.exposure_pct) for window in windows]),
        ("trades", [number(window.trades) for window in windows]),
        ("open from before", [number(window.carried) for window in windows]),
        ("won", [percent(window.win_rate_pct) for window in windows]),
    ]
    return WindowTable(title, [window.name for window in windows], rows)


def evidence_facts(view: ReportView) -> list[tuple[str, str]]:
    """Names and values; empty where nothing was weighed."""
    found = view.result.evidence
    if found is None:
        return []
    return [
        ("holdout", _holdout(view)),
        *([("opened before", _opened(found))] if view.result.holdout else []),
        ("tries", _tries(found)),
        ("deflated Sharpe", _deflated(found)),
        ("probability of overfitting", _overfitting(found)),
        *([("model's knowledge", _knowledge(found.cutoff, found))] if found.cutoff else []),
    ]


def _knowledge(cutoff: date, found: Evidence) -> str:
    said = f"ends on {cutoff:%Y-%m-%d}"
    if [window.name for window in found.knowledge] == [KNOWN]:
        return f"{said}: all of this data lies before that, so the model may have seen how it went on"
    return said


def _holdout(view: ReportView) -> str:
    opened = view.result.holdout
    if opened is None:
        return "none; every bar was known while the code was written"
    failed = [gate.gate.value for gate in opened.gates if gate.outcome.value != "passed"]
    said = f"{', '.join(failed)} failed" if failed else "every gate passed"
    return f"{opened.bars:,} bars from bar {opened.first:,}, opened once at the decision: {said}"


def _opened(found: Evidence) -> str:
    if not found.opened_before:
        return "no"
    return f"in {_experiments(found.opened_before)}: what was seen there may have found its way into this one"


def _tries(found: Evidence) -> str:
    return f"{found.tries} of this strategy on this data, in {_experiments(found.experiments)}"


def _experiments(number: int) -> str:
    return "one experiment" if number == 1 else f"{number:,} experiments"


def _deflated(found: Evidence) -> str:
    if found.deflated_sharpe is None:
        return "can't be computed"
    return (
        f"{found.deflated_sharpe:.3f}, the probability that the true Sharpe ratio is above 0, given the tries"
    )


def _overfitting(found: Evidence) -> str:
    if found.overfitting_probability is None:
        return "needs at least two different results on this data"
    return f"{found.overfitting_probability:.3f} among {found.variants} variants"
