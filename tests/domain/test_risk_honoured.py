"""Limits checked trade by trade. That generated code keeps them is shown with random definitions in test_book."""

from typing import Any

import pytest

from domain.risk_honoured import broken_limits, limits_of
from schemas.trading import Costs, Side, Trade
from tests.domain.test_expected import flat, quotes, read

BARS = quotes(
    (100, 100, 100, 100),
    (100, 100, 100, 100),  # decides
    (101, 103, 99, 102),  # entry
    (102, 108, 101, 107),
    (107, 107, 96, 97),
    (97, 99, 94, 95),
    (95, 96, 95, 96),
    (96, 96, 96, 96),
)
HELD = {"entry_rules": ["Close > 0"], "exit_rules": ["Close < 0"]}
ALL = {"position_sizing": {"mode": "fixed_units", "value": 10}}


def trade(exit_bar: int, exit_price: float, side: Side = Side.LONG, **changes: Any) -> Trade:
    values: dict[str, Any] = {"side": side, "size": 10, "entry_bar": 2, "entry_price": 101}
    return Trade.model_validate(values | {"exit_bar": exit_bar, "exit_price": exit_price} | changes)


def breaches(trades: list[Trade], risk: dict[str, Any], **data: Any) -> list[str]:
    definition, book = read(**(HELD | ALL | data), risk_limits=risk)
    return [str(breach) for breach in broken_limits(trades, definition, book, BARS, Costs())]


LONG, SHORT = Side.LONG, Side.SHORT


@pytest.mark.parametrize(
    ("risk", "exit_bar", "exit_price"),
    [
        ({"stop_loss": "2%"}, 4, 98),  # 98, below the close of 100
        ({"stop_loss": "2%"}, 3, 102),  # a decision, at the open
        ({"stop_loss": "1%"}, 2, 99),  # within the entry bar, touched exactly
        ({"stop_loss": "1%"}, 4, 99),  # or not: a touch may be taken either way
        ({"take_profit": "5%"}, 3, 105),
        ({"take_profit": "3%"}, 3, 103),
        ({"take_profit": "3%"}, 2, 103),
        ({"trailing_stop": "5%"}, 4, 107 * 0.95),  # 95, then 96.9, then 101.65
        ({"trailing_stop": "5%", "stop_loss": "50%"}, 4, 107 * 0.95),
        ({"stop_loss": "2%", "take_profit": "50%"}, 4, 98),
        ({"max_holding_bars": 2}, 4, 107),
        ({"max_holding_bars": 3}, 4, 107),
        ({"stop_loss": "price 95"}, 5, 95),
        ({"stop_loss": "distance 6"}, 5, 94),
    ],
)
def test_kept(risk: dict[str, Any], exit_bar: int, exit_price: float) -> None:
    assert breaches([trade(exit_bar, exit_price)], risk) == []


@pytest.mark.parametrize(
    ("risk", "exit_bar", "exit_price", "said"),
    [
        (
            {"stop_loss": "2%"},
            5,
            97,
            "trade 1 (long of bar 2), bar 4 (2024-01-05): stop_loss (2%) stood at 98 and the bar fell to 96: it had to "
            "leave at 98, but was held until bar 5 and left at 97",
        ),
        (
            {"stop_loss": "2%"},
            4,
            97.5,
            "stop_loss (2%) at 98 fills at 98 in this bar (96 to 107, open 107), but",
        ),
        ({"stop_loss": "2%"}, 4, 99, "but the trade left at 99"),
        (
            {"stop_loss": "2%"},
            3,
            105,
            "stop_loss at 98 wasn't reached in this bar (101 to 108, open 102), but",
        ),
        (
            {"take_profit": "5%"},
            4,
            107,
            "bar 3 (2024-01-04): take_profit (5%) stood at 105 and the bar rose to 108",
        ),
        ({"take_profit": "5%"}, 3, 106, "take_profit (5%) at 105 fills at 105"),
        ({"trailing_stop": "5%"}, 5, 97, "trailing_stop (5%) stood at 101.65 and the bar fell to 96"),
        ({"trailing_stop": "5%", "stop_loss": "2%"}, 4, 98, "trailing_stop (5%) at 101.65 fills at 101.65"),
        (
            {"max_holding_bars": 2},
            5,
            97,
            "bar 4 (2024-01-05): max_holding_bars 2: it had to leave at the open of this",
        ),
        ({}, 4, 100, "no stop or target wasn't reached"),
        (
            {"stop_loss": "price 120"},
            4,
            107,
            "stop_loss (price 120) would lie at 120, on the wrong side of the close",
        ),
        (
            {"stop_loss": "2 ATR(14)"},
            4,
            107,
            "stop_loss has no value at this bar, so nothing could be entered",
        ),
    ],
)
def test_broken(risk: dict[str, Any], exit_bar: int, exit_price: float, said: str) -> None:
    (text,) = breaches([trade(exit_bar, exit_price)], risk)
    assert said in text


