"""Pure statistics: how likely chance alone is, and how far from the usual a value lies; each with its source."""

import math
from collections.abc import Iterable, Sequence

# A normal distribution's standard deviation over its MAD.
_MAD_SCALE = 1.4826


def fisher_p_value(hits: int, trials: int, hits_before: int, trials_before: int) -> float:
    """Chance of at least so many hits, if both groups have one rate and their sum is as it is.

    Fisher's exact test, one-sided: the upper tail of a hypergeometric distribution. R. A. Fisher, Statistical Methods
    for Research Workers (5th ed., 1934), section 21.02; equals scipy.stats.fisher_exact(..., "greater").
    """
    all_hits, everything = hits + hits_before, trials + trials_before
    if hits * everything > all_hits * trials:
        return _hypergeometric_tail(hits, trials, all_hits, everything)
    # Below the mean the first terms can underflow, so take the other tail, of the misses, from 1.
    return 1 - _hypergeometric_tail(trials - hits + 1, trials, everything - all_hits, everything)


def fall_p_value(low: int, high: int, least_ratio: float) -> float:
    """Chance of so few beside so many, if the first Poisson rate is no less than `least_ratio` of the second.

    The exact conditional test of two Poisson rates: given their sum, the first count is binomial. J. Przyborowski and
    H. Wilenski, Homogeneity of results in testing samples from Poisson series, Biometrika 31 (1940), 313-323. A ratio
    below 1 makes it a test for more than that difference, so that ordinary variation does not become significant.
    """
    n, share = low + high, least_ratio / (1 + least_ratio)
    if low < n * share:
        return _binomial_tail(high, n, 1 - share)
    return 1 - _binomial_tail(low + 1, n, share)


def corrected(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """P-values adjusted for their number, in the order given; weights, with a mean of 1, let some count for more.

    Y. Benjamini and Y. Hochberg, Controlling the false discovery rate, J. R. Stat. Soc. B 57 (1995), 289-300; weights:
    C. R. Genovese, K. Roeder and L. Wasserman, Biometrika 93 (2006), 509-524. Where nothing is wrong anywhere, one at
    or below a is found with a chance of at most a, for tests that are independent or positively dependent as these are
    (Y. Benjamini and D. Yekutieli, Ann. Stat. 29 (2001), 1165-1188).
    """
    weighted = [p / weight for p, weight in zip(p_values, weights or [1.0] * len(p_values), strict=True)]
    adjusted = [1.0] * len(weighted)
    smallest = 1.0
    for rank, index in reversed(list(enumerate(_ascending(weighted), start=1))):
        smallest = min(smallest, weighted[index] * len(weighted) / rank)
        adjusted[index] = smallest
    return adjusted


def robust_score(current: float, history: Sequence[float], least_scale: float) -> float:
    """How far a value lies from the history's median, in standard deviations estimated from the history's MAD.

    The modified z-score of B. Iglewicz and D. C. Hoaglin, How to Detect and Handle Outliers (ASQC, 1993). A few weeks
    can agree by chance, so the scale is at least `least_scale`.
    """
    center = median(history)
    deviation = median(abs(value - center) for value in history)
    return (current - center) / max(_MAD_SCALE * deviation, least_scale)


def median(values: Iterable[float]) -> float:
    """Of at least one value. The standard library's would import decimal and fractions, on every cold start."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _ascending(values: Sequence[float]) -> list[int]:
    """Indexes, of the smallest value first."""
    return sorted(range(len(values)), key=values.__getitem__)


def _hypergeometric_tail(least: int, draws: int, marked: int, population: int) -> float:
    """P(X >= least), for `least` above the mean; X is how many of `draws` are among the `marked`."""
    most = min(draws, marked)
    if least > most:
        return 0.0
    unmarked = population - marked
    log_first = _log_choose(marked, least) + _log_choose(unmarked, draws - least) - _log_choose(population, draws)
    return _tail(
        log_first,
        ((marked - x) * (draws - x) / ((x + 1) * (unmarked - draws + x + 1)) for x in range(least, most)),
    )


def _binomial_tail(least: int, trials: int, chance: float) -> float:
    """P(X >= least), for `least` above the mean."""
    if least > trials:
        return 0.0
    log_first = _log_choose(trials, least) + least * math.log(chance) + (trials - least) * math.log1p(-chance)
    odds = chance / (1 - chance)
    return _tail(log_first, ((trials - x) / (x + 1) * odds for x in range(least, trials)))


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
