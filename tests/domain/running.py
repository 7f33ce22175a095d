"""Runs generated code in backtesting.py, in this process."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from unittest import mock

import backtesting.backtesting
import pandas as pd

from harness.engine import Book, make_backtest
from schemas.code import GeneratedCode
from schemas.trading import Costs, Side, Trade


def load(code: GeneratedCode) -> Any:
    """The strategy class that the code defines."""
    module = ModuleType("generated")
    exec(compile(code.code, "generated.py", "exec"), module.__dict__)
    return getattr(module, code.entrypoint)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the engine's warnings and its progress bar."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        mock.patch.object(backtesting.backtesting, "_tqdm", lambda sequence, **_: sequence),
    ):
        warnings.simplefilter("ignore")
        yield


def run(code: GeneratedCode, bars: pd.DataFrame, costs: Costs, book: Book | None = None) -> Any:
    """backtesting.py's statistics of the run that the harness makes; `book` notes its orders."""
    with quietly():
        backtest = make_backtest(
            bars, load(code), costs.cash, costs.commission, costs.at_entry, True, book or Book()
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
