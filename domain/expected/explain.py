"""Why there were no trades, in words."""

import numpy as np
import pandas as pd

from domain.expected.reading import Flags, Reading
from domain.expected.walk import Walk, rule_label
from domain.expected.words import describe
from domain.rules.ast import Compare, Condition, Cross, Logic, Not, Rule, Rulebook
from schemas.definition import StrategyDefinition
from schemas.trading import Costs, Side


def explain_no_trades(
    definition: StrategyDefinition, rulebook: Rulebook, bars: pd.DataFrame, costs: Costs
) -> list[str]:
    """For each side: how often each entry rule held, how often all together, and what came nearest.

    Also says where too few bars or impossible stops are the cause. Counts bars from the first decision on.
    """
    reading = Reading(definition, rulebook, bars)
    start = reading.first_decision
    if start is None:
        return [_too_short(reading)]
    lines: list[str] = []
    for side in Side:
        if rules := reading.entry_rules(side):
            lines += _side(reading, costs, side, rules, start)
    return lines


def _too_short(reading: Reading) -> str:
    for indicator in reading.indicators():
        if np.isnan(reading.value(indicator)).all():
            return (
                f"nothing was decided: {describe(indicator, reading)} has no value on any of the {reading.length} "
                "bars; use more data or a shorter period"
            )
    return f"nothing was decided: {reading.length} bars leave none to decide on; use more data"


def _side(reading: Reading, costs: Costs, side: Side, rules: tuple[Rule, ...], start: int) -> list[str]:
    total = reading.length - start
    held = [reading.truth(rule.condition).holds[start:] for rule in rules]
    lines = [
        f"{rule_label(rule)} held on {flags.sum()} of {total} bars"
        for rule, flags in zip(rules, held, strict=True)
    ]
    together = np.logical_and.reduce(held)
    if len(rules) > 1:
        lines.append(f"all {len(rules)} {side} entry rules together held on {together.sum()} of {total} bars")
    if together.any():
        return [*lines, *_held_but(reading, costs, side, together, start)]
    best = int(np.argmax(np.sum(held, axis=0)))
    if len(rules) > 1 and any(flags[best] for flags in held):
        failed = [rule for rule, flags in zip(rules, held, strict=True) if not flags[best]]
        lines.append(
            f"nearest: at bar {start + best} ({reading.index[start + best]}) all held but "
            + "; ".join(
                f"{rule_label(rule)} ({values(rule.condition, reading, start + best)})" for rule in failed
            )
        )
    for rule, flags in zip(rules, held, strict=True):
        if not flags.any() and (near := _nearest(rule.condition, reading, start)) is not None:
            lines.append(
                f"nearest to {rule_label(rule)}: bar {near} ({reading.index[near]}), "
                f"{values(rule.condition, reading, near)}"
            )
    return lines


def _held_but(reading: Reading, costs: Costs, side: Side, together: Flags, start: int) -> list[str]:
    """The rules held, yet no order came to a trade."""
    where = start + np.flatnonzero(together)
    walk = Walk(reading, costs)
    if mine := [trade for trade in walk.run() if trade.side is side]:
        first = mine[0].entry_bar
        return [
            f"the rules imply {len(mine)} {side} trades, the first at bar {first} ({reading.index[first]})"
        ]
    lines = []
    if not any(walk.levels(int(bar), side) for bar in where):
        lines.append(
            f"no {side} order could be placed: the stop or target was always missing, not above zero, or on the wrong "
            "side of the close; look at risk_limits"
        )
    if (where == reading.length - 1).all():
        lines.append("they held at the last bar only, after which there is no open to enter at")
    return lines or [
        f"the {side} orders came to nothing: too small for one unit, too dear, or both sides signalled at once"
    ]


def _nearest(condition: Condition, reading: Reading, start: int) -> int | None:
    """The bar at which the two sides of a single comparison were nearest to each other."""
    if not isinstance(condition, Compare | Cross):
        return None
    with np.errstate(invalid="ignore"):
        gap = np.abs(reading.value(condition.left) - reading.value(condition.right))[start:]
    return None if np.isnan(gap).all() else start + int(np.nanargmin(gap))


def values(condition: Condition, reading: Reading, bar: int) -> str:
    """The numbers that a condition compares at `bar`: `RSI(14) = 28.4 < 30`."""
    match condition:
        case Compare(op=op, left=left, right=right):
            return f"{describe(left, reading, bar)} {op} {describe(right, reading, bar)}"
        case Cross(direction=direction, left=left, right=right):
            now = f"{describe(left, reading, bar)} crosses {direction} {describe(right, reading, bar)}"
            before = (
                f"{describe(left, reading, bar - 1)}, {describe(right, reading, bar - 1)}"
                if bar
                else "nothing"
            )
            return f"{now}, one bar before {before}"
        case Not(expr=inner):
            return f"not ({values(inner, reading, bar)})"
        case Logic(op=op, parts=parts):
            return f" {op} ".join(f"({values(part, reading, bar)})" for part in parts)
