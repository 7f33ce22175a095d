"""The walk over the bars: what is decided at each close, and what becomes of it at the next open."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd

from domain.expected.reading import Certainty, Reading
from domain.rules.ast import Rule, Rulebook
from schemas.definition import DistanceKind, SizingMode, StrategyDefinition
from schemas.trading import Costs, ExpectedTrade, Side, Trade

FULL = 0.9999
"""All of the equity: backtesting.py takes a size of 1 for one unit, so the largest fraction is just below it."""

_TIE = 1e-12
"""A stop this share of the price from where it couldn't be placed is a matter of rounding."""


def expected_trades(
    definition: StrategyDefinition,
    rulebook: Rulebook,
    bars: pd.DataFrame,
    costs: Costs,
    claims: Sequence[Trade] | None = None,
) -> list[ExpectedTrade]:
    """The trades that the rules imply, in order. `bars` as in `Reading`, whose errors are raised.

    Where a rule stands on a tie (both sides equal but for rounding), the last bit of an indicator would decide, and
    that differs between machines. There, and only there, what `claims` did is accepted.
    """
    reading = Reading(definition, rulebook, bars)
    exact = Walk(reading, costs).run()
    if claims is None or _agree(exact, claims):
        return exact
    # What a claim shows in the last bar may come from either of the last two closes.
    choices = itertools.product((False, True), repeat=2)
    loose = [Walk(reading, costs, claims, late_entry, late_exit).run() for late_entry, late_exit in choices]
    return next((trades for trades in loose if _agree(trades, claims)), loose[0])


def _agree(trades: Sequence[ExpectedTrade], claims: Sequence[Trade]) -> bool:
    return len(trades) == len(claims) and all(
        (one.side, one.entry_bar, one.exit_bar) == (two.side, two.entry_bar, two.exit_bar)
        and math.isclose(one.exit_price, two.exit_price, rel_tol=1e-9)
        for one, two in zip(trades, claims, strict=True)
    )


def sign(side: Side) -> int:
    return 1 if side is Side.LONG else -1


def other(side: Side) -> Side:
    return Side.SHORT if side is Side.LONG else Side.LONG


def rule_label(rule: Rule) -> str:
    return f"{rule.path}: {rule.text}"


@dataclass(frozen=True)
class Levels:
    """Where a position ends by price, and which limit set the stop."""

    stop: float | None = None
    target: float | None = None
    stop_reason: str = "stop_loss"


@dataclass
class _Position:
    side: Side
    units: int
    bar: int
    price: float
    reason: str
    levels: Levels


@dataclass(frozen=True)
class _Order:
    side: Side
    size: float
    """Below 1 a fraction of the equity, else units."""
    reason: str
    levels: Levels


class _Signals:
    """One side's rules as plain lists."""

    def __init__(self, reading: Reading, side: Side, loose: bool) -> None:
        self.entry_rules = reading.entry_rules(side)
        self.exit_rules = reading.exit_rules(side)
        self.reason = "; ".join(rule_label(rule) for rule in self.entry_rules)
        sure: Certainty = "sure" if loose else "exact"
        self._entry = self._entries(reading, sure)
        self._maybe_entry = self._entries(reading, "possible") if loose else self._entry
        self._exits = self._leaves(reading, sure)
        self._maybe_exits = self._leaves(reading, "possible") if loose else self._exits

    def _entries(self, reading: Reading, certainty: Certainty) -> list[bool]:
        flags: list[bool] = reading.all_hold(self.entry_rules, certainty).tolist()
        return flags

    def _leaves(self, reading: Reading, certainty: Certainty) -> list[list[bool]]:
        return [reading.truth(rule.condition, certainty).holds.tolist() for rule in self.exit_rules]

    def enters(self, bar: int) -> tuple[bool, ...]:
        """What the entry rules may come to: one answer, or both on a tie."""
        if self._entry[bar] or not self._maybe_entry[bar]:
            return (self._entry[bar],)
        return (False, True)

    def leaves(self, bar: int, claimed: bool) -> str | None:
        """The first exit rule that holds, or on a tie may hold if a claim says so."""
        for flags in (self._exits, self._maybe_exits) if claimed else (self._exits,):
            for rule, holds in zip(self.exit_rules, flags, strict=True):
                if holds[bar]:
                    return rule_label(rule)
        return None


