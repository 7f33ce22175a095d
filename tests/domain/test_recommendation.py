"""What is recommended: gates first, then the holdout, then thresholds on both sides of the seam; the rest is said."""

from typing import Any

import pytest

from domain.recommendation import missed_thresholds, recommend
from schemas.definition import Thresholds
from schemas.experiment import Verdict
from schemas.gates import Gate, GateReport, GateResult, Outcome
from schemas.holdout import Evidence, HoldoutReport, Window
from schemas.trading import Metrics

METRICS = Metrics(
    bars=1719, start="2004-08-19", end="2011-06-15", equity_final=1.1e6, return_pct=10.0, buy_and_hold_pct=20.0,
    cagr_pct=1.0, volatility_pct=5.0, sharpe=1.2, sortino=1.0, calmar=0.1, max_drawdown_pct=-8.0, max_drawdown_bars=40,
    exposure_pct=30.0, trades=27, win_rate_pct=50.0, profit_factor=1.5, expectancy_pct=0.5, sqn=1.0,
    best_trade_pct=5.0, worst_trade_pct=-3.0, avg_trade_pct=0.4, avg_trade_bars=9.0, max_trade_bars=20,
    max_wins_in_row=3, max_losses_in_row=2,
)  # fmt: skip


def gates(failed: Gate | None = None) -> list[GateResult]:
    return [
        GateResult(
            gate=gate,
            outcome=Outcome.FAILED if gate is failed else Outcome.PASSED,
            summary=f"about {gate}",
        )
        for gate in Gate
    ]


def report(failed: Gate | None = None, metrics: Metrics | None = METRICS) -> GateReport:
    return GateReport(commit="c0ffee", attempt=1, gates=gates(failed), metrics=metrics)


def holdout(failed: Gate | None = None) -> HoldoutReport:
    return HoldoutReport(whole="0" * 64, first=1719, bars=429, gates=gates(failed), trades="1" * 64)


def outside(**more: Any) -> Window:
    fields: dict[str, Any] = {
        "name": "out-of-sample",
        "first": 1719,
        "bars": 429,
        "start": "2011-06-16",
        "end": "2013-03-01",
        "return_pct": 4.5,
        "buy_and_hold_pct": 3.0,
        "sharpe": 0.9,
        "max_drawdown_pct": -6.0,
        "exposure_pct": 20.0,
        "trades": 5,
        "win_rate_pct": 60.0,
    }
    return Window(**(fields | more))


def evidence(window: Window | None = None, **more: Any) -> Evidence:
    fields: dict[str, Any] = {"tries": 3, "experiments": 2, "deflated_sharpe": 0.93, "variants": 1}
    return Evidence(windows=[window] if window else [], **(fields | more))


def test_a_failed_gate_decides_before_all_else() -> None:
    found = recommend(report(Gate.CONFORMS), None, None)
    assert (found.verdict, found.reason) == (Verdict.ROLLBACK, "gate conforms failed: about conforms")
    assert recommend(report(metrics=None), None, None).verdict is Verdict.ROLLBACK
    nothing = GateReport(commit="c0ffee", attempt=1, gates=[])
    assert recommend(nothing, None, None).reason == "the code was never tried out"


def test_what_fails_in_the_holdout_is_rolled_back() -> None:
    found = recommend(report(), holdout(Gate.NO_LOOKAHEAD), evidence(outside()))
    assert found.verdict is Verdict.ROLLBACK
    assert found.reason == "in the holdout, gate no_lookahead failed: about no_lookahead"


def test_the_reason_says_what_the_result_is_worth() -> None:
    found = recommend(
        report(),
        holdout(),
        evidence(outside(), opened_before=2, variants=4, overfitting_probability=0.25),
        Thresholds(),
    )
    assert found.verdict is Verdict.MERGE
    assert found.reason == (
        "all 9 gates passed: 27 trades, return +10.00 %. In the holdout of 429 bars: 5 trades, return +4.50 %, Sharpe "
        "0.90. This holdout had been opened before, by 2 experiments. After 3 tries the Sharpe ratio is above 0 with "
        "probability 0.93. The probability of overfitting among 4 variants is 0.25."
    )


def test_a_bad_probability_alone_changes_no_verdict() -> None:
    found = recommend(report(), None, evidence(deflated_sharpe=0.01, overfitting_probability=1.0))
    assert found.verdict is Verdict.MERGE
    assert "probability 0.01" in found.reason


def test_a_holdout_without_trades_is_said_and_not_held_against_it() -> None:
    idle = outside(trades=0, carried=0, exposure_pct=0.0, sharpe=None, return_pct=0.0)
    bounds = Thresholds(min_sharpe=1.0, max_drawdown=10.0, min_trades=27)
    found = recommend(report(), holdout(), evidence(idle), bounds)
    assert found.verdict is Verdict.MERGE
    assert "In the holdout of 429 bars: no trade, so it says nothing." in found.reason


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        (Thresholds(min_sharpe=1.0), ["Sharpe ratio in the holdout is 0.90, at least 1 asked for"]),
        (Thresholds(min_sharpe=1.5), ["Sharpe ratio is 1.20", "Sharpe ratio in the holdout is 0.90"]),
        (Thresholds(max_drawdown=7.0), ["worst drawdown 8.00 %, at most 7 % allowed"]),
        (Thresholds(max_drawdown=5.0), ["worst drawdown 8.00 %", "worst drawdown in the holdout 6.00 %"]),
        (Thresholds(min_trades=32), []),
        (Thresholds(min_trades=33), ["32 trades, at least 33 asked for"]),
        (Thresholds(min_deflated_sharpe=0.93), []),
        (Thresholds(min_deflated_sharpe=0.95), ["deflated Sharpe ratio is 0.93, at least 0.95 asked for"]),
    ],
)
def test_thresholds_are_asked_of_both_sides(bounds: Thresholds, told: list[str]) -> None:
    found = recommend(report(), holdout(), evidence(outside()), bounds, Thresholds())
    assert found.verdict is (Verdict.MERGE_WITH_ADAPTATIONS if told else Verdict.MERGE)
    assert len(found.adaptations) == len(told)
    for item, start in zip(found.adaptations, told, strict=True):
        assert item.startswith(start)


def test_what_cannot_be_computed_misses_what_was_asked_for() -> None:
    bounds = Thresholds(min_deflated_sharpe=0.5, min_sharpe=0.1)
    unknown = METRICS.model_copy(update={"sharpe": None})
    missed = missed_thresholds(unknown, None, evidence(deflated_sharpe=None), bounds)
    assert [item.partition(",")[0] for item in missed] == [
        "Sharpe ratio can't be computed",
        "deflated Sharpe ratio can't be computed",
    ]
    assert len(missed_thresholds(METRICS, None, None, bounds)) == 1


def test_the_same_threshold_from_two_sources_is_told_once() -> None:
    bounds = Thresholds(min_sharpe=2.0)
    assert len(missed_thresholds(METRICS, None, None, bounds, bounds)) == 1
