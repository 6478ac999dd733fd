"""Where a line through the weeks leads, on the scale of logarithms, where half and double are equally far. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from reporting.baseline import Dispersion

# The usual variances: of a week's volume about its trend, and of the growth in a week, which without data is 0.
VOLUME_VARIANCE = 0.10**2
GROWTH_VARIANCE = 0.08**2
# A week that is this far from the line through the others is odd, and is left out: a bit less than half, or double.
ODD_DISTANCE = 0.6
MIN_WEEKS_TO_LEAVE_ONE_OUT = 3


@dataclass(frozen=True, slots=True)
class Line:
    """Through weeks that are numbered by how long ago they were, as negative numbers.

    Least squares, but the growth is drawn to 0 by its usual variance (ridge regression: A. E. Hoerl and R. W. Kennard,
    Technometrics 12 (1970), 55-67). `squares` is the sum of squared deviations, and `freedom` how many are free.
    """

    count: int
    middle: float
    level: float
    growth: float
    moment: float
    squares: float
    freedom: float

    @classmethod
    def through(cls, points: Mapping[int, float], variance: float, growth_variance: float = GROWTH_VARIANCE) -> "Line":
        """`variance` is a point's."""
        count = len(points)
        middle, level = sum(points) / count, sum(points.values()) / count
        width = sum((week - middle) ** 2 for week in points)
        moment = width + variance / growth_variance
        growth = sum((week - middle) * (value - level) for week, value in points.items()) / moment
        squares = sum((value - level - growth * (week - middle)) ** 2 for week, value in points.items())
        return cls(count, middle, level, growth, moment, squares, count - 1 - width / moment)

    def at(self, week: int) -> float:
        return self.level + self.growth * (week - self.middle)

    def uncertainty(self, week: int) -> float:
        """The variance of the line itself there, as a multiple of a point's."""
        return 1 / self.count + (week - self.middle) ** 2 / self.moment


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected of this week; `variance` is usual beyond that of counting."""

    expected: float
    counting: float
    variance: float
    dispersion: Dispersion

    @classmethod
    def of(cls, amounts: Sequence[float]) -> "Forecast":
        """From the weeks before, newest first, without one that is odd. Half is added, to give 0 a logarithm."""
        points = {-number: math.log(amount + 0.5) for number, amount in enumerate(amounts, start=1)}
        # The variance of the logarithm of a Poisson count (the delta method).
        counting = 1 / (median(amounts) + 0.5)
        line = _without_odd(points, VOLUME_VARIANCE + counting)
        dispersion = Dispersion().learn(line.squares / (VOLUME_VARIANCE + counting), line.freedom)
        variance = VOLUME_VARIANCE + (VOLUME_VARIANCE + counting) * line.uncertainty(0)
        return cls(max(0.5, math.exp(line.at(0)) - 0.5), counting, variance, dispersion)

    def p_beyond(self, amount: float, chance: float) -> float:
        """Chance of an amount so far from what is expected, either way, if `chance` is that of counting alone."""
        distance = abs(math.log((amount + 0.5) / (self.expected + 0.5)))
        return self.dispersion.p_beyond(distance, chance, self.counting, self.variance)


def _without_odd(points: Mapping[int, float], variance: float) -> Line:
    """The line through all, or without the one that is far from the line through the others."""
    if len(points) >= MIN_WEEKS_TO_LEAVE_ONE_OUT:
        lines = {
            odd: Line.through({week: value for week, value in points.items() if week != odd}, variance)
            for odd in points
        }
        distance, odd = max((abs(points[week] - line.at(week)), week) for week, line in lines.items())
        if distance > ODD_DISTANCE:
            return lines[odd]
    return Line.through(points, variance)


def p_of_fall(amounts: Sequence[int]) -> tuple[float, float]:
    """By what share amounts, newest first, fell each week, as the line through them does, and the chance of that."""
    points = {-number: math.log(amount + 0.5) for number, amount in enumerate(amounts)}
    counting = 1 / (median(amounts) + 0.5)
    line = Line.through(points, VOLUME_VARIANCE + counting, math.inf)
    dispersion = Dispersion().learn(line.squares / (VOLUME_VARIANCE + counting), line.freedom)
    chance = math.erfc(-line.growth * math.sqrt(line.moment / counting / 2)) / 2
    variances = counting / line.moment, VOLUME_VARIANCE / line.moment
    return 1 - math.exp(line.growth), dispersion.p_beyond(-line.growth, chance, *variances)
