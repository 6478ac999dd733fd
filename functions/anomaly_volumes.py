"""Findings in how much was used: no requests at all, or far more or fewer requests or credits than usual."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from findings import (
    CREDITS_DROP,
    CREDITS_SPIKE,
    CRITICAL,
    OUTAGE,
    OVERALL,
    REQUESTS_DROP,
    REQUESTS_SPIKE,
    WARNING,
    Anomaly,
    Thresholds,
)
from significance import fall_p_value, median, robust_score
from week_usage import Usage


@dataclass(frozen=True, slots=True)
class _Volume:
    """A week's amount and those before it, newest first.

    Attributes:
        kinds: of a finding, where it rose and where it fell.
        lot: how much of it one request brings, on average; in such lots it is counted in a Poisson test.
    """

    name: str
    kinds: tuple[str, str]
    now: int
    before: tuple[int, ...]
    lot: float
    requests: int
    requests_before: int

    @property
    def previous(self) -> int:
        return self.before[0]

    @property
    def usual(self) -> float:
        return median(self.before)

    @property
    def rose(self) -> bool:
        return self.now > self.previous

    def moved_from(self, reference: float, factor: float) -> bool:
        """Whether, in the direction it took from the week before, the lower is at most `factor` of the higher."""
        return reference <= factor * self.now if self.rose else self.now <= factor * reference

    def p_value_against(self, reference: float, least_ratio: float) -> float:
        """Chance of so large a difference, either way, if the true ratio is no further from 1 than that given."""
        low, high = sorted((round(self.now / self.lot), round(reference / self.lot)))
        return fall_p_value(low, high, least_ratio)


def find_outage(current: Usage, history: Sequence[Usage], thresholds: Thresholds) -> Anomaly | None:
    """Nothing at all where the week before, or the usual one, was busy: so an outage that lasts is found again."""
    if current.total_requests or not history:
        return None
    usual = median(week.total_requests for week in history)
    previous = history[0].total_requests
    if max(previous, usual) < thresholds.minimum_samples:
        return None
    return Anomaly(
        kind=OUTAGE,
        severity=CRITICAL,
        dimension=OVERALL,
        value=None,
        previous=previous,
        current=0,
        previous_samples=previous,
        current_samples=0,
        p_value=fall_p_value(0, round(max(previous, usual)), _least_ratio(thresholds)),
        score=None,
        message=f"No requests at all, after {previous:,} the week before and {usual:,.0f} in a usual week.",
    )


def volume_findings(current: Usage, history: Sequence[Usage], thresholds: Thresholds) -> Iterator[Anomaly]:
    """Requests and credits against the week before, and against the usual week."""
    for volume in _volumes(current, history):
        enough = max(volume.now, volume.previous, volume.usual) >= thresholds.minimum_samples * volume.lot
        # The return to normal after an odd week is no finding.
        unusual = volume.moved_from(volume.usual, 1 - thresholds.volume_change_minimum)
        if enough and unusual:
            yield from _volume_finding(volume, thresholds)


def _volumes(current: Usage, history: Sequence[Usage]) -> Iterator[_Volume]:
    """What there is to compare: nothing where there is no history, or nothing but empty weeks."""
    requests = tuple(week.total_requests for week in history)
    if any(requests):
        yield _Volume(
            name="Requests",
            kinds=(REQUESTS_SPIKE, REQUESTS_DROP),
            now=current.total_requests,
            before=requests,
            lot=1.0,
            requests=current.total_requests,
            requests_before=requests[0],
        )
    # Reports without the figure are passed over, but the week before is the yardstick.
    weeks = [week for week in history if week.credits_spent is not None]
    credits = tuple(week.credits_spent or 0 for week in weeks)
    if current.credits_spent is not None and any(credits) and weeks[0] is history[0]:
        images = sum(week.completed if week.settled else week.total_requests for week in [current, *weeks])
        lot = max(1.0, (current.credits_spent + sum(credits)) / images) if images else 1.0
        yield _Volume(
            name="Credits spent",
            kinds=(CREDITS_SPIKE, CREDITS_DROP),
            now=current.credits_spent,
            before=credits,
            lot=lot,
            requests=current.total_requests,
            requests_before=history[0].total_requests,
        )


def _volume_finding(volume: _Volume, thresholds: Thresholds) -> Iterator[Anomaly]:
    """A ratio to the week before beyond ordinary variation; or with enough weeks a score beyond their spread.

    For the score there must be a step from the week before too, so that a new level is found once, and not each week
    until the median follows.
    """
    factor = 1 / thresholds.volume_spike_factor if volume.rose else thresholds.volume_drop_factor
    ratio_p_value = volume.p_value_against(volume.previous, _least_ratio(thresholds))
    if volume.moved_from(volume.previous, factor) and ratio_p_value <= thresholds.significance_level:
        yield _volume_anomaly(volume, ratio_p_value, _volume_score(volume, thresholds), thresholds)
        return
    score = _volume_score(volume, thresholds)
    p_value = volume.p_value_against(volume.usual, 1 - thresholds.volume_variation)
    if (
        score is not None
        and abs(score) >= thresholds.robust_score_limit
        and p_value <= thresholds.significance_level
        and volume.moved_from(volume.previous, 1 - thresholds.volume_variation)
    ):
        yield _volume_anomaly(volume, p_value, score, thresholds)


def _volume_anomaly(volume: _Volume, p_value: float, score: float | None, thresholds: Thresholds) -> Anomaly:
    kind, verb = (volume.kinds[0], "rose") if volume.rose else (volume.kinds[1], "fell")
    halved = volume.now <= thresholds.volume_drop_factor * min(volume.previous, volume.usual)
    times = f", {volume.now / volume.previous:.2g} times as many" if volume.previous else ""
    return Anomaly(
        kind=kind,
        severity=CRITICAL if halved and kind == REQUESTS_DROP else WARNING,
        dimension=OVERALL,
        value=None,
        previous=volume.previous,
        current=volume.now,
        previous_samples=volume.requests_before,
        current_samples=volume.requests,
        p_value=p_value,
        score=score,
        message=(
            f"{volume.name} {verb} to {volume.now:,} from {volume.previous:,} the week before{times}; a usual week has "
            f"{volume.usual:,.0f}."
        ),
    )


def _least_ratio(thresholds: Thresholds) -> float:
    """Of two ordinary weeks, the lower over the higher at the worst."""
    return (1 - thresholds.volume_variation) / (1 + thresholds.volume_variation)


def _volume_score(volume: _Volume, thresholds: Thresholds) -> float | None:
    """The robust score of the logarithm, so that half and double are equally far; None where history is too short.

    The least scale is a uniform variation's standard deviation (its half-width over the root of 3) with a Poisson
    count's on top: the variance of the logarithm of a count is about one over its mean (the delta method).
    """
    if len(volume.before) < thresholds.robust_score_weeks:
        return None
    least_scale = math.sqrt(thresholds.volume_variation**2 / 3 + volume.lot / max(volume.usual, volume.lot))
    # Half a request more gives zero a logarithm.
    logs = [math.log(amount / volume.lot + 0.5) for amount in (volume.now, *volume.before)]
    return robust_score(logs[0], logs[1:], least_scale)
