"""Findings in how long a generation takes."""

import math
from collections.abc import Callable, Iterator, Sequence

from findings import OVERALL, SLOW_GENERATION, WARNING, Anomaly, Thresholds, weeks_before
from significance import median, robust_score
from week_usage import Usage

# Standard error of the logarithm of an exponential sample's quantile, times the root of its size: for the median
# 1 / ln 2 = 1.44, for the 95th percentile sqrt(0.95 / 0.05) / ln 20 = 1.46.
_QUANTILE_SPREAD = 1.46


def slow_findings(current: Usage, history: Sequence[Usage], thresholds: Thresholds) -> Iterator[Anomaly]:
    """The median, or where that is as ever the slowest twentieth."""
    quantiles: list[tuple[str, Callable[[Usage], float | None]]] = [
        ("Median", lambda week: week.generation_median_seconds),
        ("95th percentile of", lambda week: week.generation_p95_seconds),
    ]
    findings = (_slow_finding(name, quantile, current, history, thresholds) for name, quantile in quantiles)
    yield from [finding for finding in findings if finding][:1]


def _slow_finding(
    name: str,
    quantile: Callable[[Usage], float | None],
    current: Usage,
    history: Sequence[Usage],
    thresholds: Thresholds,
) -> Anomaly | None:
    """A quantile of the generation time against the same of the weeks before, on the logarithm.

    The least scale is the standard error that exponential times would have, by the asymptotic variance of a sample
    quantile (F. Mosteller, On some useful "inefficient" statistics, Ann. Math. Stat. 17 (1946), 377-408); times that
    are less spread out, as usual, make it cautious.
    """
    now = quantile(current)
    weeks = [(seconds, week.settled) for week in history if (seconds := quantile(week)) and week.settled]
    samples = sum(settled for _, settled in weeks)
    if not now or min(current.settled, samples) < thresholds.minimum_samples:
        return None
    before = [seconds for seconds, _ in weeks]
    usual = median(before)
    scale = _QUANTILE_SPREAD * math.sqrt(1 / current.settled + 1 / samples)
    measured = before if len(before) >= thresholds.robust_score_weeks else [usual]
    score = robust_score(math.log(now), [math.log(seconds) for seconds in measured], scale)
    if now < thresholds.slow_generation_factor * usual or score < thresholds.robust_score_limit:
        return None
    return Anomaly(
        kind=SLOW_GENERATION,
        severity=WARNING,
        dimension=OVERALL,
        value=None,
        previous=usual,
        current=now,
        previous_samples=samples,
        current_samples=current.settled,
        p_value=None,
        score=score,
        message=(
            f"{name} generation time rose to {now:.3g} s, {now / usual:.2g} times the {usual:.3g} s of "
            f"{weeks_before(len(weeks))}."
        ),
    )
