"""backtesting.py without its plots, imported and warmed up once; every trial is a fork that finds it ready."""

import base64
import functools
import gc
import io
import sys
from collections.abc import Mapping
from typing import Any

import harness.startup.sitecustomize  # noqa: F401 - before backtesting: stands in for its plots  # isort: skip

import backtesting.backtesting
import numpy as np
import pandas as pd
import talib
from backtesting import Backtest, Strategy

sys.modules.pop("tqdm.auto")  # others may have it: only backtesting was to do without


def read_bars(content: bytes) -> pd.DataFrame:
    """The canonical CSV as backtesting.py wants it: Open, High, Low, Close, Volume by time (UTC, without a zone)."""
    bars = pd.read_csv(io.BytesIO(content))
    bars.index = pd.DatetimeIndex(pd.to_datetime(bars.pop("Date"), utc=True)).tz_localize(None)
    return bars.astype(float)  # whole numbers too: TA-Lib takes no integers


def run_backtest(
    bars: pd.DataFrame,
    strategy: type,
    cash: float,
    commission: float,
    spread: float = 0.0,
    finalize: bool = True,
) -> dict[str, Any]:
    """What one run came to, all of it claims:

    - `trades`: the closed ones by entry bar; prices are what the engine filled at, sizes positive
    - `book`: the orders that stood as a bar opened, wherever they are others than one bar before (see `Book`)
    - `stats`: figures of backtesting.py's own
    - `indicators`: what the strategy computed with `self.I`: name, rows, and its float64 values in base64

    Without `finalize`, trades that are open at the end stay open, and `open` tells them.
    """
    book = Book()
    backtest = make_backtest(bars, strategy, cash, commission, spread, finalize, book)
    stats = backtest.run()
    acted = stats["_strategy"]
    if not finalize and acted.equity > 0:  # a ruined account decides no more
        book.note(len(bars), acted._broker.orders)
    closed = stats["_trades"].sort_values(["EntryBar", "ExitBar"], kind="stable")
    columns = ("Size", "EntryBar", "ExitBar", "EntryPrice", "ExitPrice")
    return {
        "trades": [
            _trade(*row) for row in zip(*(closed[column].tolist() for column in columns), strict=True)
        ],
        "open": [
            _trade(trade.size, trade.entry_bar, None, trade.entry_price, None) for trade in acted.trades
        ],
        "book": book.pages,
        "stats": {name: float(stats[key]) for name, key in STATS.items() if key in stats},
        "indicators": _indicators(acted, len(bars)),
    }


STATS = {
    "equity_final": "Equity Final [$]",
    "return_pct": "Return [%]",
    "commissions": "Commissions [$]",  # absent where there were none
    "trades": "# Trades",
    "win_rate_pct": "Win Rate [%]",
    "max_drawdown_pct": "Max. Drawdown [%]",
    "exposure_pct": "Exposure Time [%]",
}
MOST_VALUES = 1_000_000  # of all indicators together; those beyond are not reported


class Book:
    """Which orders stood as each bar opened: what had been decided by the close before it.

    A page is `[bar, orders]`, an order `[size, limit, stop, stop loss, target, of a trade]` in the queue's order. A bar
    that has no page of its own has that of the bar before. The page after the last bar holds what the last close
    decided and, where trades are finalised, the orders that close them.
    """

    def __init__(self) -> None:
        self.pages: list[list[object]] = []
        self._last: list[tuple[Any, ...]] = []
        self._bar: int | None = None

    def note(self, bar: int, orders: list[backtesting.backtesting.Order]) -> None:
        if bar == self._bar:  # the engine asks again at the last bar, to finalise
            bar += 1
        self._bar = bar
        now = [
            (order.size, order.limit, order.stop, order.sl, order.tp, order.parent_trade is not None)
            for order in orders
        ]
        if now != self._last:
            self._last = now
            self.pages.append([bar, [[*map(_number, order[:5]), order[5]] for order in now]])


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


class _Broker(backtesting.backtesting._Broker):
    """backtesting.py's, with a book, and with one difference: where stop and target may lie is measured from the close
    itself, not from a close that the spread has moved (with it, a target within the spread is an exception).
    """

    def __init__(self, *, book: Book, **more: Any) -> None:
        super().__init__(**more)
        self._book = book

    def next(self) -> None:
        self._book.note(len(self._data) - 1, self.orders)
        super().next()

    def _adjusted_price(self, size: float | None = None, price: float | None = None) -> float:
        # backtesting.py has no types
        return self.last_price if price is None else super()._adjusted_price(size, price)  # type: ignore[no-any-return]


