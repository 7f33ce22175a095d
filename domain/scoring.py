"""What trades are worth: claims of untrusted code are read, and everything else is recomputed from prices.

The account is backtesting.py's: one position at a time, no margin, a commission on both sides, the spread in the
entry's price, marked at each close.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from schemas.trading import Costs, ExpectedTrade, Metrics, Side, Trade, TradeRow

Values = npt.NDArray[Any]

MOST_TRADES = 100_000
_KEYS = ("side", "size", "entry_bar", "exit_bar", "entry_price", "exit_price")
_LARGEST = 1e15
_TOLERANCE = 1e-9


class ClaimError(ValueError):
    """A claimed list of trades that can't be true: what is wrong, with which trade (counted from 1)."""


def read_claims(raw: list[dict[str, Any]], bars: pd.DataFrame, costs: Costs) -> list[Trade]:
    """The trades that untrusted code claims, in order of entry, if they are possible on these bars with this money.

    Raises ClaimError, and nothing else, whatever `raw` holds: wrong types, numbers that aren't finite or positive, bars
    that don't exist, an exit before its entry, prices outside of their bar's range, trades that overlap, more units
    than there was money for, more than MOST_TRADES trades.
    """
    if not isinstance(raw, list):
        raise ClaimError(f"the trades are {_shown(raw)}; expected a list")
    if len(raw) > MOST_TRADES:
        raise ClaimError(f"{len(raw)} trades are claimed; at most {MOST_TRADES} are read")
    lows, highs = bars["Low"].to_numpy(dtype=float), bars["High"].to_numpy(dtype=float)
    trades = [_read_trade(number, claim, lows, highs, costs) for number, claim in enumerate(raw, start=1)]
    order = sorted(range(len(trades)), key=lambda index: (trades[index].entry_bar, trades[index].exit_bar))
    _check_account([(index + 1, trades[index]) for index in order], len(bars) - 1, costs)
    return [trades[index] for index in order]


def _read_trade(number: int, claim: object, lows: Values, highs: Values, costs: Costs) -> Trade:
    if not isinstance(claim, dict):
        raise ClaimError(f"trade {number} is {_shown(claim)}; expected an object with {', '.join(_KEYS)}")
    if absent := [key for key in _KEYS if key not in claim]:
        raise ClaimError(f"trade {number} has no {', '.join(absent)}")
    side = claim["side"]
    if not isinstance(side, str) or side not in ("long", "short"):
        raise ClaimError(f"trade {number}: side is {_shown(side)}; expected long or short")
    entry, leave = (_bar(number, key, claim[key], len(lows)) for key in ("entry_bar", "exit_bar"))
    if leave < entry:
        raise ClaimError(f"trade {number} leaves at bar {leave}, before it enters at bar {entry}")
    size, entry_price, exit_price = (
        _positive(number, key, claim[key]) for key in ("size", "entry_price", "exit_price")
    )
    moved = entry_factor(Side(side), costs)
    for key, price, bar, factor in (
        ("entry_price", entry_price, entry, moved),
        ("exit_price", exit_price, leave, 1.0),
    ):
        low, high = float(lows[bar]) * factor, float(highs[bar]) * factor
        if not low * (1 - _TOLERANCE) <= price <= high * (1 + _TOLERANCE):
            raise ClaimError(
                f"trade {number}: {key} is {price:.10g}, but bar {bar} went from {low:.10g} to {high:.10g}"
                + (" with the spread" if factor != 1 else "")
            )
    return Trade(
        side=Side(side),
        size=size,
        entry_bar=entry,
        exit_bar=leave,
        entry_price=entry_price,
        exit_price=exit_price,
    )


