"""Findings in how much was used: nothing at all, far more or fewer requests or credits than expected, and a slide."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from reporting.findings import CRITICAL, OVERALL, WARNING, Finding
from reporting.significance import MIN_SAMPLES, poisson_p_value
from reporting.trend import Forecast, p_of_fall
from reporting.usage import Usage

# Two and a half times what was expected is a spike, and less than two thirds of it a drop.
SPIKE_FACTOR = 2.5
DROP_FACTOR = 0.63
# So much of it must have come since the week before: a new level is found once, and not until the line has followed.
STEP_FACTOR = 0.8
# Chance of a false drop or spike. Credits follow the requests, so they need more.
VOLUME_LEVELS = {"requests": 0.005, "credits": 0.002}
# A drop of requests is critical if about half is gone, and if chance is this small.
CRITICAL_DROP_FACTOR = 0.55
CRITICAL_P_VALUE = 0.001
# A slide is a fall over so many weeks, of at least this share in most of them.
SLIDE_WEEKS = 4
SLIDE_FALL = 0.07
SLIDE_LEVEL = 0.003


def find_outage(current: Usage, history: Sequence[Usage]) -> Finding | None:
    """Nothing at all after a busy week, or while the usual one is busy: so an outage that lasts is found again."""
    before = [week.counts.total for week in history]
    if current.total or not before or max(before[0], median(before)) < MIN_SAMPLES:
        return None
    message = f"No requests at all, after {before[0]:,} the week before and {median(before):,.0f} in a usual week."
    p_value = poisson_p_value(0, max(before[0], median(before)))
    return Finding("outage", message, CRITICAL, OVERALL, None, before[0], 0, before[0], 0, p_value)


def volume_findings(current: Usage, history: Sequence[Usage]) -> Iterator[Finding]:
    """Requests and credits against what the weeks before lead one to expect, and requests that fall week after week."""
    requests = [week.counts.total for week in (current, *history)]
    if any(requests[1:]):
        steps = list(_step("requests", "Requests", requests, 1.0, requests))
        yield from steps or _slide(requests)
    # Reports without the figure are left out, but the week before must have it.
    weeks = [week for week in (current, *history) if week.credits_spent is not None]
    credits = [week.credits_spent or 0 for week in weeks]
    if weeks[:2] == [current, *history[:1]] and any(credits[1:]):
        counts = [week.counts for week in weeks]
        images = sum(each.completed if each.settled else each.total for each in counts)
        lot = max(1.0, sum(credits) / images) if images else 1.0
        yield from _step("credits", "Credits spent", credits, lot, requests)


def _step(kind: str, name: str, amounts: Sequence[int], lot: float, requests: Sequence[int]) -> Iterator[Finding]:
    """An amount that is far from what is expected and from the week before.

    `amounts` and `requests` are of this week and those before, newest first. One request brings a `lot` on average, and
    amounts are counted in such lots.
    """
    now, previous = amounts[:2]
    forecast = Forecast.of([amount / lot for amount in amounts[1:]])
    expected = round(forecast.expected * lot)
    if max(now, expected) < MIN_SAMPLES * lot:
        return
    if rose := now > expected:
        is_large = now >= SPIKE_FACTOR * expected and previous <= STEP_FACTOR * now
    else:
        is_large = now <= DROP_FACTOR * expected and now <= STEP_FACTOR * previous
    p_value = forecast.p_beyond(now / lot, poisson_p_value(round(now / lot), forecast.expected)) if is_large else 1.0
    if p_value > VOLUME_LEVELS[kind]:
        return
    is_halved = kind == "requests" and not rose and now <= CRITICAL_DROP_FACTOR * expected
    message = (
        f"{name} {'rose' if rose else 'fell'} to {now:,} from {previous:,} the week before; about {expected:,} were "
        "to be expected."
    )
    severity = CRITICAL if is_halved and p_value <= CRITICAL_P_VALUE else WARNING
    place = f"{kind}_{'spike' if rose else 'drop'}", message, severity, OVERALL, None
    yield Finding(*place, expected, now, requests[1], requests[0], p_value)


def _slide(requests: Sequence[int]) -> Iterator[Finding]:
    """Requests that fell week after week, each time too little to be a drop."""
    recent = requests[: SLIDE_WEEKS + 1]
    steady = median(1 - newer / older if older else 0.0 for newer, older in pairwise(recent))
    if len(recent) <= SLIDE_WEEKS or recent[-1] < MIN_SAMPLES or steady < SLIDE_FALL:
        return
    fall, p_value = p_of_fall(recent)
    if p_value <= SLIDE_LEVEL:
        now, first = recent[0], recent[-1]
        message = f"Requests slid by about {fall:.0%} a week for {SLIDE_WEEKS} weeks, from {first:,} to {now:,}."
        yield Finding("requests_slide", message, WARNING, OVERALL, None, first, now, first, now, p_value)