def make_backtest(
    bars: pd.DataFrame,
    strategy: type,
    cash: float,
    commission: float,
    spread: float,
    finalize: bool,
    book: Book,
) -> Backtest:
    """The one way in which trials run: decided at the close, filled at the next open, one account, no margin."""
    backtest = Backtest(
        bars,
        strategy,
        cash=cash,
        commission=commission,
        spread=spread,
        trade_on_close=False,
        exclusive_orders=False,
        hedging=False,
        finalize_trades=finalize,
    )
    backtest._broker = functools.partial(_Broker, book=book, **backtest._broker.keywords)
    return backtest


def _trade(
    size: float, entry_bar: int, exit_bar: int | None, entry_price: float, exit_price: float | None
) -> dict[str, Any]:
    return {
        "side": "long" if size > 0 else "short",
        "size": abs(size),
        "entry_bar": entry_bar,
        "exit_bar": exit_bar,
        "entry_price": entry_price,
        "exit_price": exit_price,
    }


def _indicators(strategy: Strategy, length: int) -> list[dict[str, Any]]:
    """Those of `self.I`, named by the attribute that holds them, else by their own name."""
    found, room = [], MOST_VALUES
    held = {name: value for name, value in vars(strategy).items() if isinstance(value, np.ndarray)}
    for indicator in strategy._indicators:
        room -= indicator.size
        if room < 0 or indicator.dtype.kind not in "fiub" or indicator.shape[-1:] != (length,):
            continue
        name = next((name for name, value in held.items() if np.may_share_memory(value, indicator)), None)
        values = np.ascontiguousarray(indicator, dtype="<f8")
        found.append(
            {
                "name": name or str(indicator.name)[:100],
                "rows": values.size // length,
                "values": base64.b64encode(values.tobytes()).decode(),
            }
        )
    return found


class _WarmUp(Strategy):
    """Trades both ways with stops, so that the paths of a real trial have been walked before it."""

    def init(self) -> None:
        close = pd.Series(self.data.Close)
        self.fast = self.I(talib.SMA, self.data.Close, 5)
        self.rsi = self.I(talib.RSI, self.data.Close, 14)
        self.slow = self.I(lambda: close.rolling(20).mean().to_numpy())

    def next(self) -> None:
        price = self.data.Close[-1]
        if self.position:
            if self.rsi[-1] > 60 or self.rsi[-1] < 40:
                self.position.close()
        elif self.fast[-1] > self.slow[-1]:
            self.buy(size=0.5, sl=price * 0.9, tp=price * 1.2)
        else:
            self.sell(size=0.5, sl=price * 1.1)


def warm_up() -> None:
    """One whole backtest, then the collector is to see no more of all that is there: a fork shares memory that nobody
    touches."""
    walk()
    gc.freeze()
    gc.enable()


def walk() -> None:
    """One whole backtest on made-up bars. In a fork this makes its own copies of the pages that a backtest writes to,
    reference counts above all: most of what a forked backtest takes longer than one in the same process."""
    if not run_backtest(make_up_bars(), _WarmUp, 10_000.0, 0.001)["trades"]:
        raise RuntimeError("the warm-up backtest made no trades")


def make_up_bars() -> pd.DataFrame:
    """300 bars, read as those of a trial are."""
    steps = np.arange(300)
    close = 100 + 10 * np.sin(steps / 9) + 3 * np.sin(steps / 2)
    rows = zip(pd.date_range("2020-01-01", periods=300, tz="UTC"), close, strict=True)
    lines = [f"{at.isoformat()},{c:.4f},{c + 1:.4f},{c - 1:.4f},{c:.4f},1000\n" for at, c in rows]
    return read_bars(("Date,Open,High,Low,Close,Volume\n" + "".join(lines)).encode())


def strategy_class(namespace: Mapping[str, object], entrypoint: str) -> type:
    """The class that `entrypoint` names. Raises NameError or TypeError, with words for a person."""
    found = namespace.get(entrypoint)
    if found is None:
        classes = sorted(
            name
            for name, value in namespace.items()
            if isinstance(value, type) and issubclass(value, Strategy)
        )
        there = ", ".join(name for name in classes if name != "Strategy") or "none"
        raise NameError(f"the module defines no '{entrypoint}'; strategies in it: {there}")
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise TypeError(f"'{entrypoint}' is not a subclass of backtesting.Strategy")
    return found
