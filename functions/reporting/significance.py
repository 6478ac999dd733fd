"""Pure statistics: how likely chance alone is, and how far from the usual a value lies; each with its source."""

import itertools
import math
from collections.abc import Iterable, Sequence
from statistics import median

# A rate, a category or a week with fewer requests is not judged: one failure more or less would move it by 10 points.
MIN_SAMPLES = 11
# Chance of a false finding in one family of tests. With the minimum effects, at most 2 % of stable weeks then have one.
SIGNIFICANCE_LEVEL = 0.015
# A score beyond this is hardly chance: three standard deviations.
ROBUST_SCORE_LIMIT = 3.0
# With this many weeks or more, their own spread is the measure. Fewer agree too often by chance.
ROBUST_SCORE_WEEKS = 6
# A normal distribution's standard deviation over its median absolute deviation.
_MAD_SCALE = 1.4826


def fisher_p_value(hits: int, trials: int, hits_before: int, trials_before: int) -> float:
    """Chance of at least so many hits, if both groups have one rate and their sum is as it is.

    Fisher's exact test, one-sided: the upper tail of a hypergeometric distribution; equals scipy's fisher_exact.
    R. A. Fisher, Statistical Methods for Research Workers (5th ed., 1934), section 21.02.
    """
    all_hits, everything = hits + hits_before, trials + trials_before
    if hits * everything > all_hits * trials:
        return _hypergeometric_tail(hits, trials, all_hits, everything)
    # Below the mean the first terms can underflow, so take the other tail, of the misses, from 1.
    return 1 - _hypergeometric_tail(trials - hits + 1, trials, everything - all_hits, everything)


def student_tail(score: float, freedom: float) -> float:
    """Chance that a Student t variable is at least the score; for 3 degrees of freedom or more right within 1 %.

    As a normal variable: D. L. Wallace, Bounds on normal approximations to Student's and the chi-square distributions,
    Ann. Math. Stat. 30 (1959), 1121-1130.
    """
    normal = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(score * score / freedom))
    return math.erfc(math.copysign(normal, score) / math.sqrt(2)) / 2


def poisson_p_value(count: int, mean: float) -> float:
    """Chance of a Poisson count at least so far from its mean, which is above 0, on the same side."""
    log_first = count * math.log(mean) - mean - math.lgamma(count + 1)
    if count > mean:
        return _tail(log_first, (mean / x for x in itertools.count(count + 1)))
    return _tail(log_first, (x / mean for x in range(count, 0, -1)))


def corrected(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """P-values adjusted for their number, in the order given. Weights, with a mean of 1, let some count for more.

    Y. Benjamini and Y. Hochberg, Controlling the false discovery rate, J. R. Stat. Soc. B 57 (1995), 289-300; weights:
    C. R. Genovese, K. Roeder and L. Wasserman, Biometrika 93 (2006), 509-524. If nothing is wrong anywhere, one at or
    below a is found with a chance of at most a, for tests that are independent or positively dependent as these are
    (Y. Benjamini and D. Yekutieli, Ann. Stat. 29 (2001), 1165-1188).
    """
    weighted = [p / weight for p, weight in zip(p_values, weights or [1.0] * len(p_values), strict=True)]
    adjusted = [1.0] * len(weighted)
    smallest = 1.0
    ascending = sorted(range(len(weighted)), key=weighted.__getitem__)
    for rank, index in reversed(list(enumerate(ascending, start=1))):
        smallest = min(smallest, weighted[index] * len(weighted) / rank)
        adjusted[index] = smallest
    return adjusted


def robust_score(current: float, history: Sequence[float], min_scale: float) -> float:
    """How far a value lies from the history's median, in standard deviations estimated from the history's MAD.

    The modified z-score of B. Iglewicz and D. C. Hoaglin, How to Detect and Handle Outliers (ASQC, 1993). A few weeks
    can agree by chance, so the scale is at least `min_scale`.
    """
    center = median(history)
    deviation = median(abs(value - center) for value in history)
    return (current - center) / max(_MAD_SCALE * deviation, min_scale)


def _hypergeometric_tail(minimum: int, draws: int, marked: int, population: int) -> float:
    """P(X >= minimum), for a minimum above the mean; X is how many of `draws` are among the `marked`."""
    maximum = min(draws, marked)
    if minimum > maximum:
        return 0.0
    unmarked = population - marked
    log_first = _log_choose(marked, minimum) + _log_choose(unmarked, draws - minimum) - _log_choose(population, draws)
    odds = ((marked - x) * (draws - x) / ((x + 1) * (unmarked - draws + x + 1)) for x in range(minimum, maximum))
    return _tail(log_first, odds)


def _tail(log_first: float, ratios: Iterable[float]) -> float:
    """Sums falling terms, each the one before times its ratio, until they add nothing."""
    term = total = math.exp(log_first)
    for ratio in ratios:
        term *= ratio
        if total + term == total:
            break
        total += term
    return min(total, 1.0)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
