"""What the report's tables say: names and texts, no markup."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.definition import StrategyDefinition
from schemas.experiment import ExperimentStatus, Verdict
from schemas.gates import Outcome
from schemas.trading import Costs, Metrics
from services.report.charts import buy_and_hold, drawdown
from services.report.scales import moment, number, percent
from services.report.view import ReportView

STATUS = {
    ExperimentStatus.RUNNING: ("running", "plain"),
    ExperimentStatus.WAITING: ("waiting for a decision", "warn"),
    ExperimentStatus.MERGING: ("merging", "plain"),
    ExperimentStatus.MERGED: ("merged", "good"),
    ExperimentStatus.ROLLED_BACK: ("rolled back", "bad"),
    ExperimentStatus.CANCELLED: ("cancelled", "plain"),
    ExperimentStatus.DRY_RUN: ("dry run", "plain"),
    ExperimentStatus.FAILED: ("failed", "bad"),
}
VERDICT = {
    Verdict.MERGE: ("merge", "good"),
    Verdict.MERGE_WITH_ADAPTATIONS: ("merge with adaptations", "warn"),
    Verdict.ROLLBACK: ("rollback", "bad"),
}
OUTCOME = {
    Outcome.PASSED: ("✓", "passed", "good"),
    Outcome.FAILED: ("✗", "failed", "bad"),
    Outcome.NOT_RUN: ("–", "not run", "plain"),
}


@dataclass(frozen=True)
class Row:
    """One metric: the strategy's value and, where there is one, buy-and-hold's."""

    name: str
    strategy: str
    held: str = ""


def metric_groups(view: ReportView) -> list[tuple[str, list[Row]]]:
    metrics = view.result.metrics
    if metrics is None:
        return []
    return [
        ("Result", _result(metrics, view)),
        ("Risk", _risk(metrics, view)),
        ("Trades", _trades(metrics)),
    ]


def _result(metrics: Metrics, view: ReportView) -> list[Row]:
    cash = view.costs.cash
    return [
        Row(
            "final equity", number(metrics.equity_final), number(cash * (1 + metrics.buy_and_hold_pct / 100))
        ),
        Row("return", percent(metrics.return_pct, sign=True), percent(metrics.buy_and_hold_pct, sign=True)),
        *_stressed(view),
        Row("return a year (CAGR)", percent(metrics.cagr_pct, sign=True)),
        Row("exposure", percent(metrics.exposure_pct), percent(100.0)),
        Row("bars", number(metrics.bars), number(metrics.bars)),
    ]


def _stressed(view: ReportView) -> list[Row]:
    if view.result.stressed is None or view.costs.free:
        return []
    return [Row("return at twice the costs", percent(view.result.stressed.return_pct, sign=True))]


def _risk(metrics: Metrics, view: ReportView) -> list[Row]:
    bars = None if view.bars is None else view.bars.iloc[: view.seam]
    held = drawdown(buy_and_hold(bars, view.costs.cash)) if bars is not None else np.array([])
    worst = float(np.nanmin(held)) if np.isfinite(held).any() else None
    return [
        Row("worst drawdown", percent(metrics.max_drawdown_pct), percent(worst)),
        Row("longest drawdown, bars", number(metrics.max_drawdown_bars)),
        Row("volatility a year", percent(metrics.volatility_pct)),
        Row("Sharpe", number(metrics.sharpe)),
        Row("Sortino", number(metrics.sortino)),
        Row("Calmar", number(metrics.calmar)),
    ]


def _trades(metrics: Metrics) -> list[Row]:
    return [
        Row("trades", number(metrics.trades)),
        Row("won", percent(metrics.win_rate_pct)),
        Row("profit factor", number(metrics.profit_factor)),
        Row("expectancy", percent(metrics.expectancy_pct, sign=True)),
        Row("SQN", number(metrics.sqn)),
        Row("best trade", percent(metrics.best_trade_pct, sign=True)),
        Row("worst trade", percent(metrics.worst_trade_pct, sign=True)),
        Row("average trade", percent(metrics.avg_trade_pct, sign=True)),
        Row("average length, bars", number(metrics.avg_trade_bars, 1)),
        Row("longest trade, bars", number(metrics.max_trade_bars)),
        Row("wins in a row", number(metrics.max_wins_in_row)),
        Row("losses in a row", number(metrics.max_losses_in_row)),
    ]


def headline(view: ReportView) -> list[tuple[str, str, str]]:
    """The few numbers that are looked for first: name, value, what to hold it against."""
    metrics = view.result.metrics
    if metrics is None:
        return []
    won = f"{percent(metrics.win_rate_pct)} won" if metrics.win_rate_pct is not None else "none to judge by"
    return [
        (
            "Return",
            percent(metrics.return_pct, sign=True),
            f"buy and hold {percent(metrics.buy_and_hold_pct, sign=True)}",
        ),
        (
            "Worst drawdown",
            percent(metrics.max_drawdown_pct),
            f"{number(metrics.max_drawdown_bars)} bars at most",
        ),
        ("Sharpe", number(metrics.sharpe), f"Sortino {number(metrics.sortino)}"),
        *_held_out(view),
        ("Trades", number(metrics.trades), won),
        ("Exposure", percent(metrics.exposure_pct), f"of {number(metrics.bars)} bars"),
    ]


def _held_out(view: ReportView) -> list[tuple[str, str, str]]:
    if view.result.evidence is None or view.seam is None:
        return []
    return [
        (
            "Holdout return",
            percent(window.return_pct, sign=True),
            f"{number(window.trades)} trades in {number(window.bars)} bars",
        )
        for window in view.result.evidence.windows
        if window.first == view.seam and "/" not in window.name
    ]


def rule_lists(definition: StrategyDefinition) -> list[tuple[str, str, Sequence[str]]]:
    """The definition's rules: title, how they hang together, texts."""
    lists = [
        ("Enter long", "all must hold", definition.entry_rules),
        ("Exit long", "any is enough", definition.exit_rules),
        ("Enter short", "all must hold", definition.short_entry_rules),
        ("Exit short", "any is enough", definition.short_exit_rules),
    ]
    return [(title, how, rules) for title, how, rules in lists if rules]


