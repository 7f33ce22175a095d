"""Weighing: tries are counted from the records, whoever made them, and what they traded is compared."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain.overfitting import deflated_sharpe, overfitting_probability
from domain.scoring import compute_metrics, equity_curve, trade_rows
from schemas.experiment import ExperimentResult, ExperimentStatus
from schemas.holdout import Evidence, HoldoutReport
from schemas.market import DataSet
from schemas.records import Event
from schemas.steps import WeighInput
from schemas.trading import Costs, Side, Trade
from services.artifacts import Artifacts
from services.engines import cutoffs
from services.market_data import MarketData
from services.records import Records
from services.report.view import ReportView
from services.report.worth import evidence_facts, window_tables
from services.weighing import Weigher
from tests.services.engines.code import definition

COSTS = Costs()
NOW = datetime(2026, 1, 31, tzinfo=UTC)


class Past:
    """Experiments on record, and the judged one's evidence."""

    def __init__(self, home: Path) -> None:
        self.artifacts = Artifacts(home / "artifacts")
        self.market = MarketData(self.artifacts)
        self.records = Records(f"sqlite:///{home / 'records.db'}")
        self.records.migrate()
        self.whole = self.market.load("GOOG")
        self.known = self.market.hold_back(self.whole, 429)
        self.bars = self.market.bars(self.known.digest)

    def trades(self, *spans: tuple[int, int]) -> list[Trade]:
        opens = self.market.bars(self.whole.digest)["Open"].to_numpy()
        return [
            Trade(
                side=Side.LONG,
                size=1000.0,
                entry_bar=one,
                exit_bar=two,
                entry_price=opens[one],
                exit_price=opens[two],
            )
            for one, two in spans
        ]

    def stored(self, trades: list[Trade], data: DataSet | None = None) -> str:
        bars = self.market.bars((data or self.known).digest)
        rows = trade_rows(trades, [], bars, COSTS)
        return self.artifacts.put_json([row.model_dump(mode="json") for row in rows])

    def experiment(
        self,
        name: str,
        *attempts: list[Trade] | None,
        strategy: str = "Test",
        data: DataSet | None = None,
        opened: bool = False,
        at: datetime = NOW,
    ) -> None:
        """On record with its attempts; None is one whose trades couldn't be true."""
        data = data or self.known
        events: list[tuple[str, dict[str, Any]]] = [
            (
                "experiment_opened",
                {"strategy": strategy, "data_sha256": data.digest, "whole_sha256": self.whole.digest},
            )
        ]
        for number, trades in enumerate(attempts, start=1):
            told: dict[str, Any] = {"attempt": number, "metrics": None, "trades": None}
            if trades is not None:
                metrics = compute_metrics(trades, self.bars, COSTS)
                told |= {"metrics": metrics.model_dump(), "trades": self.stored(trades)}
            events.append(("gates_judged", told))
        if opened:
            events.append(("holdout_opened", {"whole_sha256": self.whole.digest, "first": 1719, "bars": 429}))
        self.records.write(
            [
                Event(
                    event_id=f"{name}#{number}",
                    experiment_id=name,
                    sequence=number,
                    at=at,
                    event=event,
                    status=ExperimentStatus.RUNNING if number == 0 else None,
                    data=told,
                )
                for number, (event, told) in enumerate(events)
            ]
        )

    def weighed(
        self,
        trades: list[Trade],
        attempt: int = 1,
        opened: list[Trade] | None = None,
        engine: str = "offline",
    ) -> Evidence:
        holdout = None
        if opened is not None:
            holdout = HoldoutReport(
                whole=self.whole.digest,
                first=1719,
                bars=429,
                gates=[],
                trades=self.stored(opened, self.whole),
            )
        order = WeighInput(
            experiment_id="own",
            strategy="Test",
            engine=engine,
            attempt=attempt,
            data=self.known.digest,
            trades=self.stored(trades),
            holdout=holdout,
            costs=COSTS,
            as_of=NOW,
        )
        return Weigher(self.artifacts, self.market, self.records).weigh(order)


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    made = Past(tmp_path)
    yield made
    made.records.close()


def returns(past: Past, trades: list[Trade]) -> np.ndarray:
    equity = equity_curve(trades, past.bars, COSTS).to_numpy()
    return equity[1:] / equity[:-1] - 1


def test_a_first_try_is_its_own(past: Past) -> None:
    trades = past.trades((100, 400), (600, 900))
    past.experiment("own", trades)
    found = past.weighed(trades, opened=past.trades((100, 400), (600, 900), (1800, 1900)))
    assert (found.tries, found.experiments, found.opened_before, found.variants) == (1, 1, 0, 1)
    assert found.overfitting_probability is None
    assert found.sharpe_deviation is None
    assert found.deflated_sharpe == pytest.approx(deflated_sharpe(returns(past, trades), 1, 0.0))
    assert [window.name for window in found.windows[:3]] == ["in-sample", "out-of-sample", "all"]
    assert [window.trades for window in found.windows[:3]] == [2, 1, 3]


