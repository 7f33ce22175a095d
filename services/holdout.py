"""Judging the run on all bars, once the holdout is opened."""

import time
from collections.abc import Sequence

import pandas as pd

from domain.holdout import changed_before
from schemas.gates import Gate
from schemas.holdout import HoldoutReport
from schemas.sandbox import TrialResult
from schemas.steps import HoldoutInput
from schemas.trading import Trade, TradeRow
from services.artifacts import Artifacts
from services.judging import Judge, Tried


class HoldoutJudge(Judge):
    """Asks the gates that one run can answer: does it still load and run, are its trades true, do they conform and keep
    the limits, and is everything before the holdout as it was. That it trades within the holdout isn't asked.
    """

    def __init__(self, order: HoldoutInput, source: str, bars: pd.DataFrame, artifacts: Artifacts) -> None:
        super().__init__(order, source, bars, artifacts)
        self._gates = []
        self._first = order.first
        self._before = [TradeRow.model_validate(row).plain() for row in artifacts.get_json(order.trades)]

    def judge_opening(self, result: TrialResult) -> HoldoutReport:
        self._clock, rows = time.perf_counter(), None
        if self._runs(result) and (trades := self._verified(result)) is not None:
            rows = self._asked_of_trades(trades, Tried({}, result, None))
        return HoldoutReport(
            whole=self._order.data,
            first=self._first,
            bars=len(self._bars) - self._first,
            gates=self._gates,
            trades=rows,
        )

    def _knows_no_future(self, trades: Sequence[Trade], tried: Tried) -> None:
        if changed := changed_before(self._first, self._before, trades):
            self._fail(
                Gate.NO_LOOKAHEAD, "trades before the holdout are others, now that it is there", changed
            )
        else:
            self._pass(Gate.NO_LOOKAHEAD, f"before bar {self._first} nothing has changed")
