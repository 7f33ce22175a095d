"""One result, window by window: before and after the seam, and equal windows that follow each other."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from domain.scoring import annual_sharpe, drawdowns, equity_curve, exposure, profit
from schemas.holdout import Window
from schemas.trading import Costs, Trade

WALK_FORWARD = 5
KNOWN, UNKNOWN = "up to the cut-off", "after it"
IN_SAMPLE, OUT_OF_SAMPLE, ALL = "in-sample", "out-of-sample", "all"


def measure_windows(trades: Sequence[Trade], bars: pd.DataFrame, costs: Costs, held: int = 0) -> list[Window]:
    """The figures of one run over `bars`, of which the last `held` are the holdout.

    First in-sample and out-of-sample, where something was held back; then all bars; then WALK_FORWARD windows of equal
    length (the first take one bar more of a remainder), where there are bars enough. `trades` in order of entry.
    """
    count = len(bars)
    spans = [(IN_SAMPLE, 0, count - held), (OUT_OF_SAMPLE, count - held, count)] if held else []
    spans.append((ALL, 0, count))
    if count >= 2 * WALK_FORWARD:
        parts = np.array_split(np.arange(count), WALK_FORWARD)
        spans += [
            (f"{number}/{WALK_FORWARD}", int(part[0]), int(part[-1]) + 1)
            for number, part in enumerate(parts, start=1)
        ]
    return _measured(spans, trades, bars, costs)


def measure_knowledge(
    trades: Sequence[Trade], bars: pd.DataFrame, costs: Costs, cutoff: date
) -> list[Window]:
    """The figures up to `cutoff`, the last day that whoever wrote the code may know, and after it. One window alone
    where all bars lie on one side."""
    days = pd.DatetimeIndex(bars.index).tz_localize(None).normalize()
    known = int((days <= pd.Timestamp(cutoff)).sum())
    spans = [(KNOWN, 0, known), (UNKNOWN, known, len(bars))]
    return _measured([span for span in spans if span[1] < span[2]], trades, bars, costs)


def _measured(
    spans: Sequence[tuple[str, int, int]], trades: Sequence[Trade], bars: pd.DataFrame, costs: Costs
) -> list[Window]:
    equity = equity_curve(trades, bars, costs).to_numpy(dtype=float)
    return [_measure(name, first, end, trades, bars, costs, equity) for name, first, end in spans]


def _measure(
    name: str,
    first: int,
    end: int,
    trades: Sequence[Trade],
    bars: pd.DataFrame,
    costs: Costs,
    equity: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> Window:
    base = max(first - 1, 0)  # the close from which the window's first return is measured
    values, closes = equity[base:end], bars["Close"].to_numpy(dtype=float)[base:end]
    began = costs.cash if first == 0 else float(values[0])
    years = (bars.index[end - 1] - bars.index[base]).total_seconds() / (365.25 * 86400)
    entered = [trade for trade in trades if first <= trade.entry_bar < end]
    held = exposure(trades, len(bars), first, end)
    won = [profit(trade, costs) > 0 for trade in entered]
    return Window(
        name=name,
        first=first,
        bars=end - first,
        start=bars.index[first].isoformat(),
        end=bars.index[end - 1].isoformat(),
        return_pct=(float(values[-1]) / began - 1) * 100 if began > 0 else 0.0,
        buy_and_hold_pct=float(closes[-1] / closes[0] - 1) * 100,
        sharpe=annual_sharpe(values, years),
        max_drawdown_pct=float(drawdowns(values).min()) * 100,
        exposure_pct=held * 100,
        trades=len(entered),
        win_rate_pct=100 * sum(won) / len(won) if won else None,
        carried=sum(trade.entry_bar < first <= trade.exit_bar for trade in trades),
    )