def test_every_try_counts_also_those_that_failed_elsewhere(past: Past) -> None:
    own, worse, other = past.trades((100, 400)), past.trades((50, 90)), past.trades((1000, 1500))
    past.experiment("own", None, worse, own)
    past.experiment("rejected", other, None, opened=True)
    past.experiment("again", own, opened=True)
    past.experiment("stranger", other, strategy="Another", opened=True)
    past.experiment("elsewhere", other, data=past.market.load("EURUSD"))
    past.experiment("later", other, opened=True, at=NOW + timedelta(seconds=1))
    found = past.weighed(own, attempt=3, opened=own)
    # own 3, rejected 2, again 1, and elsewhere: other bars, but of the same whole data, as its opening says
    assert (found.tries, found.experiments, found.opened_before) == (7, 4, 2)
    assert found.variants == 3
    matrix = np.column_stack([returns(past, trades) for trades in (own, other, worse)])
    assert found.overfitting_probability == overfitting_probability(matrix)
    sharpes = [compute_metrics(trades, past.bars, COSTS).sharpe for trades in (worse, own, other, own, other)]
    assert found.sharpe_deviation == pytest.approx(np.std(np.array(sharpes, dtype=float), ddof=1))
    years = (past.bars.index[-1] - past.bars.index[0]).total_seconds() / (365.25 * 86400)
    variance = (found.sharpe_deviation or 0) ** 2 * years / 1718
    assert found.deflated_sharpe == pytest.approx(deflated_sharpe(returns(past, own), 7, variance))
    alone = deflated_sharpe(returns(past, own), 1, 0.0)
    assert alone is not None
    assert found.deflated_sharpe is not None
    assert found.deflated_sharpe < alone


def test_tries_without_a_score_are_worth_what_chance_would_make_of_them(past: Past) -> None:
    own = past.trades((100, 400))
    past.experiment("own", None, own)
    found = past.weighed(own, attempt=2)
    assert (found.tries, found.sharpe_deviation) == (2, None)
    assert found.deflated_sharpe == pytest.approx(deflated_sharpe(returns(past, own), 2, 1 / 1718))


def test_what_the_records_refused_counts_all_the_same(past: Past) -> None:
    own = past.trades((100, 400))
    found = past.weighed(own, attempt=3)
    assert (found.tries, found.experiments) == (3, 1)
    assert [window.name for window in found.windows] == ["all", *(f"{number}/5" for number in range(1, 6))]


def test_trades_that_are_gone_from_the_store_are_a_try_and_no_variant(past: Past) -> None:
    own, other = past.trades((100, 400)), past.trades((1000, 1500))
    past.experiment("own", own)
    past.experiment("gone", other)
    past.artifacts.path(past.stored(other)).unlink()
    found = past.weighed(own)
    assert (found.tries, found.variants, found.overfitting_probability) == (2, 1, None)


def test_the_same_question_has_the_same_answer(past: Past) -> None:
    """A repeated step, though others have gone on meanwhile."""
    own = past.trades((100, 400))
    past.experiment("own", own)
    first = past.weighed(own, opened=own)
    past.experiment("later", past.trades((5, 9)), opened=True, at=NOW + timedelta(milliseconds=1))
    assert past.weighed(own, opened=own) == first


def told(past: Past, engine: str) -> tuple[list[str], list[str]]:
    """The report's columns of what the engine's model may have known, and what it says of that."""
    evidence = past.weighed(past.trades((100, 400), (1500, 1600)), engine=engine)
    result = ExperimentResult(
        experiment_id="own", strategy="Test", status=ExperimentStatus.MERGED, reason="", evidence=evidence
    )
    view = ReportView(result=result, definition=definition())
    tables = [table for table in window_tables(view) if table.title == "What the model may have known"]
    facts = [text for name, text in evidence_facts(view) if name == "model's knowledge"]
    return [column for table in tables for column in table.columns], facts


def test_what_a_model_may_have_known_is_told_by_its_name(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's bars end in 2013, before any listed model's knowledge does."""
    columns, facts = told(past, "openai:gpt-4o-2024-08-06")
    assert columns == ["up to the cut-off"]
    assert facts == [
        "ends on 2023-10-01: all of this data lies before that, so the model may have seen how it went on"
    ]
    monkeypatch.setitem(cutoffs._CUTOFFS, "an-old-one", date(2008, 12, 31))
    columns, facts = told(past, "openai:an-old-one")
    assert columns == ["up to the cut-off", "after it"]
    assert facts == ["ends on 2008-12-31"]
    assert told(past, "openai:nobody-knows") == ([], [])
