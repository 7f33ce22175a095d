"""What a report is made from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from schemas.budget import Balance
from schemas.definition import StrategyDefinition
from schemas.experiment import ExperimentResult
from schemas.market import DataSet
from schemas.trading import Costs, TradeRow


@dataclass(frozen=True)
class ReportView:
    """Everything that one report shows. What isn't there yet is None or empty; the report says so.

    `bars` are as MarketData gives them: one row a bar, UTC index, columns Open, High, Low, Close, Volume. `equity`
    is the account's value at each bar's close, in currency, one value for each bar. `lineage` are names and values
    that tell where the result came from beside those in `result`: engine, sandbox image, versions, who asked.
    """

    result: ExperimentResult
    definition: StrategyDefinition
    costs: Costs = field(default_factory=Costs)
    data: DataSet | None = None
    bars: pd.DataFrame | None = None
    equity: pd.Series | None = None
    trades: Sequence[TradeRow] = ()
    code: str | None = None
    diff: str | None = None
    seam: int | None = None
    """The first bar of the holdout, where it is opened; `bars`, `equity` and `trades` then reach to its end, while
    `result.metrics` are of the bars before it."""
    balance: Balance | None = None
    """Of what models may use; None where no model was asked."""
    lineage: Sequence[tuple[str, str]] = ()
