"""The catalogue's indicators in numpy and pandas, written apart from TA-Lib and equal to it.

`compute` gives the same numbers, to 1e-8 and better, as the TA-Lib function that the catalogue names, the leading
NaNs included (TA-Lib 0.8, default compatibility, unstable period 0). The last bits may differ, as TA-Lib's own do from
build to build; `domain.expected` allows for that where a rule stands on a tie.
Source of the formulas: https://ta-lib.org/functions/.
"""

from domain.indicators.lines import compute
from domain.indicators.sums import Series

__all__ = ["Series", "compute"]
