"""Whether each trade keeps the definition's limits: stop, target, trail, holding time and size.

The rules of entry and exit play no part here, so that this also holds for a strategy that follows other rules, or
rules that can't be compiled. Levels are those of docs/rules.md: measured from the close of the deciding bar, which is
the bar before the entry, and in force from the fill on.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from domain.expected import Reading
from domain.expected.walk import FULL, sign
from domain.rules.ast import Rulebook
from domain.scoring import entry_factor, profit
from schemas.definition import Distance, SizingMode, StrategyDefinition
from schemas.trading import Costs, Side, Trade

_TOLERANCE = 1e-9
_MOST_UNITS = 1e15
"""More than any account pays for, and still exact as a float."""


@dataclass(frozen=True)
class Breach:
    """One limit that one trade didn't keep."""

    trade: int
    bar: int
    text: str

    def __str__(self) -> str:
        return self.text


def broken_limits(
    trades: Sequence[Trade],
    definition: StrategyDefinition,
    rulebook: Rulebook,
    bars: pd.DataFrame,
    costs: Costs,
) -> list[Breach]:
    """The breaches, in order of trades (counted from 1) and bars. `trades` as `read_claims` gives them.

    Prices are held to 1e-9 of themselves: a bar that only touches a level may be taken either way.
    """
    check = _Check(Reading(definition, rulebook, bars), costs)
    found: list[Breach] = []
    cash, before = costs.cash, None
    for number, trade in enumerate(trades, start=1):
        found += check.breaches(number, trade, cash, before)
        before = _Before(trade, cash)
        cash += profit(trade, costs)
    return found


def limits_of(definition: StrategyDefinition) -> list[str]:
    """What is checked, in words."""
    risk = definition.risk_limits
    names = [name for name in type(risk).model_fields if getattr(risk, name) is not None]
    return [*names, f"size ({definition.position_sizing.mode.value})"]


@dataclass(frozen=True)
class _Level:
    name: str
    price: float


@dataclass(frozen=True)
class _Before:
    """The trade before, and the account as it began."""

    trade: Trade
    cash: float


