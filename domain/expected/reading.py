"""The rules of one definition as arrays over the bars."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from domain.indicators import Series, compute
from domain.rules.ast import (
    Arithmetic,
    Compare,
    Condition,
    Cross,
    Expr,
    Indicator,
    Lag,
    Logic,
    Named,
    Negative,
    Not,
    Number,
    Parameter,
    Price,
    Rule,
    Rulebook,
)
from domain.rules.catalogue import CATALOGUE
from domain.rules.tree import is_series, walk
from schemas.definition import Distance, DistanceKind, StrategyDefinition
from schemas.trading import Side

Flags = npt.NDArray[np.bool_]
Certainty = Literal["exact", "sure", "possible"]
"""How a comparison on a tie is taken: as computed, as neither true nor false, as both."""

_COLUMNS = ("Open", "High", "Low", "Close", "Volume")
_RELATIVE, _OF_PRICE = 1e-9, 1e-12
"""Two sides closer than this (of themselves; of the highest close) are a tie: their order is a matter of rounding."""

_EXACT = frozenset({"HIGHEST", "LOWEST", "MOM", "ABS"})
"""Indicators that take values as they are, or one difference of them."""

_COMPARE: dict[str, Callable[[Series, Series], Flags]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


@dataclass(frozen=True)
class Truth:
    """Where a condition holds and where it doesn't; at neither, a value that it needs isn't there."""

    holds: Flags
    fails: Flags


class Reading:
    """One definition read on one set of bars.

    `bars`: DatetimeIndex; numeric columns Open, High, Low, Close (positive, finite) and Volume. Raises ValueError that
    names what is missing or where a price is impossible.
    """

    def __init__(self, definition: StrategyDefinition, rulebook: Rulebook, bars: pd.DataFrame) -> None:
        self.definition = definition
        self.rulebook = rulebook
        self.index = bars.index
        self.columns = _columns(bars)
        self.length = len(bars)
        self._values: dict[Expr, Series] = {}
        self._lines: dict[tuple[object, ...], tuple[Series, ...]] = {}
        closes = self.columns["Close"]
        self._tie = _OF_PRICE * float(closes.max()) if self.length else 0.0
        self.first_decision = self._first_decision()

    def _first_decision(self) -> int | None:
        """The first bar at whose close something may be decided; None where there is none."""
        start = 0
        for indicator in self.indicators():
            missing = np.isnan(self.value(indicator))
            if missing.all():
                return None
            start = max(start, int(np.argmin(missing)))
        return start + 1 if start + 1 < self.length else None

    def indicators(self) -> list[Indicator]:
        """Every indicator that the rules and risk limits mention, each once."""
        book = self.rulebook
        rules = (*book.entry, *book.exit, *book.short_entry, *book.short_exit)
        found = [
            node
            for rule in rules
            for node in walk(rule.condition)
            if isinstance(node, Indicator) and node.name != "ABS"  # a function of the bar, it is always there
        ]
        risk = self.definition.risk_limits
        for limit in (risk.stop_loss, risk.take_profit, risk.trailing_stop):
            if limit is not None and limit.kind is DistanceKind.ATR:
                found.append(atr_of(limit))
        return list(dict.fromkeys(found))

    # Numbers

    def parameter(self, name: str) -> float:
        try:
            return float(self.definition.parameters[name])
        except KeyError:
            known = ", ".join(sorted(self.definition.parameters)) or "none"
            raise ValueError(f"parameters: '{name}' isn't defined; there are: {known}") from None

    def amount(self, value: float | str) -> float:
        """A number of the risk limits, or the parameter that it names."""
        return self.parameter(value) if isinstance(value, str) else float(value)

    def value(self, expr: Expr) -> Series:
        """`expr` at every bar; NaN where it isn't there."""
        if expr not in self._values:
            with np.errstate(all="ignore"):
                value = np.asarray(self._evaluate(expr), dtype=float)
            self._values[expr] = np.broadcast_to(value, (self.length,))
        return self._values[expr]

    def _evaluate(self, expr: Expr) -> Series | float:
        match expr:
            case Number(value=value):
                return value
            case Parameter(name=name):
                return self.parameter(name)
            case Price(column=column):
                return self.columns[column]
            case Named(expr=inner):
                return self.value(inner)
            case Negative(expr=inner):
                return -self.value(inner)
            case Lag(expr=inner, bars=bars):
                return self._lagged(inner, bars)
            case Arithmetic(op=op, left=left, right=right):
                return _calculate(op, self.value(left), self.value(right))
            case Indicator(name="ABS", source=source) if source is not None:
                return np.abs(self.value(source))
            case Indicator():
                return self._line(expr)

    def _lagged(self, expr: Expr, bars: int) -> Series:
        value = self.value(expr)
        if not is_series(expr):
            return value  # a constant was always the same
        bars = min(bars, self.length)
        return np.concatenate((np.full(bars, np.nan), value[: self.length - bars]))

    def _line(self, indicator: Indicator) -> Series:
        spec = CATALOGUE[indicator.name]
        key = (indicator.name, indicator.args, indicator.source)
        if key not in self._lines:
            args = {name: float(self.value_of(argument)) for name, argument in indicator.args}
            if indicator.source is not None:
                # A gap would spoil all that follows; the last value stands in for it, as in the generated code.
                inputs = [_filled(self.value(indicator.source))]
            else:
                inputs = [self.columns[column] for column in spec.columns or ("Close",)]
            self._lines[key] = compute(indicator.name, args, *inputs)
        return self._lines[key][spec.lines.index(indicator.line)]

    def value_of(self, argument: Number | Parameter) -> float:
        return argument.value if isinstance(argument, Number) else self.parameter(argument.name)

    # Conditions

    def truth(self, condition: Condition, certainty: Certainty = "exact") -> Truth:
        match condition:
            case Compare(op=op, left=left, right=right):
                return self._compare(op, left, right, certainty)
            case Cross(direction=direction, left=left, right=right):
                before, now = ("<=", ">") if direction == "above" else (">=", "<")
                was = self._compare(before, Lag(left, 1), Lag(right, 1), certainty)
                is_now = self._compare(now, left, right, certainty)
                return Truth(was.holds & is_now.holds, was.fails | is_now.fails)
            case Not(expr=inner):
                truth = self.truth(inner, certainty)
                return Truth(truth.fails, truth.holds)
            case Logic(op=op, parts=parts):
                truths = [self.truth(part, certainty) for part in parts]
                every, some = (
                    (np.logical_and, np.logical_or) if op == "and" else (np.logical_or, np.logical_and)
                )
                holds: Flags = every.reduce([truth.holds for truth in truths])
                fails: Flags = some.reduce([truth.fails for truth in truths])
                return Truth(holds, fails)

    def _compare(self, op: str, left_expr: Expr, right_expr: Expr, certainty: Certainty) -> Truth:
        left, right = self.value(left_expr), self.value(right_expr)
        there = ~(np.isnan(left) | np.isnan(right))
        with np.errstate(invalid="ignore"):
            result = _COMPARE[op](left, right)
            holds, fails = there & result, there & ~result
            if (
                certainty == "exact"
                or left_expr == right_expr
                or not (_rounded(left_expr) or _rounded(right_expr))
            ):
                return Truth(holds, fails)
            scale = np.maximum(np.abs(left), np.abs(right))
            tie = there & (np.abs(left - right) <= _RELATIVE * scale + self._tie)
        if certainty == "sure":
            return Truth(holds & ~tie, fails & ~tie)
        return Truth(holds | tie, fails | tie)

    def all_hold(self, rules: tuple[Rule, ...], certainty: Certainty = "exact") -> Flags:
        """Where every rule holds; nowhere if there are none."""
        if not rules:
            return np.zeros(self.length, dtype=bool)
        together: Flags = np.logical_and.reduce(
            [self.truth(rule.condition, certainty).holds for rule in rules]
        )
        return together

    # Risk limits

    def levels(self, limit: Distance, direction: int) -> Series:
        """The level that `limit` sets at each close; `direction` is 1 above the close, -1 below."""
        value, close = self.amount(limit.value), self.columns["Close"]
        match limit.kind:
            case DistanceKind.PERCENT:
                return close * (1 + direction * value / 100)
            case DistanceKind.ATR:
                return close + direction * value * self.value(atr_of(limit))
            case DistanceKind.DISTANCE:
                return close + direction * value
            case DistanceKind.PRICE:
                return np.full(self.length, value)

    def entry_rules(self, side: Side) -> tuple[Rule, ...]:
        return self.rulebook.entry if side is Side.LONG else self.rulebook.short_entry

    def exit_rules(self, side: Side) -> tuple[Rule, ...]:
        return self.rulebook.exit if side is Side.LONG else self.rulebook.short_exit