def test_shorts_the_other_way_round() -> None:
    short = {"short_entry_rules": ["Close > 0"], "short_exit_rules": ["Close < 0"]}
    assert breaches([trade(3, 105, SHORT)], {"stop_loss": "5%"}, **short) == []
    (late,) = breaches([trade(4, 107, SHORT)], {"stop_loss": "5%"}, **short)
    assert "stop_loss (5%) stood at 105 and the bar rose to 108: it had to leave at 105" in late
    assert breaches([trade(4, 97, SHORT)], {"take_profit": "3%"}, **short) == []
    (late,) = breaches([trade(5, 97, SHORT)], {"take_profit": "3%"}, **short)
    assert "take_profit (3%) stood at 97 and the bar fell to 96" in late


@pytest.mark.parametrize(
    ("sizing", "most", "size", "said"),
    [
        ({"mode": "fixed_units", "value": 10}, None, 10, None),
        (
            {"mode": "fixed_units", "value": 10},
            None,
            9,
            "fixed_units 10 of 1000000.00: expected 10 units, but it has 9",
        ),
        ({"mode": "fixed_cash", "value": 5000}, None, 50, None),
        ({"mode": "fixed_units", "value": 1.7976931348623157e308}, 5, 500, None),  # the cap, at 100
        ({"mode": "fixed_cash", "value": 5000}, None, 49, None),  # measured at the open of 101
        ({"mode": "fixed_cash", "value": 5000}, None, 51, "expected 49 to 50 units"),
        ({"mode": "percent_of_equity", "value": 50}, None, 4950, None),  # at 101
        ({"mode": "percent_of_equity", "value": 50}, None, 5000, None),  # at the close of 100
        ({"mode": "percent_of_equity", "value": 50}, None, 5001, "expected 4950 to 5000 units"),
        ({"mode": "percent_of_equity", "value": 50}, 10, 990, None),
        ({"mode": "percent_of_equity", "value": 50}, 10, 1001, "max_position 10%: at most 1000 units"),
        ({"mode": "percent_of_equity", "value": 50}, 10, 500, "expected 990 to 1000 units, but it has 500"),
        ({"mode": "fixed_units", "value": 2000}, 10, 990, None),
        ({"mode": "fixed_units", "value": 2000}, 10, 2000, "max_position 10%"),
        ({"mode": "risk_percent", "value": 1}, None, 5000, None),  # 10,000 lost over a distance of 2
        (
            {"mode": "risk_percent", "value": 1},
            None,
            6000,
            "risk_percent 1 of 1000000.00: expected 4999 to 5000 units",
        ),
    ],
)
def test_sizes(sizing: dict[str, Any], most: float | None, size: int, said: str | None) -> None:
    found = breaches(
        [trade(4, 98, size=size)], {"stop_loss": "2%", "max_position": most}, position_sizing=sizing
    )
    if said is None:
        assert found == []
    else:
        (text,) = found
        assert said in text


def test_sizes_follow_the_account() -> None:
    """After a loss, the same share buys less; the second trade is told with its own number."""
    definition, book = read(**HELD, position_sizing={"mode": "percent_of_equity", "value": 50})
    bars = flat(100, 100, 100, 50, 50, 50, 50)
    first = trade(3, 100, entry_bar=2, entry_price=100, size=5000)
    lost = first.model_copy(update={"exit_bar": 4, "exit_price": 50.0})
    again = trade(6, 50, entry_bar=5, entry_price=50, size=7500)
    assert broken_limits([lost, again], definition, book, bars, Costs()) == []
    (breach,) = broken_limits(
        [lost, again.model_copy(update={"size": 10_000})], definition, book, bars, Costs()
    )
    assert (breach.trade, breach.bar) == (2, 5)


def test_what_is_checked_is_said() -> None:
    definition, _ = read(**HELD, risk_limits={"stop_loss": "2%", "max_holding_bars": 5})
    assert limits_of(definition) == ["stop_loss", "max_holding_bars", "size (percent_of_equity)"]
