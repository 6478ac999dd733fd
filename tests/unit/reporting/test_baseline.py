"""What is learned from weeks, and how a surprise is measured with it."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reporting.baseline import PRIOR_FREEDOM, Dispersion
from reporting.significance import student_tail
from tests.unit.reporting.helpers import EXAMPLES

SHARES = st.floats(0, 1)


def test_the_dispersion_is_shrunk_while_there_are_few_weeks() -> None:
    """Weeks that vary four times as much count by their number; then there is more freedom."""
    few, many = Dispersion().learn(12, 3), Dispersion().learn(4_000, 1_000)
    assert (few.factor, few.freedom) == ((PRIOR_FREEDOM + 12) / (PRIOR_FREEDOM + 3), PRIOR_FREEDOM + 3)
    assert many.factor == pytest.approx(4, rel=0.03)
    assert Dispersion().learn(0, 0) == Dispersion()
    assert many.learn(0, 0).factor == many.factor


@settings(max_examples=EXAMPLES, deadline=None)
@example(distance=1.0, chance=0.0, counting=0.0, weeks=4.3e-231, squares=0.0)
@given(distance=SHARES, chance=SHARES, counting=SHARES, weeks=SHARES, squares=st.floats(0, 1_000))
def test_no_chance_is_below_that_of_counting_alone(
    distance: float, chance: float, counting: float, weeks: float, squares: float
) -> None:
    """For any distance, spread and history, the p-value is at least the exact test's, or 0.5."""
    p_value = Dispersion().learn(squares, 20).p_beyond(distance, chance, counting, weeks)
    assert min(chance, 0.5) <= p_value <= 1


def test_chance_alone_explains_weeks_that_do_not_differ() -> None:
    """If the weeks varied no more than chance does, the p-value is the exact test's."""
    assert Dispersion(0.5).p_beyond(0.5, 1e-7, 0.04, 0.01) == 1e-7


def test_the_weeks_spread_alone_explains_counts_without_chance() -> None:
    """Student's distribution: three standard deviations, with the freedom that was learned."""
    dispersion = Dispersion().learn(30, 10)
    spread = math.sqrt(dispersion.factor * 0.01)
    p_value = dispersion.p_beyond(3 * spread, 0, 0, 0.01)
    assert p_value == pytest.approx(student_tail(3, dispersion.freedom), rel=0.05)
