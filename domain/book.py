"""The order book that a run claims, and the account run again from it.

A strategy's decisions are its orders. The sandbox says which orders stood as each bar opened; what they come to on the
real prices is worked out here, order by order as backtesting.py does it, so that a fill that a patched engine invented,
a stop that it skipped or a loss that it forgot shows.
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from domain.scoring import ClaimError, commissions, drawdowns, entry_factor, equity_curve, exposure, profit
from schemas.trading import Costs, Side, Trade

MOST_ORDERS = 100
"""Standing at one time."""
MOST_TEXTS = 4
_LARGEST = 1e15


@dataclass(frozen=True)
class Order:
    """One standing order. `size`: below zero sells; between -1 and 1 a fraction of what is free, else units."""

    size: float
    limit: float | None
    stop: float | None
    stop_loss: float | None
    target: float | None
    of_trade: bool
    """Whether it ends the open trade: its stop, its target, or a close."""

    @property
    def buys(self) -> bool:
        return self.size > 0

    def __str__(self) -> str:
        parts = [
            ("buy" if self.buys else "sell") + (" to leave" if self.of_trade else ""),
            (
                ""
                if self.of_trade
                else f"{abs(self.size):.8g}{' of the money' if abs(self.size) < 1 else ' units'}"
            ),
        ]
        for name in ("limit", "stop", "stop_loss", "target"):
            if (price := getattr(self, name)) is not None:
                parts.append(f"{name.replace('_', ' ')} {price:.10g}")
        return " ".join(filter(None, parts))


Orders = tuple[Order, ...]


class Book:
    """The orders that stood as each bar opened: what had been decided by the close before it."""

    def __init__(self, pages: dict[int, Orders]) -> None:
        self._bars = sorted(pages)
        self._pages = pages

    def at(self, bar: int) -> Orders:
        """The orders that stood at the open of `bar`. The bar after the last holds what was left to finalise."""
        found = bisect.bisect_right(self._bars, bar)
        return self._pages[self._bars[found - 1]] if found else ()

    def changes(self, last: int) -> list[int]:
        """The bars up to `last` at which other orders stood than one bar before."""
        return self._bars[: bisect.bisect_right(self._bars, last)]


def read_book(raw: object, length: int) -> Book:
    """The claimed book of a run over `length` bars. Raises ClaimError, and nothing else, whatever `raw` holds."""
    if not isinstance(raw, list) or len(raw) > length + 1:
        raise ClaimError("the book of orders is no list of at most one page a bar")
    pages: dict[int, Orders] = {}
    for page in raw:
        if not (isinstance(page, list) and len(page) == 2 and isinstance(page[1], list)):
            raise ClaimError("a page of the book of orders isn't a bar and a list of orders")
        bar, orders = page
        if isinstance(bar, bool) or not isinstance(bar, int) or not 0 <= bar <= length or bar in pages:
            raise ClaimError(
                f"the book of orders has a page for a bar that isn't one of 0 to {length}, or two"
            )
        if len(orders) > MOST_ORDERS:
            raise ClaimError(
                f"bar {bar}: {len(orders)} orders stand at once; at most {MOST_ORDERS} are followed"
            )
        pages[bar] = tuple(_read_order(bar, order) for order in orders)
    return Book(pages)


def _read_order(bar: int, raw: object) -> Order:
    if not (isinstance(raw, list) and len(raw) == 6 and isinstance(raw[5], bool)):
        raise ClaimError(f"bar {bar}: an order isn't six values")
    numbers: list[float | None] = []
    for value in raw[:5]:
        if value is None:
            numbers.append(None)
        elif isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
            raise ClaimError(f"bar {bar}: an order holds what is no number")
        else:
            numbers.append(float(value) or None)  # the engine takes 0 for nothing
    size = numbers[0]
    if size is None:
        raise ClaimError(f"bar {bar}: an order has no size")
    return Order(size, numbers[1], numbers[2], numbers[3], numbers[4], raw[5])


@dataclass(frozen=True)
class Replayed:
    trades: list[Trade]
    """In order of entry."""
    equity: float
    """At the end, with what the last close ordered and the end left open: it is no trade, yet the engine counts it."""


def replay(book: Book, bars: pd.DataFrame, costs: Costs) -> Replayed:
    """What the book's orders come to on these bars with this money.

    Raises ClaimError where the orders can't be followed: they add to a position or leave part of it (one position at a
    time), a size in units isn't whole, or a position from before the last bar is still open at the end.
    """
    account = _Account(bars, costs)
    pages, last = book.changes(len(bars)), len(bars) - 1
    for bar in range(pages[0] if pages else len(bars), len(bars)):
        account.trade(bar, book.at(bar))
        if not account.survives(bar):
            return Replayed(account.trades, 0.0)
    if pages:
        account.trade(last, book.at(last + 1))
        if not account.survives(last):
            return Replayed(account.trades, 0.0)
    if account.position and account.position.bar < last:
        raise ClaimError(
            f"the {account.position.side} of bar {account.position.bar} was never closed, although the data ended"
        )
    return Replayed(account.trades, account.equity(last))


@dataclass(frozen=True)
class _Position:
    side: Side
    units: int
    bar: int
    price: float

    @property
    def signed(self) -> int:
        return self.units if self.side is Side.LONG else -self.units


class _Account:
    """backtesting.py's broker for one position at a time."""

    def __init__(self, bars: pd.DataFrame, costs: Costs) -> None:
        self._open, self._high, self._low, self._close = (
            bars[name].to_numpy(dtype=float).tolist() for name in ("Open", "High", "Low", "Close")
        )
        self._costs = costs
        self._cash = costs.cash
        self.position: _Position | None = None
        self.trades: list[Trade] = []

    def trade(self, bar: int, orders: Orders) -> None:
        """Carry out what stood at the open, in the queue's order, then the bracket of what was just entered."""
        held = self.position
        bracket: Orders = ()
        for order in orders:
            if order.of_trade and (held is None or self.position is not held):
                continue  # the trade that it belonged to is over
            price = self._fill(bar, order)
            if price is None:
                continue
            if not order.of_trade:
                bracket = self._enter(bar, order, price) or bracket
            elif held is not None:
                if abs(order.size) < held.units:
                    raise ClaimError(f"bar {bar}: only part of a position is left, which can't be followed")
                self._leave(bar, price)
        for order in bracket:
            if self.position and (price := self._fill(bar, order)) is not None:
                self._leave(bar, price)

    def survives(self, bar: int) -> bool:
        """Whether there is money left at the close; where not, what is open is closed at it."""
        if self.equity(bar) > 0:
            return True
        if self.position:
            self._leave(bar, self._close[bar])
        return False

    def _fill(self, bar: int, order: Order) -> float | None:
        """The price at which the bar fills the order, before the spread; None where it doesn't."""
        opened: float = self._open[bar]
        high, low = self._high[bar], self._low[bar]
        stop, limit = order.stop, order.limit
        if stop is not None and not (high >= stop if order.buys else low <= stop):
            return None
        if limit is None:
            if stop is None:
                return opened
            return max(opened, stop) if order.buys else min(opened, stop)
        # of a stop and a limit in one bar, the limit is taken to have been passed first, which doesn't count
        first = math.inf * (-1 if order.buys else 1) if stop is None else stop
        if order.buys:
            filled = low <= limit and not limit <= first
        else:
            filled = high >= limit and not limit >= first
        if not filled:
            return None
        base: float = opened if stop is None else stop
        return min(base, limit) if order.buys else max(base, limit)

    def _enter(self, bar: int, order: Order, price: float) -> Orders:
        """Open a position, or turn the open one round; the stop and target that work within this bar."""
        side = Side.LONG if order.buys else Side.SHORT
        adjusted = price * entry_factor(side, self._costs)
        unit_cost = adjusted + abs(order.size) * price * self._costs.commission / abs(order.size)
        if abs(order.size) < 1:
            share = self._free(bar) * abs(order.size) // unit_cost
            if not 0 <= share < _LARGEST:  # a stop far from every price, with a limit, fills at the stop
                raise ClaimError(f"bar {bar}: an order that fills at {price:.10g} can't be followed")
            units = int(share)
        elif order.size != round(order.size):
            raise ClaimError(f"bar {bar}: an order is for {abs(order.size):.10g} units, not a whole number")
        else:
            units = int(abs(order.size))
        if self.position and self.position.side is not side and units:
            if units < self.position.units:
                raise ClaimError(f"bar {bar}: only part of a position is left, which can't be followed")
            units -= self.position.units
            self._leave(bar, price)
        if not units or units * unit_cost > self._free(bar):
            return ()
        if self.position:
            raise ClaimError(
                f"bar {bar}: an order adds to the {side} of bar {self.position.bar}; one position at a time is allowed"
            )
        self.position = _Position(side, units, bar, adjusted)
        self._cash -= units * adjusted * self._costs.commission
        return self._bracket(bar, order)

    def _bracket(self, bar: int, order: Order) -> Orders:
        stop, target = order.stop_loss, order.target
        ends = tuple(
            Order(-order.size, limit, level, None, None, True)
            for limit, level in ((None, stop), (target, None))
            if limit is not None or level is not None
        )
        if order.limit is None and order.stop is None:
            return ends
        if order.limit is None and target is not None:  # a stop entry: its target is further the same way
            high, low = self._high[bar], self._low[bar]
            if order.buys and target <= high and (stop is None or stop < low):
                return ends
            if not order.buys and target >= low and (stop is None or stop > high):
                return ends
        return ()

    def _leave(self, bar: int, price: float) -> None:
        position = self.position
        assert position is not None
        profit = position.signed * (price - position.price)
        self._cash += profit - position.units * price * self._costs.commission
        self.position = None
        self.trades.append(
            Trade(
                side=position.side,
                size=position.units,
                entry_bar=position.bar,
                exit_bar=bar,
                entry_price=position.price,
                exit_price=price,
            )
        )

    def equity(self, bar: int) -> float:
        if self.position is None:
            return self._cash
        signed = self.position.signed
        gain: float = self._close[bar] * signed - signed * self.position.price
        return self._cash + gain

    def _free(self, bar: int) -> float:
        bound = self.position.units * self._close[bar] if self.position else 0.0
        free: float = max(0.0, self.equity(bar) - bound)
        return free


