"""Findings in how long it takes from the order to the picture."""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from reporting.findings import OVERALL, WARNING, Finding, weeks_before
from reporting.significance import MIN_SAMPLES, ROBUST_SCORE_LIMIT, ROBUST_SCORE_WEEKS, robust_score
from reporting.usage import Usage

# Twice as slow is what a user notices.
SLOW_FACTOR = 2.0
# Standard error of the logarithm of an exponential sample's quantile, times the root of its size: for the median
# 1 / ln 2 = 1.44, for the 95th percentile sqrt(0.95 / 0.05) / ln 20 = 1.46.
_QUANTILE_SPREAD = 1.46
_QUANTILES = {"Median": "median_seconds", "95th percentile of": "p95_seconds"}


def slow_findings(current: Usage, history: Sequence[Usage]) -> Iterator[Finding]:
    """The median, or if that is as usual the slowest twentieth."""
    findings = (_slow_finding(name, current, history) for name in _QUANTILES)
    yield from [finding for finding in findings if finding][:1]


def _slow_finding(name: str, current: Usage, history: Sequence[Usage]) -> Finding | None:
    """A quantile of the generation time against the same of the weeks before, on the logarithm.

    The scale is at least the standard error that exponential times would have, by the asymptotic variance of a sample
    quantile (F. Mosteller, On some useful "inefficient" statistics, Ann. Math. Stat. 17 (1946), 377-408). Times that
    are less spread out, as usual, make it cautious.
    """
    now, completed = getattr(current, _QUANTILES[name]), current.counts.completed
    weeks = [week for week in history if getattr(week, _QUANTILES[name]) and week.counts.completed]
    before: list[float] = [getattr(week, _QUANTILES[name]) for week in weeks]
    samples = sum(week.counts.completed for week in weeks)
    if not now or min(completed, samples) < MIN_SAMPLES:
        return None
    usual = median(before)
    scale = _QUANTILE_SPREAD * math.sqrt(1 / completed + 1 / samples)
    measured = before if len(before) >= ROBUST_SCORE_WEEKS else [usual]
    score = robust_score(math.log(now), [math.log(seconds) for seconds in measured], scale)
    if now < SLOW_FACTOR * usual or score < ROBUST_SCORE_LIMIT:
        return None
    message = (
        f"{name} generation time rose to {_words(now)}, {now / usual:.2g} times the {_words(usual)} of "
        f"{weeks_before(len(before))}."
    )
    return Finding("slow_generation", message, WARNING, OVERALL, None, usual, now, samples, completed, None, score)


def _words(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
