"""backtesting.py without its plots, imported and warmed up once; every trial is a fork that finds it ready."""

import gc
import io
from collections.abc import Mapping

import harness.startup.sitecustomize  # noqa: F401 - before backtesting: stands in for its plots  # isort: skip

import numpy as np
import pandas as pd
import talib
from backtesting import Backtest, Strategy


def read_bars(content: bytes) -> pd.DataFrame:
    """The canonical CSV as backtesting.py wants it: Open, High, Low, Close, Volume by time (UTC, without a zone)."""
    bars = pd.read_csv(io.BytesIO(content))
    bars.index = pd.DatetimeIndex(pd.to_datetime(bars.pop("Date"), utc=True)).tz_localize(None)
    return bars


def run_backtest(bars: pd.DataFrame, strategy: type, cash: float, commission: float) -> list[dict]:
    """The trades, by entry bar; prices are what the engine filled at, sizes positive."""
    backtest = Backtest(
        bars,
        strategy,
        cash=cash,
        commission=commission,
        trade_on_close=False,
        exclusive_orders=False,
        hedging=False,
        finalize_trades=True,
    )
    trades = backtest.run()["_trades"].sort_values(["EntryBar", "ExitBar"], kind="stable")
    columns = ("Size", "EntryBar", "ExitBar", "EntryPrice", "ExitPrice")
    return [
        {
            "side": "long" if size > 0 else "short",
            "size": abs(size),
            "entry_bar": entry_bar,
            "exit_bar": exit_bar,
            "entry_price": entry_price,
            "exit_price": exit_price,
        }
        for size, entry_bar, exit_bar, entry_price, exit_price in zip(
            *(trades[column].tolist() for column in columns), strict=True
        )
    ]


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
    """One whole backtest on made-up bars, then everything that lives is taken out of the collector's sight: a fork
    shares memory that nobody touches."""
    steps = np.arange(300)
    close = 100 + 10 * np.sin(steps / 9) + 3 * np.sin(steps / 2)
    rows = zip(pd.date_range("2020-01-01", periods=300, tz="UTC"), close, strict=True)
    lines = [f"{at.isoformat()},{c:.4f},{c + 1:.4f},{c - 1:.4f},{c:.4f},1000\n" for at, c in rows]
    bars = read_bars(("Date,Open,High,Low,Close,Volume\n" + "".join(lines)).encode())
    if not run_backtest(bars, _WarmUp, 10_000.0, 0.001):
        raise RuntimeError("the warm-up backtest made no trades")
    gc.collect()
    gc.freeze()


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
