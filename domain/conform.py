"""Whether a strategy trades what its definition says: its trades beside the expected ones, bar by bar."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from domain.expected.explain import values
from domain.expected.reading import Reading
from domain.expected.walk import other
from domain.expected.words import number
from domain.rules.ast import Rule, Rulebook
from schemas.definition import StrategyDefinition
from schemas.trading import ExpectedTrade, Trade

MOST_TEXTS = 10
_TOLERANCE = 1e-9

Difference = tuple[int, Callable[[], str]]
"""The bar where it shows, and what puts it into words: few of many are asked to."""


@dataclass(frozen=True)
class Mismatch:
    """One difference. `bar` is where it shows; the last of a long list counts the rest."""

    bar: int
    text: str

    def __str__(self) -> str:
        return self.text


def compare_trades(
    expected: Sequence[ExpectedTrade],
    actual: Sequence[Trade],
    definition: StrategyDefinition,
    rulebook: Rulebook,
    bars: pd.DataFrame,
) -> list[Mismatch]:
    """The differences, earliest first: none where the trades agree (bars, side and size exactly, prices to 1e-9).

    At most MOST_TEXTS; where there are more, the last one counts the rest. Later ones may follow from the first.
    `expected` should have been read with `actual` as its claims, so that ties of rounding aren't held against it.
    """
    found = list(_Comparison(Reading(definition, rulebook, bars), expected, actual).differences())
    found.sort(key=lambda difference: difference[0])
    most = MOST_TEXTS if len(found) <= MOST_TEXTS else MOST_TEXTS - 1
    told = [Mismatch(bar, text()) for bar, text in found[:most]]
    if rest := found[most:]:
        told.append(Mismatch(rest[0][0], f"and {len(rest)} more mismatches"))
    return told


class _Comparison:
    def __init__(self, reading: Reading, expected: Sequence[ExpectedTrade], actual: Sequence[Trade]) -> None:
        self.reading = reading
        self.expected = sorted(expected, key=lambda trade: trade.entry_bar)
        self.actual = sorted(actual, key=lambda trade: trade.entry_bar)
        book = reading.rulebook
        self.rules = {
            rule.path: rule for rule in (*book.entry, *book.exit, *book.short_entry, *book.short_exit)
        }

    def differences(self) -> Iterator[Difference]:
        if not self._same_entries():
            yield from self._aligned()
            return
        for wanted, got in zip(self.expected, self.actual, strict=True):
            yield from self._details(wanted, got)

    def _same_entries(self) -> bool:
        return [(trade.entry_bar, trade.side) for trade in self.expected] == [
            (trade.entry_bar, trade.side) for trade in self.actual
        ]

    def _aligned(self) -> Iterator[Difference]:
        """Pairs the trades that begin on the same bar, and names those without a partner."""
        expected, actual = deque(self.expected), deque(self.actual)
        while expected or actual:
            if expected and actual and expected[0].entry_bar == actual[0].entry_bar:
                wanted, got = expected.popleft(), actual.popleft()
                if wanted.side is got.side:
                    yield from self._details(wanted, got)
                else:
                    yield wanted.entry_bar, partial(self._missing, wanted, got)
            elif not actual or (expected and expected[0].entry_bar < actual[0].entry_bar):
                wanted = expected.popleft()
                yield wanted.entry_bar, partial(self._missing, wanted, None)
            else:
                got = actual.popleft()
                yield got.entry_bar, partial(self._unexpected, got)

    # Entries

    def _missing(self, wanted: ExpectedTrade, got: Trade | None) -> str:
        bar = wanted.entry_bar
        held = self._held(self.reading.entry_rules(wanted.side), self._deciding(bar))
        instead = f"the strategy entered {got.side}" if got else self._instead(bar)
        return f"{self._at(bar)}: expected to enter {wanted.side} at the open: {held}, but {instead}"

    def _instead(self, bar: int) -> str:
        for trade in self.actual:
            if trade.entry_bar < bar <= trade.exit_bar:
                return f"the strategy still held its {trade.side} of bar {trade.entry_bar}"
        return "the strategy did nothing"

    def _unexpected(self, got: Trade) -> str:
        return f"{self._at(got.entry_bar)}: the strategy entered {got.side}, but {self._why_not(got)}"

    def _why_not(self, got: Trade) -> str:
        reading, deciding = self.reading, self._deciding(got.entry_bar)
        rules = reading.entry_rules(got.side)
        if not rules:
            return f"the definition has no {got.side} entry rules"
        if reading.first_decision is None:
            return "an indicator of the definition has no value on these bars, so nothing is to be decided"
        if got.entry_bar <= reading.first_decision:
            return f"the first decision is at the close of {self._at(reading.first_decision)}"
        failed = [rule for rule in rules if not reading.truth(rule.condition).holds[deciding]]
        if failed:
            return "; ".join(
                f"{_label(rule)} did not hold at bar {deciding} ({values(rule.condition, reading, deciding)})"
                for rule in failed
            )
        if reading.all_hold(reading.entry_rules(other(got.side)))[deciding]:
            return f"at bar {deciding} the rules of both sides held, so neither is to be entered"
        for trade in self.expected:
            if trade.entry_bar < got.entry_bar <= trade.exit_bar:
                return (
                    f"the {trade.side} of bar {trade.entry_bar} is to be held until bar {trade.exit_bar} "
                    f"({trade.exit_reason}), and its side isn't entered again on the bar that ends it"
                )
        return (
            "no order was to be placed or filled: its stop or target can't be placed there, or its size is less than "
            "one unit or more than there is money for"
        )

    # One trade against another

    def _details(self, wanted: ExpectedTrade, got: Trade) -> Iterator[Difference]:
        if wanted.size != got.size:
            yield wanted.entry_bar, partial(self._size, wanted, got)
        if not _close(wanted.entry_price, got.entry_price):
            yield wanted.entry_bar, partial(self._entry_price, wanted, got)
        if wanted.exit_bar != got.exit_bar:
            yield min(wanted.exit_bar, got.exit_bar), partial(self._exit, wanted, got)
        elif not _close(wanted.exit_price, got.exit_price):
            yield wanted.exit_bar, partial(self._exit_price, wanted, got)

    def _size(self, wanted: ExpectedTrade, got: Trade) -> str:
        sizing = self.reading.definition.position_sizing
        return (
            f"{self._at(wanted.entry_bar)}: entered {wanted.side} with {number(got.size)} units, expected "
            f"{number(wanted.size)} ({sizing.mode} {number(sizing.value)}{self._cap()})"
        )

    def _entry_price(self, wanted: ExpectedTrade, got: Trade) -> str:
        return (
            f"{self._at(wanted.entry_bar)}: entered {wanted.side} at {_price(got.entry_price)}, expected "
            f"{_price(wanted.entry_price)}, the open"
        )

    def _exit_price(self, wanted: ExpectedTrade, got: Trade) -> str:
        return (
            f"{self._at(wanted.exit_bar)}: {_name(wanted)} left at {_price(got.exit_price)}, expected "
            f"{_price(wanted.exit_price)}: {self._leaving(wanted)}"
        )

    def _exit(self, wanted: ExpectedTrade, got: Trade) -> str:
        if wanted.exit_bar < got.exit_bar:
            return (
                f"{self._at(wanted.exit_bar)}: expected to leave {_name(wanted)}: {self._leaving(wanted)}, but the "
                f"strategy held it until bar {got.exit_bar}"
            )
        deciding = self._deciding(got.exit_bar)
        rules = [
            f"{_label(rule)} did not hold at bar {deciding} ({values(rule.condition, self.reading, deciding)})"
            for rule in self.reading.exit_rules(wanted.side)
            if not self.reading.truth(rule.condition).holds[deciding]
        ]
        why = "; ".join(rules) or "nothing of the definition ends it there"
        return (
            f"{self._at(got.exit_bar)}: the strategy left {_name(wanted)} at {_price(got.exit_price)}, but {why}; "
            f"expected at bar {wanted.exit_bar}: {self._leaving(wanted)}"
        )

    def _leaving(self, wanted: ExpectedTrade) -> str:
        """The reason of an expected exit, with its values."""
        reason, deciding = wanted.exit_reason, self._deciding(wanted.exit_bar)
        limits = self.reading.definition.risk_limits
        if rule := self.rules.get(reason.partition(":")[0]):
            return self._held((rule,), deciding)
        match reason:
            case "reversal":
                rules = self.reading.entry_rules(other(wanted.side))
                return f"the other side signalled: {self._held(rules, deciding)}"
            case "stop_loss" | "take_profit" | "trailing_stop":
                return f"{reason} {getattr(limits, reason)} was hit, at {_price(wanted.exit_price)}"
            case "max_holding_bars":
                return f"max_holding_bars {limits.max_holding_bars}"
            case "end_of_data":
                return "the data ended"
            case _:
                return "the account was at zero or less"

    # Words

    def _held(self, rules: tuple[Rule, ...], bar: int) -> str:
        parts = (
            f"{_label(rule)} held at bar {bar} ({values(rule.condition, self.reading, bar)})"
            for rule in rules
        )
        return "; ".join(parts)

    def _deciding(self, bar: int) -> int:
        """The bar at whose close a fill at `bar` was decided. What the last close decides is filled in the last bar."""
        return max(bar - 1, 0)

    def _at(self, bar: int) -> str:
        moment = self.reading.index[bar]
        midnight = moment == moment.normalize()
        return f"bar {bar} ({moment:%Y-%m-%d})" if midnight else f"bar {bar} ({moment:%Y-%m-%d %H:%M})"

    def _cap(self) -> str:
        most = self.reading.definition.risk_limits.max_position
        return "" if most is None else f", max_position {number(most)}"


def _label(rule: Rule) -> str:
    return f"{rule.path} '{rule.text}'"


def _name(trade: ExpectedTrade) -> str:
    return f"the {trade.side} of bar {trade.entry_bar}"


def _price(value: float) -> str:
    return f"{value:.10g}"


def _close(one: float, two: float) -> bool:
    return math.isclose(one, two, rel_tol=_TOLERANCE)