@dataclass
class Walk:
    """One run. `run` may be called once."""

    reading: Reading
    costs: Costs
    claims: Sequence[Trade] | None = None
    late_entry: bool = False
    late_exit: bool = False
    """Whether what is claimed in the last bar is taken for what the last close brought, not the one before."""
    trades: list[ExpectedTrade] = field(default_factory=list)

    def __post_init__(self) -> None:
        reading, risk = self.reading, self.reading.definition.risk_limits
        self._open, self._high, self._low, self._close = (
            reading.columns[name].tolist() for name in ("Open", "High", "Low", "Close")
        )
        self._signals = {side: _Signals(reading, side, self.claims is not None) for side in Side}
        self._claimed_entries = Counter((trade.entry_bar, trade.side) for trade in self.claims or ())
        self._claimed_exits = {
            (trade.entry_bar, trade.exit_bar) for trade in self.claims or () if self._at_open(trade)
        }
        self._stops, self._trails, self._targets = (
            {
                side: None if limit is None else reading.levels(limit, way * sign(side)).tolist()
                for side in Side
            }
            for limit, way in ((risk.stop_loss, -1), (risk.trailing_stop, -1), (risk.take_profit, 1))
        )
        limits = (risk.stop_loss, risk.trailing_stop, risk.take_profit)
        self._by_range = any(limit is not None and limit.kind is DistanceKind.ATR for limit in limits)
        held = risk.max_holding_bars
        self._longest = math.inf if held is None else reading.amount(held)
        self._cash = self.costs.cash
        self._position: _Position | None = None
        self._order: _Order | None = None
        self._leaving: str | None = None

    def _at_open(self, trade: Trade) -> bool:
        """Whether a claim ends at an open, as a decision does; a stop or target within the bar isn't one."""
        return 0 <= trade.exit_bar < len(self._open) and math.isclose(
            trade.exit_price, self._open[trade.exit_bar], rel_tol=1e-9
        )

    def run(self) -> list[ExpectedTrade]:
        start, last = self.reading.first_decision, self.reading.length - 1
        if start is None:
            return self.trades
        for bar in range(start, last + 1):
            if not self._trade(bar):
                return self.trades
            self._decide(bar)
        if self._position:
            self._leaving = self._leaving or "end_of_data"
        self._trade(last)
        return self.trades

    # At the open and within the bar

    def _trade(self, bar: int) -> bool:
        """Fill what was decided, watch stops and targets. False once the account is ruined."""
        if self._position and self._leaving:
            self._end(bar, self._open[bar], self._leaving)
        self._leaving = None
        self._watch(bar)
        if self._order:
            self._begin(bar, self._order)
            self._order = None
            self._watch(bar)
        if self._equity(bar) > 0:
            return True
        if self._position:
            self._end(bar, self._close[bar], "out_of_money")
        return False

    def _begin(self, bar: int, order: _Order) -> None:
        rate, opened = self.costs.commission, self._open[bar]
        price = opened * (1 + math.copysign(self.costs.at_entry, sign(order.side)))
        unit_cost = price + order.size * opened * rate / order.size
        money = max(0.0, self._cash)
        units = int(money * order.size // unit_cost) if order.size < 1 else int(order.size)
        if units < 1 or units * unit_cost > money:
            return
        self._cash -= units * price * rate
        self._position = _Position(order.side, units, bar, price, order.reason, order.levels)

    def _watch(self, bar: int) -> None:
        if not self._position:
            return
        levels, price = self._position.levels, self._open[bar]
        if self._position.side is Side.LONG:
            if levels.stop is not None and self._low[bar] <= levels.stop:
                self._end(bar, min(price, levels.stop), levels.stop_reason)
            elif levels.target is not None and self._high[bar] >= levels.target:
                self._end(bar, max(price, levels.target), "take_profit")
        elif levels.stop is not None and self._high[bar] >= levels.stop:
            self._end(bar, max(price, levels.stop), levels.stop_reason)
        elif levels.target is not None and self._low[bar] <= levels.target:
            self._end(bar, min(price, levels.target), "take_profit")

    def _end(self, bar: int, price: float, reason: str) -> None:
        position = self._position
        assert position is not None
        signed = sign(position.side) * position.units
        self._cash += signed * (price - position.price) - position.units * price * self.costs.commission
        self._position = None
        self.trades.append(
            ExpectedTrade(
                side=position.side,
                size=position.units,
                entry_bar=position.bar,
                exit_bar=bar,
                entry_price=position.price,
                exit_price=price,
                entry_reason=position.reason,
                exit_reason=reason,
            )
        )

    def _equity(self, bar: int) -> float:
        position = self._position
        if position is None:
            return self._cash
        signed = sign(position.side) * position.units
        profit: float = self._close[bar] * signed - signed * position.price
        return self._cash + profit

    # At the close

    def _decide(self, bar: int) -> None:
        signals = self._signalling(bar)
        position = self._position
        if position:
            self._move_trail(bar, position)
            self._leaving = self._reason_to_leave(bar, position, signals)
        if signals and not (position and position.side is signals):
            self._order = self._place(bar, signals)

    def _next(self, bar: int) -> int:
        """Where what `bar` decides is filled: at the next bar, at the end of data in the last one itself."""
        return min(bar + 1, self.reading.length - 1)

    def _signalling(self, bar: int) -> Side | None:
        """The side whose entry rules hold, if the other's don't. On a tie, the side that a claim enters on."""
        outcomes = {
            None if long == short else Side.LONG if long else Side.SHORT
            for long in self._signals[Side.LONG].enters(bar)
            for short in self._signals[Side.SHORT].enters(bar)
        }
        if len(outcomes) > 1:
            return next(outcome for outcome in self._likeliest(bar) if outcome in outcomes)
        return outcomes.pop()

    def _likeliest(self, bar: int) -> Iterator[Side | None]:
        """What a claim may have taken for the signal of `bar`, the best guess first."""
        if not (self.late_entry and bar == self.reading.length - 2):
            yield from (side for side in Side if self._claims_entry(self._next(bar), side))
        if (position := self._position) and bar + 1 < self.reading.length - 1:
            left, opposite = (position.bar, bar + 1) in self._claimed_exits, other(position.side)
            if left and not self._reason_to_leave(bar, position, None) and not self._place(bar, opposite):
                yield opposite  # a reversal whose order can't be placed
        yield None
        yield from Side

    def _claims_entry(self, bar: int, side: Side) -> bool:
        """Whether a claim enters at `bar` that no trade of this walk stands for yet."""
        taken = sum((trade.entry_bar, trade.side) == (bar, side) for trade in self.trades[-2:])
        return self._claimed_entries[bar, side] > taken

    def _reason_to_leave(self, bar: int, position: _Position, signals: Side | None) -> str | None:
        claimed = (position.bar, self._next(bar)) in self._claimed_exits
        if self.late_exit and bar == self.reading.length - 2:
            claimed = False
        if reason := self._signals[position.side].leaves(bar, claimed):
            return reason
        if bar - position.bar + 1 >= self._longest:
            return "max_holding_bars"
        return "reversal" if signals is other(position.side) else None

    def _move_trail(self, bar: int, position: _Position) -> None:
        trail, stop = self._trails[position.side], position.levels.stop
        if trail is None or stop is None:
            return
        if trail[bar] > stop if position.side is Side.LONG else trail[bar] < stop:
            position.levels = Levels(trail[bar], position.levels.target, "trailing_stop")

    def _place(self, bar: int, side: Side) -> _Order | None:
        levels = self.levels(bar, side)
        size = None if levels is None else self._size(bar, levels)
        if levels is None or size is None:
            return None
        return _Order(side, size, self._signals[side].reason, levels)

    def levels(self, bar: int, side: Side) -> Levels | None:
        """Stop and target of an order decided at `bar`; None where they can't be placed."""
        stop, reason = self._first_stop(bar, side)
        target = None if (targets := self._targets[side]) is None else targets[bar]
        below, above = (stop, target) if side is Side.LONG else (target, stop)
        price = self._close[bar]
        gaps = [] if below is None else [below, price - below]
        gaps += [] if above is None else [above - price]
        placed = all(gap > 0 for gap in gaps)
        if self.claims is not None and self._by_range and any(abs(gap) <= _TIE * price for gap in gaps):
            placed = self._claims_entry(self._next(bar), side)  # the average range's last bit would decide
        return Levels(stop, target, reason) if placed else None

    def _first_stop(self, bar: int, side: Side) -> tuple[float | None, str]:
        """The tighter of stop loss and trail, and which it is."""
        levels = [
            (levels[bar], name)
            for name, levels in (("stop_loss", self._stops[side]), ("trailing_stop", self._trails[side]))
            if levels is not None
        ]
        if not levels:
            return None, "stop_loss"
        pick = max if side is Side.LONG else min
        return pick(levels, key=lambda level: level[0])

    def _size(self, bar: int, levels: Levels) -> float | None:
        sizing, most = (
            self.reading.definition.position_sizing,
            self.reading.definition.risk_limits.max_position,
        )
        price, equity = self._close[bar], self._equity(bar)
        cap = min(100.0 if most is None else most, 100.0) / 100
        match sizing.mode:
            case SizingMode.PERCENT_OF_EQUITY:
                return min(sizing.value / 100, cap, FULL)
            case SizingMode.FIXED_UNITS:
                units = sizing.value
            case SizingMode.FIXED_CASH:
                units = sizing.value // price
            case SizingMode.RISK_PERCENT:
                assert levels.stop is not None  # StrategyDefinition asks for a stop_loss here
                units = equity * (sizing.value / 100) // abs(price - levels.stop)
        if units < 1:
            return None
        cap = min(cap, FULL)
        return units if units * price <= cap * equity else cap
