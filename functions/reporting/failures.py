"""How likely a week's failures are, for all requests and for each category, if weeks differ by more than chance. Pure.

What is expected of a category is its usual rate times what the others of its dimension show this week, as far as that
can be trusted (_Group.factor): what all models share in a week is not one model's fault.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from reporting.baseline import Dispersion
from reporting.findings import OVERALL
from reporting.significance import fisher_p_value
from reporting.usage import Counts

# Usual variances of a failure rate from week to week, relative to it: what is a category's own, ...
OWN_VARIANCE = 0.08**2
# ... what all categories share, ...
SHARED_VARIANCE = 0.15**2
# ... and that of the whole's rate, which has no other to be compared with and so is judged with more caution.
WHOLE_VARIANCE = 0.25**2
# A week before is odd if its odds of failing are this many times those of the others, and chance does not explain it.
ODD_FACTOR = 3.0
ODD_P_VALUE = 0.001


@dataclass(frozen=True, slots=True)
class Rate:
    """A failure rate: all requests', or one category's. `weeks` are this one and those before, newest first."""

    dimension: str
    value: str | None
    weeks: Sequence[Counts]
    usual: Sequence[int]
    before: Counts

    @classmethod
    def of(cls, dimension: str, value: str | None, weeks: Sequence[Counts]) -> "Rate":
        """Finds the usual weeks, and adds them up as `before`."""
        usual = usual_weeks(weeks)
        return cls(dimension, value, weeks, usual, sum((weeks[week] for week in usual), Counts()))

    @property
    def now(self) -> Counts:
        return self.weeks[0]

    def expected(self, week: int) -> float:
        """Failures in that week at the usual rate, to which half a failure is added so that it is never 0."""
        return self.weeks[week].settled * (self.before.failed + 0.5) / (self.before.settled + 1)


def usual_weeks(weeks: Sequence[Counts]) -> list[int]:
    """Which weeks before the first are not odd. As long as more than half are left, the worst is left out if it is."""
    known = [week for week in range(1, len(weeks)) if weeks[week].settled]
    usual = list(known)
    while 2 * (len(usual) - 1) > len(known):
        worst = max(usual, key=lambda week: weeks[week].failure_rate)
        others = sum((weeks[week] for week in usual if week != worst), Counts())
        is_far = _odds(weeks[worst]) >= ODD_FACTOR * _odds(others)
        if not is_far or _chance(weeks[worst], others) > ODD_P_VALUE:
            break
        usual.remove(worst)
    return usual


def p_values(rates: Sequence[Rate]) -> list[float]:
    """For each rate the chance of so many failures this week. They are in order of their dimensions, the whole first.

    The whole's weeks tell how much all rates move together. How much each moves by itself is learned from all
    dimensions, and then for each from its own.
    """
    groups = {dimension: list(group) for dimension, group in groupby(rates, key=lambda rate: rate.dimension)}
    whole = _Group(groups.pop(OVERALL, []), WHOLE_VARIANCE)
    together = whole.learned(Dispersion())
    dimensions = [_Group(group, SHARED_VARIANCE * together.factor) for group in groups.values()]
    apart = Dispersion().learn(sum(each.squares for each in dimensions), sum(each.freedom for each in dimensions))
    return whole.p_values(together) + [p for each in dimensions for p in each.p_values(each.learned(apart))]


class _Group:
    """A dimension's rates, and how far they were from what was expected: Pearson's statistic."""

    def __init__(self, rates: Sequence[Rate], shared_variance: float) -> None:
        weeks = range(len(rates[0].weeks) if rates else 0)
        self.rates = rates
        self.shared_variance = shared_variance
        self.failed = [sum(rate.weeks[week].failed for rate in rates) for week in weeks]
        self.expected = [sum(rate.expected(week) for rate in rates) for week in weeks]
        # Each is compared with the others, so that of two only one is independent.
        share = max(1, len(rates) - 1) / max(1, len(rates))
        self.squares = share * sum(self._square(rate, week) for rate in rates for week in rate.usual)
        self.freedom = share * sum(max(0, len(rate.usual) - 1) for rate in rates)

    def learned(self, before: Dispersion) -> Dispersion:
        return before.learn(self.squares, self.freedom)

    def p_values(self, dispersion: Dispersion) -> list[float]:
        return [self._p_value(rate, dispersion) for rate in self.rates]

    def _p_value(self, rate: Rate, dispersion: Dispersion) -> float:
        """Fisher's test against the weeks before, as they were and as they would have been with this week's factor."""
        factor, variance = self._factor(rate, 0)
        now, before, expected = rate.now, rate.before, rate.expected(0) * factor
        if now.failed <= expected:
            return 1.0
        moved = min(before.settled, round(before.failed * factor))
        chance = max(_chance(now, before), _chance(now, Counts(before.settled, before.settled - moved, moved)))
        # What is expected is known from few weeks, whose own deviations are in it.
        variance *= 1 + sum((rate.weeks[week].settled / before.settled) ** 2 for week in rate.usual)
        counting = (1 + now.settled / before.settled) / expected
        return dispersion.p_beyond(math.log(now.failed / expected), chance, counting, variance)

    def _square(self, rate: Rate, week: int) -> float:
        factor, variance = self._factor(rate, week)
        expected = rate.expected(week) * factor
        return (rate.weeks[week].failed / expected - 1) ** 2 / (1 / expected + variance)

    def _factor(self, rate: Rate, week: int) -> tuple[float, float]:
        """What the others of the dimension say that a rate is multiplied by in a week, and the variance that is left.

        They are trusted as far as their variance is shared: the best linear prediction (A. S. Goldberger, J. Am. Stat.
        Assoc. 57 (1962), 369-375).
        """
        failed, expected = self.failed[week] - rate.weeks[week].failed, self.expected[week] - rate.expected(week)
        if len(self.rates) == 1 or expected <= 0:
            return 1.0, OWN_VARIANCE + self.shared_variance
        trust = self.shared_variance / (self.shared_variance + OWN_VARIANCE + 1 / expected)
        return 1 + trust * (failed / expected - 1), OWN_VARIANCE + self.shared_variance * (1 - trust)


def _odds(counts: Counts) -> float:
    return (counts.failed + 0.5) / (counts.completed + 0.5)


def _chance(now: Counts, before: Counts) -> float:
    return fisher_p_value(now.failed, now.settled, before.failed, before.settled)
