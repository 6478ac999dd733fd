"""Findings in failure rates: of all requests, and of each category of each dimension."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from findings import (
    CRITICAL,
    FAILURE_RATE_HIGH,
    FAILURE_RATE_RISE,
    OVERALL,
    SUCCESS_RATE_DROP,
    WARNING,
    Anomaly,
    Thresholds,
    weeks_before,
)
from significance import corrected, fisher_p_value
from week_usage import DIMENSIONS, Counts, Usage, pooled


@dataclass(frozen=True, slots=True)
class _Item:
    """What has a failure rate: all requests, or one category; this week's counts and those of the weeks before."""

    dimension: str
    value: str | None
    now: Counts
    before: Counts

    @property
    def label(self) -> str:
        return f" of {self.dimension} '{self.value}'" if self.value is not None else ""


def rate_findings(current: Usage, history: Sequence[Usage], thresholds: Thresholds) -> Iterator[Anomaly]:
    """Failure rates against the pooled history; the overall one as a drop of success where that is the larger news."""
    items = [item for item in _items(current, history) if item.now.settled >= thresholds.minimum_samples]
    tested = [item for item in items if item.before.settled >= thresholds.minimum_samples]
    p_values = corrected([_rise_p_value(item) for item in tested], _weights(tested))
    findings = [
        finding
        for item, p_value in zip(tested, p_values, strict=True)
        if p_value <= thresholds.significance_level
        for finding in _rate_finding(item, p_value, len(history), thresholds)
    ]
    yield from sorted(_without_echoes(findings, thresholds), key=_least_chance)
    alarming = [
        item
        for item in items
        if item.before.settled < thresholds.minimum_samples
        and item.now.failure_rate >= thresholds.failure_rate_alarming
    ]
    # Where everything fails, that each category does is no news.
    whole = [item for item in alarming if item.dimension == OVERALL]
    yield from (_alarming_finding(item) for item in whole or alarming)


def _without_echoes(findings: Sequence[Anomaly], thresholds: Thresholds) -> list[Anomaly]:
    """When a model fails, the whole and each style fail more: critical are the whole and what is worse than that."""
    whole = next((finding for finding in findings if finding.dimension == OVERALL), None)
    if whole is None:
        return list(findings)
    rate = whole.current if whole.kind == FAILURE_RATE_RISE else 100 - whole.current
    least_percent = max(rate * thresholds.failure_rate_rise_factor, rate + 100 * thresholds.failure_rate_rise_minimum)
    return [
        finding if finding is whole or finding.current >= least_percent else replace(finding, severity=WARNING)
        for finding in findings
    ]


def _least_chance(finding: Anomaly) -> tuple[float, float]:
    """The order of findings; p-values of 0 are not rare, and then the higher rate comes first."""
    return finding.p_value or 0.0, -finding.current


def _weights(items: Sequence[_Item]) -> list[float]:
    """The same for each dimension, however many categories it has: many styles do not hide a model's failure."""
    sizes = Counter(item.dimension for item in items)
    return [len(items) / (len(sizes) * sizes[item.dimension]) for item in items]


def _items(current: Usage, history: Sequence[Usage]) -> Iterator[_Item]:
    yield _Item(OVERALL, None, current.overall, sum((week.overall for week in history), Counts()))
    for dimension in DIMENSIONS:
        before = pooled(history, dimension)
        for name, now in current.by(dimension).items():
            yield _Item(dimension, name, now, before.get(name, Counts()))


def _rise_p_value(item: _Item) -> float:
    return fisher_p_value(item.now.failed, item.now.settled, item.before.failed, item.before.settled)


def _rate_finding(item: _Item, p_value: float, weeks: int, thresholds: Thresholds) -> Iterator[Anomaly]:
    now, before = item.now.failure_rate, item.before.failure_rate
    if item.dimension == OVERALL and 1 - now <= thresholds.success_rate_drop_factor * (1 - before):
        yield _rate_anomaly(item, SUCCESS_RATE_DROP, CRITICAL, p_value, weeks)
    elif now >= before + thresholds.failure_rate_rise_minimum and now >= before * thresholds.failure_rate_rise_factor:
        grave = now > thresholds.failure_rate_floor and now >= thresholds.failure_rate_factor * before
        yield _rate_anomaly(item, FAILURE_RATE_RISE, CRITICAL if grave else WARNING, p_value, weeks)


def _rate_anomaly(item: _Item, kind: str, severity: str, p_value: float, weeks: int) -> Anomaly:
    if kind == SUCCESS_RATE_DROP:
        name, verb, now, before = "Success rate", "fell", item.now.completed, item.before.completed
    else:
        name, verb, now, before = "Failure rate", "rose", item.now.failed, item.before.failed
    percent, percent_before = 100 * now / item.now.settled, 100 * before / item.before.settled
    return Anomaly(
        kind=kind,
        severity=severity,
        dimension=item.dimension,
        value=item.value,
        previous=percent_before,
        current=percent,
        previous_samples=item.before.settled,
        current_samples=item.now.settled,
        p_value=p_value,
        score=None,
        message=(
            f"{name}{item.label} {verb} to {percent:.1f}% ({now:,} of {item.now.settled:,}), from "
            f"{percent_before:.1f}% ({before:,} of {item.before.settled:,}) in {weeks_before(weeks)}."
        ),
    )


def _alarming_finding(item: _Item) -> Anomaly:
    percent = 100 * item.now.failure_rate
    return Anomaly(
        kind=FAILURE_RATE_HIGH,
        severity=CRITICAL,
        dimension=item.dimension,
        value=item.value,
        previous=None,
        current=percent,
        previous_samples=item.before.settled,
        current_samples=item.now.settled,
        p_value=None,
        score=None,
        message=(
            f"Failure rate{item.label} is {percent:.1f}% ({item.now.failed:,} of {item.now.settled:,}), with too few "
            "before to compare it with."
        ),
    )
