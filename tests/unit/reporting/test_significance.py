"""The statistics against exact arithmetic, and the properties that their corrections promise."""

import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reporting import significance
from tests.unit.reporting.helpers import EXAMPLES

P_VALUES = st.lists(st.floats(0, 1), max_size=20)


def test_fisher_agrees_with_exact_arithmetic() -> None:
    """In every table of up to 12 and 30 trials the p-value is that of exact fractions."""
    for trials, trials_before in product((1, 5, 12), (1, 7, 30)):
        for hits, hits_before in product(range(trials + 1), range(trials_before + 1)):
            expected = exact_fisher(hits, trials, hits_before, trials_before)
            actual = significance.fisher_p_value(hits, trials, hits_before, trials_before)
            assert actual == pytest.approx(expected, rel=1e-11, abs=1e-12)


@pytest.mark.parametrize(
    "table", [(30, 200, 80, 1_600), (80, 1_000, 200, 4_000), (90, 2_000, 100, 2_000), (0, 500, 200, 4_000)]
)
def test_fisher_agrees_with_exact_arithmetic_in_large_tables(table: tuple[int, int, int, int]) -> None:
    """The tail is summed to its end, and either side of the mean."""
    assert significance.fisher_p_value(*table) == pytest.approx(exact_fisher(*table), rel=1e-9, abs=1e-11)


def exact_fisher(hits: int, trials: int, hits_before: int, trials_before: int) -> float:
    all_hits, everything = hits + hits_before, trials + trials_before
    ways = sum(
        math.comb(all_hits, x) * math.comb(everything - all_hits, trials - x)
        for x in range(hits, min(trials, all_hits) + 1)
    )
    return ways / math.comb(everything, trials)


@pytest.mark.parametrize("mean", [0.5, 3.0, 40.0])
def test_the_poisson_test_agrees_with_the_sum_of_its_chances(mean: float) -> None:
    """On the side of its mean on which a count lies."""
    chances = [math.exp(x * math.log(mean) - mean - math.lgamma(x + 1)) for x in range(200)]
    for count in range(80):
        expected = sum(chances[count:]) if count > mean else sum(chances[: count + 1])
        assert significance.poisson_p_value(count, mean) == pytest.approx(expected, rel=1e-9)
    assert significance.poisson_p_value(0, 5_000) == 0


@pytest.mark.parametrize(
    ("score", "freedom", "expected"),
    [(0.0, 5, 0.5), (2.353363, 3, 0.05), (-2.353363, 3, 0.95), (3.499483, 7, 0.005), (4.024701, 11, 0.001)],
)
def test_students_tail_agrees_with_its_table(score: float, freedom: float, expected: float) -> None:
    """Quantiles as printed in tables of the distribution."""
    assert significance.student_tail(score, freedom) == pytest.approx(expected, rel=0.02)


def test_students_tail_is_the_normal_one_for_many_degrees_of_freedom() -> None:
    """Three standard deviations."""
    assert significance.student_tail(3, 1e12) == pytest.approx(math.erfc(3 / math.sqrt(2)) / 2, rel=1e-3)


@settings(max_examples=EXAMPLES, deadline=None)
@given(p_values=P_VALUES)
def test_correction_keeps_the_order_and_never_lowers(p_values: list[float]) -> None:
    """Between the value itself and Bonferroni's, and never over 1."""
    adjusted = significance.corrected(p_values)
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert [q for _, q in pairs] == sorted(adjusted)
    assert all(p <= q * (1 + 1e-12) and q <= min(1, p * len(p_values)) * (1 + 1e-12) for p, q in pairs)


@settings(max_examples=EXAMPLES, deadline=None)
@given(p_values=P_VALUES, level=st.floats(0.001, 0.5))
def test_correction_is_the_step_up_procedure(p_values: list[float], level: float) -> None:
    """Found are the k smallest, for the largest k with the k-th at most level * k / m."""
    ordered = sorted(p_values)
    m = len(ordered)
    k = max((rank for rank, p in enumerate(ordered, start=1) if p * m / rank <= level), default=0)
    assert sum(q <= level for q in significance.corrected(p_values)) == k


def test_weights_move_the_level_between_tests() -> None:
    """Twice the weight is half the p-value."""
    assert significance.corrected([0.01, 0.9], [1.5, 0.5]) == pytest.approx([0.04 / 3, 1])


def test_the_robust_score_ignores_one_odd_week() -> None:
    """Median and MAD: 1.4826 of it is one standard deviation, and never less than the minimum scale."""
    assert significance.robust_score(10, [1, 2, 3, 4, 1_000], 0) == pytest.approx(7 / 1.4826)
    assert significance.robust_score(10, [3, 3, 3, 3, 1_000], 2) == 3.5
