"""What a Sharpe ratio is worth when it is the best of several tries.

Bailey and López de Prado, "The Deflated Sharpe Ratio" (Journal of Portfolio Management 40(5), 2014), and Bailey,
Borwein, López de Prado and Zhu, "The Probability of Backtest Overfitting" (Journal of Computational Finance 20(4),
2017). Sharpe ratios here are of one period, not of a year. docs/verdict.md says why no library does this.
"""

import math
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]

BLOCKS = 16
LEAST_ROWS = 5
"""Returns in one block; with fewer in all there are fewer blocks."""
_NORMAL = NormalDist()


def expected_max_sharpe(tries: int, variance: float) -> float:
    """The Sharpe ratio that the best of so many independent tries without skill may be expected to show.

    `variance` is that of the tries' Sharpe ratios. 0 for a single try.
    """
    if tries < 2 or variance <= 0:
        return 0.0
    one, other = (_NORMAL.inv_cdf(1 - 1 / (tries * more)) for more in (1.0, math.e))
    return math.sqrt(variance) * ((1 - np.euler_gamma) * one + np.euler_gamma * other)


def probabilistic_sharpe(
    sharpe: float, benchmark: float, count: int, skew: float, kurtosis: float
) -> float | None:
    """The probability that the true Sharpe ratio is above `benchmark`, seen `sharpe` in `count` returns.

    `kurtosis` is 3 for a normal distribution. None where the estimate has no variance to speak of.
    """
    spread = 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if count < 2 or not (spread > 0 and math.isfinite(spread)):
        return None
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt((count - 1) / spread))


def deflated_sharpe(returns: Values, tries: int, variance: float) -> float | None:
    """The probability that the true Sharpe ratio is above 0, where `returns` are of the best of `tries`.

    None for fewer than three returns, or where all are equal.
    """
    if len(returns) < 3 or float(np.ptp(returns)) <= 1e-15:
        return None
    mean, spread = float(returns.mean()), float(returns.std(ddof=1))
    scores = (returns - mean) / float(returns.std())
    skew, kurtosis = float((scores**3).mean()), float((scores**4).mean())
    benchmark = expected_max_sharpe(tries, variance)
    return probabilistic_sharpe(mean / spread, benchmark, len(returns), skew, kurtosis)


def overfitting_probability(returns: Values) -> float | None:
    """The share of splits in which the variant that is best in one half is at or below the median in the other.

    Combinatorially symmetric cross-validation of `returns`, one row a period and one column a variant. A half without
    any movement has the Sharpe ratio 0. Rows that fill no block are left out at the end; None for fewer than two
    variants or four blocks.
    """
    rows, variants = returns.shape
    blocks = min(BLOCKS, rows // LEAST_ROWS // 2 * 2)
    if variants < 2 or blocks < 4:
        return None
    size = rows // blocks
    parts = returns[: size * blocks].reshape(blocks, size, variants)
    sums, squares = parts.sum(axis=1), (parts**2).sum(axis=1)
    chosen = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, members in enumerate(combinations(range(blocks), blocks // 2)):
        chosen[row, members] = 1.0
    count = size * blocks // 2
    inside = _sharpes(chosen @ sums, chosen @ squares, count)
    outside = inside[::-1]  # the complement of the n-th combination is the n-th from the end
    best = inside.argmax(axis=1)[:, np.newaxis]
    shown = np.take_along_axis(outside, best, axis=1)
    below, equal = (outside < shown).sum(axis=1), (outside == shown).sum(axis=1)
    rank = below + (equal + 1) / 2  # of ties the middle one
    return float((rank / (variants + 1) <= 0.5).mean())


def _sharpes(sums: Values, squares: Values, count: int) -> Values:
    mean = sums / count
    spread = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    moved = spread > 1e-12
    return np.divide(mean, spread, out=np.zeros_like(mean), where=moved)