def _bar(number: int, key: str, value: object, count: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ClaimError(f"trade {number}: {key} is {_shown(value)}; expected a whole number")
    if not 0 <= value < count:
        raise ClaimError(f"trade {number}: {key} is {_shown(value)}; there are bars 0 to {count - 1}")
    return value


def _positive(number: int, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ClaimError(f"trade {number}: {key} is {_shown(value)}; expected a number")
    if not 0 < value <= _LARGEST:
        raise ClaimError(
            f"trade {number}: {key} is {_shown(value)}; expected more than 0 and at most {_LARGEST:g}"
        )
    return float(value)


def _check_account(numbered: list[tuple[int, Trade]], final: int, costs: Costs) -> None:
    cash = costs.cash
    for (number, trade), (before, last) in zip(numbered, [(0, None), *numbered], strict=False):
        # What the last close orders is filled in the last bar too, which may then see two entries.
        again = last is not None and trade.entry_bar == last.entry_bar != final
        if last and (again or trade.entry_bar < last.exit_bar):
            raise ClaimError(
                f"trade {number} (bars {trade.entry_bar} to {trade.exit_bar}) overlaps trade {before} "
                f"(bars {last.entry_bar} to {last.exit_bar}); one position at a time is allowed"
            )
        plain = trade.entry_price / entry_factor(trade.side, costs)
        price = trade.size * (trade.entry_price + plain * costs.commission)
        if price > cash * (1 + _TOLERANCE):
            raise ClaimError(
                f"trade {number} takes {trade.size:.10g} units for {price:.2f}, but there was only {max(cash, 0):.2f}"
            )
        cash += profit(trade, costs)


def _shown(value: object) -> str:
    """A word for an untrusted value, short whatever it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
        return "an enormous number"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    return f"a {type(value).__name__}"


# Money


def entry_factor(side: Side, costs: Costs) -> float:
    """What the spread makes of an entry's price: more for a long, less for a short."""
    return 1 + costs.at_entry if side is Side.LONG else 1 - costs.at_entry


def commissions(trades: Sequence[Trade], costs: Costs) -> float:
    """What all trades paid, both sides, in currency."""
    return math.fsum(part for trade in trades for part in _commission(trade, costs))


def stress_metrics(trades: Sequence[Trade], bars: pd.DataFrame, costs: Costs) -> Metrics | None:
    """The figures of the same trades, on the same bars and with the same sizes, at twice the costs.

    Nothing is decided anew: a smaller account would have bought less, and might have been ruined earlier. None where
    nothing is charged, so that nothing would change.
    """
    if costs.free:
        return None
    doubled = costs.model_copy(
        update={
            "commission": 2 * costs.commission,
            "spread": 2 * costs.spread,
            "slippage": 2 * costs.slippage,
        }
    )
    dearer = [
        trade.model_copy(
            update={
                "entry_price": trade.entry_price
                / entry_factor(trade.side, costs)
                * entry_factor(trade.side, doubled)
            }
        )
        for trade in trades
    ]
    return compute_metrics(dearer, bars, doubled)


def _commission(trade: Trade, costs: Costs) -> tuple[float, float]:
    """At entry and at exit."""
    rate = trade.size * costs.commission
    return rate * trade.entry_price, rate * trade.exit_price


def _direction(trade: Trade) -> int:
    return 1 if trade.side is Side.LONG else -1


def profit(trade: Trade, costs: Costs) -> float:
    """After costs."""
    gross = _direction(trade) * trade.size * (trade.exit_price - trade.entry_price)
    return gross - sum(_commission(trade, costs))


def _return(trade: Trade, costs: Costs) -> float:
    """Profit as a share of what the entry was worth."""
    return profit(trade, costs) / (trade.size * trade.entry_price)


def equity_curve(trades: Sequence[Trade], bars: pd.DataFrame, costs: Costs) -> pd.Series:
    """The account at each close, before the costs of leaving an open position. Once at zero or less it stays at zero.

    `trades` in order, as `read_claims` gives them.
    """
    closes = bars["Close"].to_numpy(dtype=float)
    equity = np.full(len(bars), costs.cash)
    cash, free = costs.cash, 0
    for trade in trades:
        equity[free : trade.entry_bar] = cash
        held = slice(trade.entry_bar, trade.exit_bar)
        signed = _direction(trade) * trade.size
        equity[held] = cash - _commission(trade, costs)[0] + signed * (closes[held] - trade.entry_price)
        cash += profit(trade, costs)
        free = trade.exit_bar
    equity[free:] = cash
    if (ruined := equity <= 0).any():
        equity[int(np.argmax(ruined)) :] = 0.0
    return pd.Series(equity, index=bars.index, name="Equity")


def compute_metrics(trades: Sequence[Trade], bars: pd.DataFrame, costs: Costs) -> Metrics:
    """Every figure, from trades and prices alone.

    Volatility, Sharpe and Sortino are of the returns from close to close, with the arithmetic mean, no risk-free rate,
    and the number of bars a year that the data itself has. backtesting.py resamples to days, uses the geometric mean
    and 252 or 365 days, so these three and Calmar (here CAGR by worst drawdown) differ from its own. Buy and hold is
    from the first close to the last, where backtesting.py begins after the warm-up.
    """
    if bars.empty:
        raise ValueError("bars: there are none, so there is nothing to score")
    equity = equity_curve(trades, bars, costs)
    values, closes = equity.to_numpy(), bars["Close"].to_numpy(dtype=float)
    first, last = bars.index[0], bars.index[-1]
    years = (last - first).total_seconds() / (365.25 * 86400)
    drawdown = drawdowns(values)
    worst = float(drawdown.min())
    growth = float(values[-1] / costs.cash)
    with np.errstate(over="ignore"):  # a good hour, a year long, is more than a float holds
        cagr = float(np.power(growth, 1 / years) - 1) * 100 if years > 0 else None
    profits = np.array([profit(trade, costs) for trade in trades])
    returns = np.array([_return(trade, costs) for trade in trades]) * 100
    held = np.array([trade.exit_bar - trade.entry_bar for trade in trades])
    some = len(trades) > 0
    return Metrics(
        bars=len(bars),
        start=first.isoformat(),
        end=last.isoformat(),
        equity_final=float(values[-1]),
        return_pct=(growth - 1) * 100,
        buy_and_hold_pct=float(closes[-1] / closes[0] - 1) * 100,
        cagr_pct=_finite(cagr),
        **_risk(values, years),
        calmar=_finite(cagr / (-worst * 100)) if cagr is not None and worst < 0 else None,
        max_drawdown_pct=worst * 100,
        max_drawdown_bars=_longest(drawdown < 0),
        exposure_pct=exposure(trades, len(bars)) * 100,
        trades=len(trades),
        win_rate_pct=float((profits > 0).mean()) * 100 if some else None,
        profit_factor=_profit_factor(returns),
        expectancy_pct=_finite(returns.mean()) if some else None,
        sqn=_quality(profits),
        best_trade_pct=_finite(returns.max()) if some else None,
        worst_trade_pct=_finite(returns.min()) if some else None,
        avg_trade_pct=_geometric(returns / 100) if some else None,
        avg_trade_bars=_finite(held.mean()) if some else None,
        max_trade_bars=int(held.max()) if some else None,
        max_wins_in_row=_longest(profits > 0),
        max_losses_in_row=_longest(profits < 0),
    )


def drawdowns(equity: Values) -> Values:
    """How far each value lies below the highest until then, as shares: 0 or less. 0 where there was never anything."""
    peaks = np.maximum.accumulate(equity)
    below: Values = np.divide(equity, peaks, out=np.ones(len(equity)), where=peaks > 0) - 1
    return below


def period_returns(equity: Values) -> Values:
    """From close to close, as shares, for as long as there was something left."""
    alive = equity[:-1] > 0
    returns: Values = equity[1:][alive] / equity[:-1][alive] - 1
    return returns


def annual_sharpe(equity: Values, years: float) -> float | None:
    """As in `compute_metrics`, of an account's values at closes that lie `years` apart."""
    return _risk(equity, years)["sharpe"]


def _risk(equity: Values, years: float) -> dict[str, float | None]:
    unknown: dict[str, float | None] = {"volatility_pct": None, "sharpe": None, "sortino": None}
    returns = period_returns(equity)
    if years <= 0 or len(returns) < 2:
        return unknown
    per_year = (len(equity) - 1) / years
    spread, below = float(returns.std(ddof=1)), math.sqrt(float(np.mean(np.minimum(returns, 0) ** 2)))
    mean = float(returns.mean())
    return {
        "volatility_pct": _finite(spread * math.sqrt(per_year) * 100),
        "sharpe": _finite(mean / spread * math.sqrt(per_year)) if spread > 0 else None,
        "sortino": _finite(mean / below * math.sqrt(per_year)) if below > 0 else None,
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _longest(flags: Values) -> int:
    """The longest run of true."""
    longest = current = 0
    for flag in flags.tolist():
        current = current + 1 if flag else 0
        longest = max(longest, current)
    return longest


def exposure(trades: Sequence[Trade], count: int, first: int = 0, end: int | None = None) -> float:
    """Share of bars, from `first` to before `end`, on which a position was held, entry and exit bar included."""
    exposed = np.zeros(count, dtype=bool)
    for trade in trades:
        exposed[trade.entry_bar : trade.exit_bar + 1] = True
    return float(exposed[first:end].mean())


def _profit_factor(returns: Values) -> float | None:
    lost = -returns[returns < 0].sum()
    return _finite(returns[returns > 0].sum() / lost) if lost > 0 else None


def _quality(profits: Values) -> float | None:
    """Van Tharp's System Quality Number."""
    spread = float(profits.std(ddof=1)) if len(profits) > 1 else 0.0
    return _finite(math.sqrt(len(profits)) * float(profits.mean()) / spread) if spread > 0 else None


def _geometric(returns: Values) -> float:
    """Mean return in percent; 0 where a trade lost all, as backtesting.py has it."""
    growth = returns + 1
    return float(np.exp(np.log(growth).mean()) - 1) * 100 if (growth > 0).all() else 0.0


def trade_rows(
    trades: Sequence[Trade], expected: Sequence[ExpectedTrade], bars: pd.DataFrame, costs: Costs
) -> list[TradeRow]:
    """The trades as a person reads them. A rule is known where an expected trade has the same bar and side."""
    entries = {(trade.entry_bar, trade.side): trade for trade in expected}
    rows = []
    for number, trade in enumerate(trades, start=1):
        twin = entries.get((trade.entry_bar, trade.side))
        rows.append(
            TradeRow(
                number=number,
                side=trade.side,
                size=trade.size,
                entry_time=bars.index[trade.entry_bar].isoformat(),
                entry_bar=trade.entry_bar,
                entry_price=trade.entry_price,
                entry_rule=twin.entry_reason if twin else "unknown",
                exit_time=bars.index[trade.exit_bar].isoformat(),
                exit_bar=trade.exit_bar,
                exit_price=trade.exit_price,
                exit_rule=twin.exit_reason if twin and twin.exit_bar == trade.exit_bar else "unknown",
                profit=profit(trade, costs),
                return_pct=_return(trade, costs) * 100,
            )
        )
    return rows
