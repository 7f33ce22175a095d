"""How much is held back, and that a run on all bars must have begun like the one without the holdout."""

from typing import Any

import pytest

from domain.holdout import MOST_TEXTS, changed_before, held_back
from schemas.trading import Side, Trade


def trade(entry: int, leave: int, **more: Any) -> Trade:
    fields: dict[str, Any] = {"side": Side.LONG, "size": 10.0, "entry_price": 100.0, "exit_price": 110.0}
    return Trade(entry_bar=entry, exit_bar=leave, **(fields | more))


@pytest.mark.parametrize(
    ("bars", "share", "held"),
    [(2148, 0.2, 429), (250, 0.2, 50), (249, 0.2, 0), (1000, 0.0, 0), (1000, 0.5, 500), (1, 0.5, 0)],
)
def test_how_many_bars_are_held_back(bars: int, share: float, held: int) -> None:
    assert held_back(bars, share) == held


SEAM = 100
"""The run without the holdout ended at bar 99."""
FIRST, SECOND = trade(10, 20), trade(30, 40)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], []),
        ([FIRST, SECOND], [FIRST, SECOND]),
        ([FIRST, SECOND], [FIRST, SECOND, trade(100, 120), trade(130, 140)]),
        # open across the seam: closed at the last bar's open before, left when its rule says so after
        ([FIRST, trade(90, 99)], [FIRST, trade(90, 130, exit_price=150.0)]),
        # a stop in the last bar itself
        ([FIRST, trade(90, 99)], [FIRST, trade(90, 99, exit_price=95.0)]),
        # entered on the last bar: only the finalised run fills there what the last close ordered
        ([FIRST, trade(99, 99)], [FIRST, trade(100, 120)]),
        ([FIRST], [FIRST, trade(99, 140)]),
        # the last digit
        ([FIRST], [trade(10, 20, exit_price=110.0 * (1 + 1e-12))]),
    ],
)
def test_an_honest_seam(before: list[Trade], after: list[Trade]) -> None:
    assert changed_before(SEAM, before, after) == []


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ([FIRST, SECOND], [FIRST], "with it: no such trade"),
        ([FIRST], [FIRST, SECOND], "without the holdout: no such trade"),
        ([FIRST], [trade(11, 20)], "from bar 11"),
        ([FIRST], [trade(10, 21)], "to bar 21"),
        ([FIRST], [trade(10, 20, exit_price=110.1)], "at 110.1"),
        ([FIRST], [trade(10, 20, entry_price=100.1)], "at 100.1"),
        ([FIRST], [trade(10, 20, size=11.0)], "long of 11"),
        ([FIRST], [trade(10, 20, side=Side.SHORT)], "short of 10"),
        # it left before the seam, where it had held until it: it knew that a fall would come
        ([trade(90, 99)], [trade(90, 98)], "to bar 98"),
        ([trade(90, 98)], [trade(90, 120)], "to bar 120"),
    ],
)
def test_a_run_that_began_otherwise(before: list[Trade], after: list[Trade], told: str) -> None:
    (found,) = changed_before(SEAM, before, after)
    assert told in found


def test_only_so_many_are_told() -> None:
    many = [trade(number, number) for number in range(90)]
    assert len(changed_before(SEAM, many, [])) == MOST_TEXTS
