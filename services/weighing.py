"""Weighing a result: how many tries it took, how likely it was found by chance, how it fares window by window."""

import statistics
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from domain.overfitting import deflated_sharpe, overfitting_probability
from domain.scoring import equity_curve
from domain.windows import measure_knowledge, measure_windows
from schemas.code import Digest
from schemas.holdout import Evidence, Window
from schemas.records import AuditRow
from schemas.steps import WeighInput
from schemas.trading import Costs, Trade, TradeRow
from services.artifacts import ArtifactError, ArtifactMissing, Artifacts
from services.engines.cutoffs import knowledge_cutoff
from services.market_data import MarketData
from services.records import Records

MOST_EVENTS = 100_000
"""Newest events of a kind that are read; older ones aren't counted."""
MOST_VARIANTS = 100
"""Newest different results that are compared."""

Floats = npt.NDArray[np.float64]


class Weigher:
    """Knows all tries from the records, and what they traded from the artifacts."""

    permanent_errors: tuple[type[Exception], ...] = (ArtifactMissing,)

    def __init__(self, artifacts: Artifacts, market: MarketData, records: Records) -> None:
        self._artifacts = artifacts
        self._market = market
        self._records = records

    def weigh(self, order: WeighInput) -> Evidence:
        """What was recorded by `order.as_of` counts; this experiment's attempts do in any case."""
        whole = order.holdout.whole if order.holdout else None
        opened = self._events(order, "experiment_opened")
        used = {event.experiment_id: (event.data.get("data_sha256"), _whole(event)) for event in opened}
        tries = [
            event
            for event in self._events(order, "gates_judged")
            if {order.data, whole} & {*used.get(event.experiment_id, ())} - {None}
        ]
        others = [event for event in tries if event.experiment_id != order.experiment_id]
        bars = self._market.bars(order.data)
        returns = _returns(self._trades(order.trades), bars, order.costs)
        count = len(others) + max(len(tries) - len(others), order.attempt)
        sharpes = [float(sharpe) for event in tries if (sharpe := _sharpe(event)) is not None]
        deviation = statistics.stdev(sharpes) if len(sharpes) > 1 else None
        alike = [event for event in tries if used[event.experiment_id][0] == order.data]
        variants = [returns, *self._variants(order, alike, bars)]
        openings = self._events(order, "holdout_opened")
        cutoff = knowledge_cutoff(order.engine)
        return Evidence(
            tries=count,
            experiments=len({event.experiment_id for event in others} | {order.experiment_id}),
            opened_before=len(
                {
                    event.experiment_id
                    for event in openings
                    if _whole(event) == whole and event.experiment_id != order.experiment_id
                }
            ),
            sharpe_deviation=deviation,
            deflated_sharpe=deflated_sharpe(returns, count, _variance(deviation, bars)),
            variants=len(variants),
            overfitting_probability=overfitting_probability(np.column_stack(variants)),
            windows=self._windows(order, bars),
            cutoff=cutoff,
            knowledge=measure_knowledge(*self._judged(order, bars), order.costs, cutoff) if cutoff else [],
        )

    def _events(self, order: WeighInput, name: str) -> list[AuditRow]:
        found = self._records.audit(strategy=order.strategy, event=name, limit=MOST_EVENTS)
        return [event for event in found if event.at <= order.as_of]

    def _trades(self, digest: Digest) -> list[Trade]:
        return [TradeRow.model_validate(row).plain() for row in self._artifacts.get_json(digest)]

    def _variants(self, order: WeighInput, tries: Sequence[AuditRow], bars: pd.DataFrame) -> Iterator[Floats]:
        """The returns of the other tries on these bars, newest first, each list of trades once."""
        digests = dict.fromkeys(
            digest
            for event in reversed(tries)
            if isinstance(digest := event.data.get("trades"), str) and digest != order.trades
        )
        for digest in list(digests)[: MOST_VARIANTS - 1]:
            try:
                yield _returns(self._trades(digest), bars, order.costs)
            except ArtifactError:
                continue  # removed from the store since; it counts as a try all the same

    def _windows(self, order: WeighInput, bars: pd.DataFrame) -> list[Window]:
        opened = order.holdout
        held = opened.bars if opened and opened.trades else 0
        return measure_windows(*self._judged(order, bars), order.costs, held)

    def _judged(self, order: WeighInput, bars: pd.DataFrame) -> tuple[list[Trade], pd.DataFrame]:
        """The trades and bars of the whole data where the holdout was opened and could be judged, else in-sample."""
        opened = order.holdout
        if opened is None or opened.trades is None:
            return self._trades(order.trades), bars
        return self._trades(opened.trades), self._market.bars(opened.whole)


def _whole(event: AuditRow) -> str | None:
    found = event.data.get("whole_sha256")
    return found if isinstance(found, str) else None


def _sharpe(event: AuditRow) -> float | None:
    metrics = event.data.get("metrics")
    return metrics.get("sharpe") if isinstance(metrics, dict) else None


def _returns(trades: Sequence[Trade], bars: pd.DataFrame, costs: Costs) -> Floats:
    """From close to close; 0 once nothing is left."""
    equity = equity_curve(trades, bars, costs).to_numpy(dtype=np.float64)
    returns: Floats = np.divide(equity[1:], equity[:-1], out=np.ones(len(equity) - 1), where=equity[:-1] > 0)
    return returns - 1


def _variance(deviation: float | None, bars: pd.DataFrame) -> float:
    """Of the tries' Sharpe ratios, for one bar. Where too few are known, what chance alone would make of them."""
    if deviation is None:
        return 1 / max(len(bars) - 1, 1)
    years = (bars.index[-1] - bars.index[0]).total_seconds() / (365.25 * 86400)
    return deviation**2 * years / (len(bars) - 1) if years > 0 else 0.0
