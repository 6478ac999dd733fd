"""Findings in how much was used: no requests at all, or far more or fewer requests or credits than usual."""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from reporting import significance
from reporting.findings import CRITICAL, OVERALL, WARNING, Finding
from reporting.significance import MIN_SAMPLES, SIGNIFICANCE_LEVEL, fall_p_value
from reporting.usage import Usage

# This many times the week before is a spike: growth alone hardly triples a week.
SPIKE_FACTOR = 3.0
# At most this share of the week before is a drop: half of the use is gone.
DROP_FACTOR = 0.5
# A week's volume is ordinary within this share of its usual level, either way.
VARIATION = 0.2
# Of two ordinary weeks, the lower over the higher at the worst.
MIN_RATIO = (1 - VARIATION) / (1 + VARIATION)
# A volume nearer than this to the usual week (the median) is not a finding: it is the return after an odd week.
MIN_CHANGE = 0.3


def find_outage(current: Usage, history: Sequence[Usage]) -> Finding | None:
    """Nothing at all after a busy week, or while the usual one is busy: so an outage that lasts is found again."""
    before = [week.counts.total for week in history]
    if current.total or not before or max(before[0], median(before)) < MIN_SAMPLES:
        return None
    message = f"No requests at all, after {before[0]:,} the week before and {median(before):,.0f} in a usual week."
    p_value = _p_value(0, max(before[0], median(before)), MIN_RATIO)
    return Finding("outage", message, CRITICAL, OVERALL, None, before[0], 0, before[0], 0, p_value)


def volume_findings(current: Usage, history: Sequence[Usage]) -> Iterator[Finding]:
    """Requests and credits against the week before, and against the usual week."""
    requests = [week.counts.total for week in (current, *history)]
    if any(requests[1:]):
        yield from _findings("requests", "Requests", requests, 1.0, requests)
    # Reports without the figure are left out, but the week before must have it.
    weeks = [week for week in (current, *history) if week.credits_spent is not None]
    credits = [week.credits_spent or 0 for week in weeks]
    if weeks[:2] == [current, *history[:1]] and any(credits[1:]):
        counts = [week.counts for week in weeks]
        images = sum(each.completed if each.settled else each.total for each in counts)
        lot = max(1.0, sum(credits) / images) if images else 1.0
        yield from _findings("credits", "Credits spent", credits, lot, requests)


def _findings(kind: str, name: str, amounts: Sequence[int], lot: float, requests: Sequence[int]) -> Iterator[Finding]:
    """A step of an amount that variation does not explain, against the week before or against all weeks.

    `amounts` and `requests` are of this week and those before, newest first. One request brings a `lot` on average, and
    amounts are counted in such lots in a Poisson test.
    """
    (now, previous), usual, score = amounts[:2], median(amounts[1:]), _score(amounts, lot)
    rose = now > previous

    def moved_from(reference: float, factor: float) -> bool:
        """Whether, in the direction it took from the week before, the lower is at most `factor` of the higher."""
        return reference <= factor * now if rose else now <= factor * reference

    if max(now, previous, usual) < MIN_SAMPLES * lot or not moved_from(usual, 1 - MIN_CHANGE):
        return
    p_value = _p_value(now / lot, previous / lot, MIN_RATIO)
    is_step = moved_from(previous, 1 / SPIKE_FACTOR if rose else DROP_FACTOR) and p_value <= SIGNIFICANCE_LEVEL
    if not is_step and abs(score or 0) >= significance.ROBUST_SCORE_LIMIT:
        p_value = _p_value(now / lot, usual / lot, 1 - VARIATION)
        # A smaller step is needed here too, so that a new level is found once, and not until the median follows.
        is_step = moved_from(previous, 1 - VARIATION) and p_value <= SIGNIFICANCE_LEVEL
    if is_step:
        times = f", {now / previous:.2g} times as many" if previous else ""
        change = f"{'rose' if rose else 'fell'} to {now:,} from {previous:,} the week before{times}"
        message = f"{name} {change}; a usual week has {usual:,.0f}."
        is_halved = kind == "requests" and not rose and now <= DROP_FACTOR * min(previous, usual)
        place = f"{kind}_{'spike' if rose else 'drop'}", message, CRITICAL if is_halved else WARNING, OVERALL, None
        yield Finding(*place, previous, now, requests[1], requests[0], p_value, score)


def _p_value(now: float, before: float, min_ratio: float) -> float:
    """Chance of so large a difference, either way, if the true ratio is no further from 1 than that given."""
    low, high = sorted((round(now), round(before)))
    return fall_p_value(low, high, min_ratio)


def _score(amounts: Sequence[int], lot: float) -> float | None:
    """The robust score of the logarithm, so that half and double are equally far; None if history is too short.

    The minimum scale is a uniform variation's standard deviation (its half-width over the root of 3) with a Poisson
    count's on top: the variance of the logarithm of a count is about one over its mean (the delta method).
    """
    if len(amounts) - 1 < significance.ROBUST_SCORE_WEEKS:
        return None
    min_scale = math.sqrt(VARIATION**2 / 3 + lot / max(median(amounts[1:]), lot))
    # Half a request more gives zero a logarithm.
    logs = [math.log(amount / lot + 0.5) for amount in amounts]
    return significance.robust_score(logs[0], logs[1:], min_scale)
