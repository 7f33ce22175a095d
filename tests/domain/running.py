"""Runs generated code in backtesting.py, in this process."""

import contextlib
import io
import warnings
from types import ModuleType
from typing import Any
from unittest import mock

import backtesting.backtesting
import pandas as pd

from schemas.code import GeneratedCode
from schemas.trading import Costs, Side, Trade


def load(code: GeneratedCode) -> Any:
    """The strategy class that the code defines."""
    module = ModuleType("generated")
    exec(compile(code.code, "generated.py", "exec"), module.__dict__)
    return getattr(module, code.entrypoint)


def run(code: GeneratedCode, bars: pd.DataFrame, costs: Costs) -> Any:
    """backtesting.py's statistics of the run that the harness makes."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        mock.patch.object(backtesting.backtesting, "_tqdm", lambda sequence, **_: sequence),
    ):
        warnings.simplefilter("ignore")
        backtest = backtesting.backtesting.Backtest(
            bars,
            load(code),
            cash=costs.cash,
            commission=costs.commission,
            trade_on_close=False,
            exclusive_orders=False,
            hedging=False,
            finalize_trades=True,
        )
        return backtest.run()


def trades_of(stats: Any) -> list[Trade]:
    return [
        Trade(
            side=Side.LONG if row.Size > 0 else Side.SHORT,
            size=abs(row.Size),
            entry_bar=row.EntryBar,
            exit_bar=row.ExitBar,
            entry_price=row.EntryPrice,
            exit_price=row.ExitPrice,
        )
        for row in stats._trades.itertuples()
    ]
