"""Names that can't clash: with backtesting.py's Strategy, with Python, with each other."""

import builtins
import keyword
from collections.abc import Iterable

STRATEGY_NAMES = frozenset(
    {"I", "buy", "closed_trades", "data", "equity", "init", "next", "orders", "position", "sell", "trades"}
)
"""Public attributes of backtesting.Strategy 0.6."""

IMPORTED = frozenset({"Strategy", "math", "np", "pd", "talib"})

HELPERS = frozenset({"ratio", "past", "vwap"})
"""Functions that a generated module may define beside its class."""

OWN_NAMES = frozenset({"ready", "order_size"})
"""What a generated class may define beside parameters and indicators."""

LOCAL_NAMES = frozenset(
    {
        "enter",
        "enter_long",
        "enter_short",
        "leave",
        "leave_long",
        "leave_short",
        "price",
        "self",
        "stop",
        "target",
        "trade",
        "units",
    }
)
"""Variables of a generated `next`."""

_PYTHON = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | frozenset(keyword.softkwlist)


class Names:
    """Hands out each name once; one that is taken, or Python's, gets '_' or a number behind it."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(_PYTHON | IMPORTED).union(taken)

    def take(self, wanted: str) -> str:
        name, count = wanted, 1
        while name in self._taken:
            name = f"{wanted}_" if count == 1 else f"{wanted}_{count}"
            count += 1
        self._taken.add(name)
        return name