def compare_with_replay(claimed: Sequence[Trade], replayed: Sequence[Trade]) -> list[str]:
    """What the claimed trades say otherwise than the orders: a line each, with trade, value claimed and
    recomputed; at most MOST_TEXTS and one, since later ones may follow from the first."""
    found = []
    for number, (claim, real) in enumerate(zip(claimed, replayed, strict=False), start=1):
        for name in ("side", "entry_bar", "entry_price", "size", "exit_bar", "exit_price"):
            one, two = getattr(claim, name), getattr(real, name)
            if one == two or (isinstance(two, float) and math.isclose(one, two, rel_tol=1e-9)):
                continue
            found.append(
                f"trade {number} ({claim.side}, bars {claim.entry_bar} to {claim.exit_bar}): {name} is claimed "
                f"{_shown(one)}, recomputed from the orders {_shown(two)}"
            )
            if name in ("side", "entry_bar") or len(found) == MOST_TEXTS:  # the rest may follow from it
                return found
    rest, count = claimed[len(replayed) :], len(replayed)
    if rest:
        found.append(
            f"trade {count + 1} ({rest[0].side}, bars {rest[0].entry_bar} to {rest[0].exit_bar}) is claimed, but no "
            "order accounts for it"
        )
    elif missing := replayed[len(claimed) :]:
        found.append(
            f"{len(claimed)} trades are claimed, but the orders come to {count}: the {missing[0].side} of bars "
            f"{missing[0].entry_bar} to {missing[0].exit_bar} is left out"
        )
    return found