class _Check:
    def __init__(self, reading: Reading, costs: Costs) -> None:
        self._reading = reading
        self._costs = costs
        self._open, self._high, self._low, self._close = (
            reading.columns[name].tolist() for name in ("Open", "High", "Low", "Close")
        )
        risk = reading.definition.risk_limits
        self._risk = risk
        self._stops, self._trails, self._targets = (
            {side: None if limit is None else self._levels(limit, way * sign(side)) for side in Side}
            for limit, way in ((risk.stop_loss, -1), (risk.trailing_stop, -1), (risk.take_profit, 1))
        )
        held = risk.max_holding_bars
        self._longest = math.inf if held is None else reading.amount(held)

    def _levels(self, limit: Distance, direction: int) -> list[float]:
        levels: list[float] = self._reading.levels(limit, direction).tolist()
        return levels

    def breaches(self, number: int, trade: Trade, cash: float, before: "_Before | None") -> list[Breach]:
        """Of a trade in the last bar, either of the last two closes may have decided: it keeps the limits if it does
        by one of them."""
        last = len(self._close) - 1
        choices = [(max(trade.entry_bar - 1, 0), False)]
        if trade.entry_bar == last:
            choices += [(last, False), (last, True)]
        by_choice = [
            list(
                self._of_trade(number, trade, decided, cash, self._equity(decided, cash, before, still_open))
            )
            for decided, still_open in choices
        ]
        return min(by_choice, key=len)

    def _equity(self, decided: int, cash: float, before: "_Before | None", still_open: bool) -> float:
        """The account at the close that decided, when the trade before may not have ended yet."""
        if before is None:
            return cash
        trade = before.trade
        if not (trade.entry_bar <= decided < trade.exit_bar or (still_open and decided == trade.exit_bar)):
            return cash
        paid = trade.size * trade.entry_price * self._costs.commission
        gain: float = sign(trade.side) * trade.size * (self._close[decided] - trade.entry_price)
        return before.cash - paid + gain

    def _of_trade(
        self, number: int, trade: Trade, decided: int, cash: float, equity: float
    ) -> Iterator[Breach]:
        yield from self._by_price(number, trade, decided)
        kept = trade.exit_bar - trade.entry_bar
        if kept > self._longest:
            yield self._breach(
                number,
                trade,
                trade.entry_bar + int(self._longest),
                f"max_holding_bars {self._longest:g}: it had to leave at the open of this bar, but was held until bar "
                f"{trade.exit_bar}, {kept} bars",
            )
        yield from self._by_size(number, trade, decided, max(cash, 0.0), max(equity, 0.0))

    # Stop, trail and target

    def _by_price(self, number: int, trade: Trade, decided: int) -> Iterator[Breach]:
        up = sign(trade.side)
        stop = self._first_stop(trade.side, decided)
        target = (
            None if (levels := self._targets[trade.side]) is None else _Level("take_profit", levels[decided])
        )
        trail = self._trails[trade.side]
        if missing := next((level for level in (stop, target) if level and math.isnan(level.price)), None):
            yield self._breach(
                number,
                trade,
                decided,
                f"{missing.name} has no value at this bar, so nothing could be entered",
            )
            return
        close = self._close[decided]
        for level, way in ((stop, -up), (target, up)):
            if level and (level.price - close) * way < -_TOLERANCE * close:
                yield self._breach(
                    number,
                    trade,
                    decided,
                    f"{level.name} {self._said(level.name)} would lie at {level.price:.10g}, on the wrong side of the "
                    f"close of {close:.10g}, so nothing could be entered",
                )
                return
        for bar in range(trade.entry_bar, trade.exit_bar + 1):
            hits = [
                level for level in (stop, target) if level and self._reached(level, bar, up, level is stop)
            ]
            sure = [level for level in hits if not self._touched(level, bar, up, level is stop)]
            if bar < trade.exit_bar:
                if sure:
                    yield self._ignored(number, trade, bar, sure[0], up, sure[0] is stop)
                    return
            else:
                yield from self._exit(number, trade, stop, target, hits, sure)
            if trail is not None and stop is not None and (trail[bar] - stop.price) * up > 0:
                stop = _Level("trailing_stop", trail[bar])

    def _first_stop(self, side: Side, decided: int) -> _Level | None:
        levels = [
            _Level(name, levels[decided])
            for name, levels in (("stop_loss", self._stops[side]), ("trailing_stop", self._trails[side]))
            if levels is not None
        ]
        if not levels:
            return None
        if missing := next((level for level in levels if math.isnan(level.price)), None):
            return missing
        return max(levels, key=lambda level: level.price * sign(side))

    def _reached(self, level: _Level, bar: int, up: int, is_stop: bool) -> bool:
        """Whether the bar went to the level, or within rounding of it."""
        way = -up if is_stop else up
        reach = self._high[bar] if way > 0 else self._low[bar]
        return bool((reach - level.price) * way >= -_TOLERANCE * level.price)

    def _touched(self, level: _Level, bar: int, up: int, is_stop: bool) -> bool:
        """Whether the bar went to the level and no further, but for rounding."""
        way = -up if is_stop else up
        reach = self._high[bar] if way > 0 else self._low[bar]
        return math.isclose(reach, level.price, rel_tol=_TOLERANCE)

    def _filled(self, level: _Level, bar: int, up: int, is_stop: bool) -> float:
        """A level that the open has passed fills at the open."""
        way = -up if is_stop else up
        opened: float = self._open[bar]
        return max(opened, level.price) if way > 0 else min(opened, level.price)

    def _exit(
        self,
        number: int,
        trade: Trade,
        stop: _Level | None,
        target: _Level | None,
        hits: list[_Level],
        sure: list[_Level],
    ) -> Iterator[Breach]:
        """An exit is a decision at the open, or the fill of a level that was reached: of both, the stop's."""
        bar, up, price = trade.exit_bar, sign(trade.side), trade.exit_price
        if _same(price, self._open[bar]):
            return
        fills = [(level, self._filled(level, bar, up, level is stop)) for level in hits]
        if sure and sure[0] is stop:
            fills = fills[:1]
        if any(_same(price, fill) for _, fill in fills):
            return
        if not fills and _same(price, self._close[bar]):
            return  # out of money: the account is closed out at the close
        if fills:
            level, fill = fills[0]
            text = f"{level.name} {self._said(level.name)} at {level.price:.10g} fills at {fill:.10g}"
        else:
            stood = ", ".join(f"{level.name} at {level.price:.10g}" for level in (stop, target) if level)
            text = f"{stood or 'no stop or target'} wasn't reached"
        yield self._breach(
            number,
            trade,
            bar,
            f"{text} in this bar ({self._low[bar]:.10g} to {self._high[bar]:.10g}, open {self._open[bar]:.10g}), but "
            f"the trade left at {price:.10g}",
        )

    def _ignored(self, number: int, trade: Trade, bar: int, level: _Level, up: int, is_stop: bool) -> Breach:
        way = -up if is_stop else up
        reach = f"rose to {self._high[bar]:.10g}" if way > 0 else f"fell to {self._low[bar]:.10g}"
        fill = self._filled(level, bar, up, is_stop)
        return self._breach(
            number,
            trade,
            bar,
            f"{level.name} {self._said(level.name)} stood at {level.price:.10g} and the bar {reach}: it had to leave "
            f"at {fill:.10g}, but was held until bar {trade.exit_bar} and left at {trade.exit_price:.10g}",
        )

    def _said(self, name: str) -> str:
        return f"({getattr(self._risk, name)})"

    # Size

    def _by_size(
        self, number: int, trade: Trade, decided: int, money: float, equity: float
    ) -> Iterator[Breach]:
        """Whole units, measured at the close that decided (with the `equity` there) or at the price that was paid (with
        the `money` there): a strategy may order either way."""
        sizing, most = self._reading.definition.position_sizing, self._risk.max_position
        close = self._close[decided]
        paid = (
            trade.entry_price
            + trade.entry_price / entry_factor(trade.side, self._costs) * self._costs.commission
        )
        full = min(100.0 if most is None else most, 100 * FULL) / 100
        caps = [full * equity / close, full * money / paid]
        if most is not None and trade.size > max(caps) * (1 + _TOLERANCE):
            taken = f"{trade.size * paid / money * 100:.4g}" if money else "more than 100"
            yield self._breach(
                number,
                trade,
                trade.entry_bar,
                f"max_position {most:g}%: at most {int(max(caps))} units of {money:.2f}, but it has "
                f"{trade.size:.10g} ({taken}%)",
            )
            return
        if sizing.mode is SizingMode.PERCENT_OF_EQUITY:
            share_of_cap = min(sizing.value / 100 / full, 1.0)
            wanted = [share_of_cap * cap for cap in caps]
        else:
            wanted = [min(units, _MOST_UNITS) for units in self._units(trade.side, decided, equity, paid)]
            if math.floor(max(wanted) * (1 + _TOLERANCE)) > caps[0] * (1 - _TOLERANCE):
                # too many: they become a share of the money, which may buy more of them where the price fell
                wanted = [*(min(units, caps[0]) for units in wanted), *caps]
        low, high = (
            # units that are given are whole; those that are computed may lie just beside a whole number
            int(units) if units == sizing.value else math.floor(units * (1 + rounding))
            for units, rounding in ((min(wanted), -_TOLERANCE), (max(wanted), _TOLERANCE))
        )
        if not low <= trade.size <= high:
            yield self._breach(
                number,
                trade,
                trade.entry_bar,
                f"position_sizing {sizing.mode.value} {sizing.value:g} of {money:.2f}: expected "
                f"{low if low == high else f'{low} to {high}'} units, but it has {trade.size:.10g}",
            )

    def _units(self, side: Side, decided: int, equity: float, paid: float) -> list[float]:
        """What is ordered in units, before the cap."""
        sizing, close = self._reading.definition.position_sizing, self._close[decided]
        if sizing.mode is SizingMode.FIXED_UNITS:
            return [sizing.value]
        if sizing.mode is SizingMode.FIXED_CASH:
            return [sizing.value / close, sizing.value / paid]
        stop = self._first_stop(side, decided)
        gap = 0.0 if stop is None else abs(close - stop.price)
        return [equity * sizing.value / 100 / gap if gap else math.inf]

    # Words

    def _breach(self, number: int, trade: Trade, bar: int, text: str) -> Breach:
        moment = self._reading.index[bar]
        at = f"{moment:%Y-%m-%d}" if moment == moment.normalize() else f"{moment:%Y-%m-%d %H:%M}"
        return Breach(
            number, bar, f"trade {number} ({trade.side} of bar {trade.entry_bar}), bar {bar} ({at}): {text}"
        )


def _same(one: float, two: float) -> bool:
    return math.isclose(one, two, rel_tol=_TOLERANCE)
