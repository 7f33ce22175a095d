"""Deflated Sharpe ratio, probability of overfitting: the papers' examples, cases by hand, another library's values."""

import math

import numpy as np
import pytest

from domain.overfitting import (
    deflated_sharpe,
    expected_max_sharpe,
    overfitting_probability,
    probabilistic_sharpe,
)


def drawn(rows: int, variants: int, seed: int = 7) -> np.ndarray:
    """Returns without skill, but for a drift that grows from variant to variant."""
    noise = np.random.default_rng(seed).standard_normal((rows, variants)) * 0.01
    return noise + np.linspace(0, 0.001, variants)


def test_the_example_of_bailey_and_lopez_de_prado() -> None:
    """Five years of days, an annual Sharpe ratio of 2.5, skew -3, kurtosis 10; a hundred tries of variance 1/2."""
    benchmark = expected_max_sharpe(100, 0.5 / 250)
    assert benchmark == pytest.approx(0.1132, abs=5e-5)
    sharpe = 2.5 / math.sqrt(250)
    assert probabilistic_sharpe(sharpe, benchmark, 1250, -3, 10) == pytest.approx(0.9004, abs=5e-5)
    fewer = expected_max_sharpe(46, 0.5 / 250)
    assert probabilistic_sharpe(sharpe, fewer, 1250, -3, 10) == pytest.approx(0.9505, abs=5e-5)


def test_one_try_without_skew_is_the_plain_question() -> None:
    assert expected_max_sharpe(1, 0.5) == 0.0
    assert expected_max_sharpe(50, 0.0) == 0.0
    assert probabilistic_sharpe(0.0, 0.0, 100, 0.0, 3.0) == 0.5
    # one standard error above: sqrt((1 + S^2 / 2) / (n - 1))
    sharpe = 0.1
    count = 1 + round((1 + sharpe**2 / 2) / sharpe**2)
    found = probabilistic_sharpe(sharpe, 0.0, count, 0.0, 3.0)
    assert found == pytest.approx(0.8413, abs=2e-3)


def test_more_tries_are_worth_less() -> None:
    returns = drawn(500, 1)[:, 0] + 0.001
    worth = [deflated_sharpe(returns, tries, 0.002) for tries in (1, 2, 5, 20, 1000)]
    assert all(one is not None for one in worth)
    assert worth == sorted(worth, key=lambda one: -(one or 0))
    assert len(set(worth)) == 5


def test_the_value_that_ffn_gives() -> None:
    """ffn 1.4.1's calc_deflated_sharpe_ratio, which takes unbiased moments: they differ by a 320th."""
    generator = np.random.default_rng(7)
    returns = generator.standard_normal((320, 6)) * 0.01 + np.linspace(0, 0.001, 6)
    generator.standard_normal((2000, 100))
    crashes = np.where(generator.random(320) < 0.02, returns[:, 5] - 0.04, returns[:, 5])
    variance = float(np.var([0.02, 0.05, -0.01, 0.08, 0.11], ddof=1))
    assert deflated_sharpe(crashes, 5, variance) == pytest.approx(0.2828008979730522, abs=1e-4)
    # and its calc_prob_backtest_overfitting, which is the same sum
    assert overfitting_probability(returns) == pytest.approx(0.3623154623154623, abs=1e-12)


@pytest.mark.parametrize(
    "returns", [np.array([]), np.array([0.1, 0.2]), np.zeros(50), np.full(50, 0.01)], ids=str
)
def test_nothing_is_said_of_too_little(returns: np.ndarray) -> None:
    assert deflated_sharpe(returns, 3, 0.01) is None


def test_a_sum_that_leaves_no_variance_is_no_probability() -> None:
    assert probabilistic_sharpe(2.0, 0.0, 100, 3.0, 1.0) is None
    assert probabilistic_sharpe(0.1, 0.0, 1, 0.0, 3.0) is None
    assert probabilistic_sharpe(0.1, 0.0, 100, math.nan, 3.0) is None


def test_variants_that_are_good_in_turns_are_overfitted_always() -> None:
    """Each of two is good where the other is bad: by hand, in 4 blocks, best inside is worst outside in every split
    with one good block more, and a tie of the rest is at the median."""
    wiggle = np.tile([0.001, -0.001], 10)
    good, bad = wiggle + 0.01, wiggle - 0.01
    halves = np.concatenate([good, bad])
    assert overfitting_probability(np.column_stack([halves, halves[::-1]])) == 1.0


def test_the_better_one_is_better_everywhere() -> None:
    wiggle = np.tile([0.01, -0.01], 80)
    assert overfitting_probability(np.column_stack([wiggle, wiggle + 0.001, wiggle - 0.001])) == 0.0


def test_without_skill_it_is_a_coin() -> None:
    noise = np.random.default_rng(3).standard_normal((3200, 40))
    found = overfitting_probability(noise)
    assert found is not None
    assert 0.2 < found < 0.8


def test_who_never_trades_has_the_ratio_zero_and_counts() -> None:
    idle = np.zeros(320)
    losing = drawn(320, 1)[:, 0] - 0.005
    assert overfitting_probability(np.column_stack([idle, losing])) == 0.0


def test_one_variant_or_few_rows_say_nothing() -> None:
    assert overfitting_probability(drawn(320, 1)) is None
    assert overfitting_probability(drawn(19, 3)) is None
    assert overfitting_probability(drawn(20, 3)) is not None
    assert overfitting_probability(np.empty((0, 5))) is None