def settings(definition: StrategyDefinition) -> list[tuple[str, list[tuple[str, str]]]]:
    """The definition's values, grouped."""
    risk, sizing, bounds = definition.risk_limits, definition.position_sizing, definition.thresholds
    dates = f"{definition.start_date or 'beginning'} to {definition.end_date or 'end'}"
    holding = (
        f"{risk.max_holding_bars} bars" if isinstance(risk.max_holding_bars, int) else risk.max_holding_bars
    )
    limits = [
        ("stop loss", risk.stop_loss),
        ("take profit", risk.take_profit),
        ("trailing stop", risk.trailing_stop),
        ("longest holding", holding),
        ("largest position", f"{risk.max_position:g}%" if risk.max_position else None),
        ("fewest trades", bounds.min_trades),
        ("worst drawdown allowed", f"{bounds.max_drawdown:g}%" if bounds.max_drawdown else None),
        ("least Sharpe", bounds.min_sharpe),
        ("least deflated Sharpe", bounds.min_deflated_sharpe),
    ]
    groups = [
        ("Parameters", [(name, f"{value:.15g}") for name, value in definition.parameters.items()]),
        ("Indicators", list(definition.indicators.items())),
        (
            "Market",
            [
                ("symbol", definition.symbol),
                ("interval", definition.interval),
                ("period", definition.period),
                ("dates", dates),
            ],
        ),
        (
            "Size and limits",
            [
                ("size", f"{sizing.value:.15g} ({sizing.mode.value.replace('_', ' ')})"),
                *((name, str(value)) for name, value in limits if value is not None),
            ],
        ),
    ]
    return [(title, rows) for title, rows in groups if rows]


def lineage(view: ReportView) -> list[tuple[str, str]]:
    result = view.result
    rows = [
        ("experiment", result.experiment_id),
        ("strategy version", view.definition.version),
        ("judged commit", result.judged_commit),
        ("merged commit", result.merged_commit),
        ("tag", result.tag),
        ("attempts", str(result.attempts) if result.attempts else None),
        ("definition SHA-256", result.definition_digest),
        ("data", view.data.name if view.data else None),
        ("data SHA-256", (view.data.digest if view.data else None) or result.data),
        (
            "bars",
            (
                f"{view.data.bars:,} of {view.data.interval}, {moment(view.data.start)} to {moment(view.data.end)}"
                if view.data
                else None
            ),
        ),
        ("data with holdout, SHA-256", result.holdout.whole if result.holdout else None),
        ("trades SHA-256", result.trades),
        ("trades with holdout, SHA-256", result.holdout.trades if result.holdout else None),
        ("code SHA-256", result.code),
        ("costs", _costs(view.costs)),
        *view.lineage,
    ]
    return [(name, value) for name, value in rows if value]


def _costs(costs: Costs) -> str:
    parts = [f"cash {number(costs.cash)}", f"commission {100 * costs.commission:g} % of each side"]
    parts += [f"spread {100 * costs.spread:g} %"] if costs.spread else []
    parts += [f"slippage {100 * costs.slippage:g} % of each fill"] if costs.slippage else []
    return ", ".join(parts)
