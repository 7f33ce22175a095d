"""Trades, and what is computed from them. Bars count from 0; prices in the data's currency."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.base import Shape


class Side(StrEnum):
    LONG = "long"
    SHORT = "short"


class Trade(Shape):
    """One closed trade, as the sandbox yields it: a claim, believed only once it is recomputed."""

    side: Side
    size: Annotated[float, Field(gt=0)]
    """Units, always positive."""
    entry_bar: Annotated[int, Field(ge=0)]
    exit_bar: Annotated[int, Field(ge=0)]
    entry_price: float
    exit_price: float


class ExpectedTrade(Shape):
    """One trade that the definition's rules imply, with the reason of each end.

    `entry_reason` and `exit_reason` name a rule and its text, for example `exit_rules[0]: RSI(14) > 70`, or one of
    `stop_loss`, `take_profit`, `trailing_stop`, `max_holding_bars`, `reversal`, `end_of_data`.
    """

    side: Side
    size: float
    entry_bar: int
    exit_bar: int
    entry_price: float
    exit_price: float
    entry_reason: str
    exit_reason: str


class TradeRow(Shape):
    """One trade as a person reads it. `profit` is after costs, in currency; `return_pct` on the entry value."""

    number: int
    side: Side
    size: float
    entry_time: str
    entry_bar: int
    entry_price: float
    entry_rule: str
    exit_time: str
    exit_bar: int
    exit_price: float
    exit_rule: str
    profit: float
    return_pct: float

    def plain(self) -> Trade:
        """The trade alone, to be reckoned with."""
        return Trade.model_validate(self.model_dump(include=set(Trade.model_fields)))


class Costs(Shape):
    """What trading costs, as shares (0.002 is 0.2 %). None of it depends on the size of an order.

    Commission is paid on each side's value. The spread is paid once a trade, slippage once a fill: both move the entry
    price, up for a long and down for a short, by `spread + 2 * slippage`; exits are at the plain price.
    """

    cash: Annotated[float, Field(gt=0)] = 1_000_000.0
    commission: Annotated[float, Field(ge=0, lt=0.1)] = 0.0
    spread: Annotated[float, Field(ge=0, lt=0.1)] = 0.0
    """Between bid and ask."""
    slippage: Annotated[float, Field(ge=0, lt=0.1)] = 0.0
    """Lost at each fill."""

    @property
    def at_entry(self) -> float:
        """The share by which an entry is dearer than its price."""
        return self.spread + 2 * self.slippage

    @property
    def free(self) -> bool:
        return not (self.commission or self.at_entry)


class Metrics(Shape):
    """Recomputed from trades and prices, never taken from the sandbox. Percentages as numbers (12.5 is 12.5 %);
    None where it can't be computed (no trades, no variance)."""

    bars: int
    start: str
    end: str
    equity_final: float
    return_pct: float
    buy_and_hold_pct: float
    cagr_pct: float | None
    volatility_pct: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown_pct: float
    """Zero or negative."""
    max_drawdown_bars: int
    exposure_pct: float
    trades: int
    win_rate_pct: float | None
    profit_factor: float | None
    expectancy_pct: float | None
    sqn: float | None
    best_trade_pct: float | None
    worst_trade_pct: float | None
    avg_trade_pct: float | None
    avg_trade_bars: float | None
    max_trade_bars: int | None
    max_wins_in_row: int
    max_losses_in_row: int
