"""Lines through weeks."""

import math

import pytest

from reporting.trend import GROWTH_VARIANCE, Forecast, Line, p_of_fall


def test_a_line_without_a_usual_growth_is_least_squares() -> None:
    """Through points of a line it is that line, and nothing is left."""
    line = Line.through({-1: 3.0, -2: 2.5, -4: 1.5}, 0.01, math.inf)
    assert (line.growth, line.at(0), line.squares) == pytest.approx((0.5, 3.5, 0))
    assert line.freedom == pytest.approx(1)


def test_growth_is_drawn_to_none_while_there_are_few_weeks() -> None:
    """By the variance of a point over that of growth, beside the points' own moment."""
    line = Line.through({-1: 0.2, -2: 0.1, -3: 0.0}, 2 * GROWTH_VARIANCE)
    assert line.growth == pytest.approx(0.1 * 2 / (2 + 2))


@pytest.mark.parametrize("odd", [0, 10, 420, 3_000])
@pytest.mark.parametrize("at", [0, 2, 4])
def test_one_odd_week_does_not_move_what_is_expected(odd: int, at: int) -> None:
    """At either end or between, far less or far more."""
    amounts = [1_000.0] * 5
    amounts[at] = odd
    assert Forecast.of(amounts).expected == pytest.approx(1_000)
    assert Forecast.of(amounts).p_beyond(500, 0.0) < 0.001


def test_amounts_that_vary_more_surprise_less() -> None:
    """The same distance from the same expectation."""
    steady, restless = Forecast.of([1_000] * 4), Forecast.of([1_200, 833, 1_200, 833])
    assert steady.p_beyond(500, 0.0) < restless.p_beyond(500, 0.0) / 5


def test_how_fast_amounts_fall() -> None:
    """A share of each week, and a p-value that a rise does not have."""
    share, p_value = p_of_fall([522, 614, 722, 850, 1_000])
    assert share == pytest.approx(0.15, abs=0.001)
    assert p_value < 0.001
    assert p_of_fall([1_000, 850, 722, 614, 522])[1] == 1