def _shown(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def compare_figures(
    claimed: dict[str, Any], replayed: Replayed, bars: pd.DataFrame, costs: Costs
) -> list[str]:
    """The figures that the engine in the sandbox reports, beside the recomputed ones; a line for each that differs."""
    found = []
    for name, (words, real) in _figures(replayed, bars, costs).items():
        said = claimed.get(name, 0.0 if name == "commissions" else None)
        if said is None and real is None:
            continue
        if isinstance(said, int | float) and not isinstance(said, bool) and abs(said) < _LARGEST:
            if real is not None and math.isclose(said, real, rel_tol=1e-7, abs_tol=1e-7):
                continue
            shown = f"{said:.10g}"
        else:
            shown = "nothing" if said is None else "what is no number"
        found.append(f"{words}: claimed {shown}, recomputed {'nothing' if real is None else f'{real:.10g}'}")
    return found


def _figures(replayed: Replayed, bars: pd.DataFrame, costs: Costs) -> dict[str, tuple[str, float | None]]:
    trades = replayed.trades
    curve = equity_curve(trades, bars, costs).to_numpy(copy=True)
    curve[-1] = replayed.equity
    won = [profit(trade, costs) > 0 for trade in trades]
    return {
        "trades": ("number of trades", float(len(trades))),
        "equity_final": ("final equity", replayed.equity),
        "return_pct": ("return in %", (replayed.equity / costs.cash - 1) * 100),
        "commissions": ("commissions", commissions(trades, costs)),
        "win_rate_pct": ("win rate in %", sum(won) / len(won) * 100 if won else None),
        "max_drawdown_pct": ("worst drawdown in %", float(drawdowns(curve).min()) * 100),
        "exposure_pct": ("exposure in %", exposure(trades, len(bars)) * 100),
    }
