"""Orders: stops, targets and sizes as Python."""

from dataclasses import dataclass
from typing import Literal

from domain.compiler.expressions import Writer, number
from domain.compiler.series import atr_of
from schemas.definition import Distance, DistanceKind, SizingMode, StrategyDefinition
from schemas.trading import Side

FULL = 0.9999
"""All of the equity: backtesting.py takes a size of 1 for one unit, so the largest fraction is just below it."""

_SAFE_PERCENT = (0.0001, 99.99)
"""Percentages between these give a level that is positive and apart from the close."""

Way = Literal["+", "-"]


@dataclass
class Orders:
    """Writes what is done once a side is to be entered, and how a trail moves."""

    definition: StrategyDefinition
    writer: Writer

    def enter(self, side: Side) -> list[str]:
        """The lines that place one order."""
        down: Way = "-" if side is Side.LONG else "+"
        up: Way = "+" if side is Side.LONG else "-"
        risk = self.definition.risk_limits
        stops = [limit for limit in (risk.stop_loss, risk.trailing_stop) if limit is not None]
        lines, arguments = [], []
        if stops:
            levels = [self._level(limit, down) for limit in stops]
            tighter = "max" if side is Side.LONG else "min"
            lines.append(
                f"stop = {levels[0]}" if len(levels) == 1 else f"stop = {tighter}({', '.join(levels)})"
            )
            arguments.append("sl=stop")
        if risk.take_profit is not None:
            lines.append(f"target = {self._level(risk.take_profit, up)}")
            arguments.append("tp=target")
        order = self._order(side, arguments)
        if check := self._check(side, stops, risk.take_profit):
            self.writer.helpers.add("price")
            return [*lines, f"if {check}:", *(f"    {line}" for line in order)]
        return [*lines, *order]

    def _check(self, side: Side, stops: list[Distance], target: Distance | None) -> str:
        """What must be true for the order to be placed; '' where it always is."""
        limits = [*stops, *([target] if target is not None else [])]
        if all(self._safe(limit) for limit in limits):
            return ""
        chain = [*(["stop"] if stops else []), "price", *(["target"] if target is not None else [])]
        if side is Side.SHORT:
            chain.reverse()
        return " < ".join(chain if chain[0] == "price" else ["0", *chain])

    def _safe(self, limit: Distance) -> bool:
        value = self._amount(limit)
        return limit.kind is DistanceKind.PERCENT and _SAFE_PERCENT[0] <= value <= _SAFE_PERCENT[1]

    def _amount(self, limit: Distance) -> float:
        return self.writer.values[limit.value] if isinstance(limit.value, str) else limit.value

    def _level(self, limit: Distance, way: Way) -> str:
        if limit.kind is not DistanceKind.PRICE:
            self.writer.helpers.add("price")
        value = self._value(limit)
        match limit.kind:
            case DistanceKind.PERCENT:
                return f"price * {self._factor(limit, way)}"
            case DistanceKind.ATR:
                return f"price {way} {value} * {self.writer.now(atr_of(limit))}"
            case DistanceKind.DISTANCE:
                return f"price {way} {value}"
            case DistanceKind.PRICE:
                return value

    def _value(self, limit: Distance) -> str:
        if isinstance(limit.value, str):
            return f"self.{self.writer.parameters[limit.value]}"
        return number(limit.value)

    def _factor(self, limit: Distance, way: Way) -> str:
        """`0.98` where that is short, else `(1 - 2.345 / 100)`, which is the same number."""
        if not isinstance(limit.value, str):
            factor = number(1 - limit.value / 100 if way == "-" else 1 + limit.value / 100)
            if len(factor) <= 6:
                return factor
        return f"(1 {way} {self._value(limit)} / 100)"

    # Sizes

    def _order(self, side: Side, arguments: list[str]) -> list[str]:
        place = "self.buy" if side is Side.LONG else "self.sell"
        sizing = self.definition.position_sizing
        match sizing.mode:
            case SizingMode.PERCENT_OF_EQUITY:
                fraction = min(sizing.value / 100, self._cap(), FULL)
                return [f"{place}({', '.join([f'size={number(fraction)}', *arguments])})"]
            case SizingMode.FIXED_UNITS:
                order = ", ".join([f"size=self.order_size({number(sizing.value)})", *arguments])
                return [f"{place}({order})"]
            case SizingMode.FIXED_CASH:
                units = f"{number(sizing.value)} // price"
            case SizingMode.RISK_PERCENT:
                gap = "price - stop" if side is Side.LONG else "stop - price"
                units = f"self.equity * {number(sizing.value / 100)} // ({gap})"
        self.writer.helpers.add("price")
        order = ", ".join(["size=self.order_size(units)", *arguments])
        return [f"units = {units}", "if units >= 1:", f"    {place}({order})"]

    def _cap(self) -> float:
        most = self.definition.risk_limits.max_position
        return min(100.0 if most is None else most, 100.0) / 100

    def size_method(self) -> list[str]:
        """The method that the sizes in units go through; none where the size is a share of the equity."""
        if self.definition.position_sizing.mode is SizingMode.PERCENT_OF_EQUITY:
            return []
        cap = number(min(self._cap(), FULL))
        return [
            "def order_size(self, units):",
            f'    """The units, or the fraction {cap} of the equity where they would cost more."""',
            f"    return units if units * self.data.Close[-1] <= {cap} * self.equity else {cap}",
        ]

    # Trails

    def trail(self, long: bool, short: bool) -> list[str]:
        """The lines that move the stop of the open trade; it never loosens."""
        limit = self.definition.risk_limits.trailing_stop
        if limit is None:
            return []
        up = f"trade.sl = max(trade.sl, {self._level(limit, '-')})"
        down = f"trade.sl = min(trade.sl, {self._level(limit, '+')})"
        if long and short:
            body = ["if trade.is_long:", f"    {up}", "else:", f"    {down}"]
        else:
            body = [up if long else down]
        return ["for trade in self.trades:", *(f"    {line}" for line in body)]