def atr_of(limit: Distance) -> Indicator:
    return Indicator("ATR", (("period", Number(float(limit.period))),), None)


def _filled(values: Series) -> Series:
    """Every gap after the first value filled with the value before it."""
    return np.asarray(pd.Series(values).ffill(), dtype=np.float64)


def _rounded(expr: Expr) -> bool:
    """Whether the last bit of `expr` may differ between machines: prices and what IEEE makes of them don't."""
    return any(isinstance(node, Indicator) and node.name not in _EXACT for node in walk(expr))


def _calculate(op: str, left: Series, right: Series) -> Series:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            return np.where(right != 0, left / np.where(right != 0, right, 1.0), math.nan)


def _columns(bars: pd.DataFrame) -> dict[str, Series]:
    if absent := [name for name in _COLUMNS if name not in bars.columns]:
        raise ValueError(f"bars: no column {', '.join(absent)}; needed are {', '.join(_COLUMNS)}")
    columns = {name: bars[name].to_numpy(dtype=float) for name in _COLUMNS}
    for name in _COLUMNS[:4]:
        impossible = ~(np.isfinite(columns[name]) & (columns[name] > 0))
        if impossible.any():
            bar = int(np.argmax(impossible))
            raise ValueError(
                f"bars: {name} of bar {bar} is {columns[name][bar]}; prices must be more than zero"
            )
    return columns
