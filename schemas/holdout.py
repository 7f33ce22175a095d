"""The sealed end of the data, and what a result is worth: windows, tries, the risk that it was found by chance."""

from datetime import date
from typing import Annotated

from pydantic import Field

from schemas.base import Shape
from schemas.code import Digest
from schemas.gates import GateResult, Outcome
from schemas.market import DataSet


class Holdout(Shape):
    """The last bars of the data. What is tried out before the decision gets those before them, and nothing of these."""

    whole: DataSet
    """All bars: the experiment's own data, and the holdout after it."""
    bars: Annotated[int, Field(ge=1)]
    """How many of them are sealed."""

    def __str__(self) -> str:
        return f"the last {self.bars:,} of {self.whole.bars:,} bars"


class HoldoutReport(Shape):
    """What one run on all bars came to, once the holdout was opened. Judged outside, like a try-out."""

    whole: Digest
    first: int
    """The holdout's first bar, counted in the whole data."""
    bars: int
    gates: list[GateResult]
    """Those that can be asked of one run; `no_lookahead` asks whether anything before the holdout has changed."""
    trades: Digest | None = None
    """Artifact: JSON list of TradeRow, over all bars; None where the trades can't be true."""

    @property
    def passed(self) -> bool:
        return all(gate.outcome is Outcome.PASSED for gate in self.gates)


class Window(Shape):
    """A result's figures over some bars in a row. Percentages as numbers; None where they can't be computed.

    The account is marked at closes, from the last one before the window; a trade counts where it was entered.
    """

    name: str
    """in-sample, out-of-sample, all, or a number such as 2/5."""
    first: int
    bars: int
    start: str
    end: str
    return_pct: float
    buy_and_hold_pct: float
    sharpe: float | None
    max_drawdown_pct: float
    """Zero or negative."""
    exposure_pct: float
    trades: int
    win_rate_pct: float | None
    carried: int = 0
    """Trades that were open as the window began: their figures are in the return, and they aren't counted."""


class Evidence(Shape):
    """What a result is worth, by how it was come by."""

    tries: int
    """Attempts at this strategy on this data that were judged, over all experiments: this one, failed ones too."""
    experiments: int
    """That made them."""
    opened_before: int = 0
    """How often other experiments of this strategy had opened the same holdout."""
    sharpe_deviation: float | None = None
    """Of the tries' Sharpe ratios, a year; None where fewer than two are known."""
    deflated_sharpe: float | None = None
    """Probability that the true Sharpe ratio is above 0, given the tries; None where it can't be computed."""
    variants: int = 0
    """Different lists of trades among the tries."""
    overfitting_probability: float | None = None
    """Of which the best in one half of the data is below the median in the other; None for fewer than two."""
    windows: list[Window] = []
    """In-sample, out-of-sample and all where there is a holdout; then equal ones that follow each other."""
    cutoff: date | None = None
    """The last day that the model which wrote the code may know; None where none wrote it, or nobody says."""
    knowledge: list[Window] = []
    """Up to that day and after it; one alone where all bars lie on one side."""
