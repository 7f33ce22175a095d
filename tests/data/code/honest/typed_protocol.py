from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import talib
from backtesting import Strategy

if TYPE_CHECKING:
    from pandas import Series

Array: TypeAlias = npt.NDArray[np.float64]
Side = Literal["long", "flat"]
PERIOD: Final = 21


class Indicator(Protocol):
    def __call__(self, values: Array, n: int) -> Array: ...


def smooth(indicator: Callable[[Array, int], Array], values: Sequence[float], n: int) -> Array:
    return cast(Array, indicator(np.asarray(values, dtype=float), n))


class Typed(Strategy):
    def init(self) -> None:
        self.mid: Array = self.I(smooth, talib.SMA, self.data.Close, PERIOD)

    def side(self) -> Side:
        return "long" if self.data.Close[-1] > self.mid[-1] else "flat"

    def next(self) -> None:
        match self.side(), bool(self.position):
            case "long", False:
                self.buy(size=0.5)
            case "flat", True:
                self.position.close()
            case _:
                pass
