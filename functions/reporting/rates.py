"""Findings in failure rates: of all requests, and of each category of each dimension."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reporting.findings import CRITICAL, OVERALL, WARNING, Finding, weeks_before
from reporting.significance import MIN_SAMPLES, SIGNIFICANCE_LEVEL, corrected, fisher_p_value
from reporting.usage import DIMENSIONS, Counts, Usage, pooled

# A rise of fewer points does not matter, even if it is significant: in a large week it always is.
MIN_RISE = 0.015
# A smaller ratio is trivia too: nobody acts on a rise from 10 % to 11.9 %.
MIN_RISE_FACTOR = 1.2
# A rise is critical if more than this fails, one image in five ...
CRITICAL_RATE = 0.20
# ... and at least this many times what did before.
CRITICAL_FACTOR = 2.0
# Success at half of what it was or less is critical, and the larger news than the rise of failures.
SUCCESS_DROP_FACTOR = 0.5
# With too few requests before to compare with, a rate is critical by itself if half of the requests fail.
ALARMING_RATE = 0.5


@dataclass(frozen=True, slots=True)
class _Rate:
    """Whose failure rate: all requests', or one category's; this week's counts and those of the weeks before."""

    dimension: str
    value: str | None
    now: Counts
    before: Counts

    @property
    def label(self) -> str:
        return "" if self.value is None else f" of {self.dimension} '{self.value}'"

    @property
    def p_value(self) -> float:
        return fisher_p_value(self.now.failed, self.now.settled, self.before.failed, self.before.settled)


def rate_findings(current: Usage, history: Sequence[Usage]) -> Iterator[Finding]:
    """Failure rates against the weeks before, pooled; rates without such a baseline if they alarm by themselves."""
    rates = [rate for rate in _rates(current, history) if rate.now.settled >= MIN_SAMPLES]
    tested = [rate for rate in rates if rate.before.settled >= MIN_SAMPLES]
    p_values = corrected([rate.p_value for rate in tested], _weights(tested))
    weeks = weeks_before(len(history))
    found = [each for pair in zip(tested, p_values, strict=True) if (each := _compared(*pair, weeks))]
    # P-values of 0 are not rare, and then the higher rate comes first.
    yield from sorted(_without_echoes(found), key=lambda finding: (finding.p_value, -(finding.current or 0)))
    alarming = [rate for rate in rates if rate.before.settled < MIN_SAMPLES and rate.now.failure_rate >= ALARMING_RATE]
    # If everything fails, it is not news that each category does.
    whole = [rate for rate in alarming if rate.dimension == OVERALL]
    yield from map(_alarming, whole or alarming)


def _rates(current: Usage, history: Sequence[Usage]) -> Iterator[_Rate]:
    yield _Rate(OVERALL, None, current.counts, sum((week.counts for week in history), Counts()))
    for dimension in DIMENSIONS:
        before = pooled(history, dimension)
        for name, now in current.by[dimension].items():
            yield _Rate(dimension, name, now, before.get(name, Counts()))


def _weights(rates: Sequence[_Rate]) -> list[float]:
    """The same for each dimension, however many categories it has: many styles do not hide a model's failure."""
    sizes = Counter(rate.dimension for rate in rates)
    return [len(rates) / (len(sizes) * sizes[rate.dimension]) for rate in rates]


def _compared(rate: _Rate, p_value: float, weeks: str) -> Finding | None:
    now, before = rate.now.failure_rate, rate.before.failure_rate
    settled, settled_before = rate.now.settled, rate.before.settled
    if p_value > SIGNIFICANCE_LEVEL:
        return None
    if rate.dimension == OVERALL and 1 - now <= SUCCESS_DROP_FACTOR * (1 - before):
        kind, severity, event = "success_rate_drop", CRITICAL, "Success rate fell"
        count, count_before = rate.now.completed, rate.before.completed
    elif now >= before + MIN_RISE and now >= before * MIN_RISE_FACTOR:
        kind, event = "failure_rate_rise", f"Failure rate{rate.label} rose"
        severity = CRITICAL if now > CRITICAL_RATE and now >= CRITICAL_FACTOR * before else WARNING
        count, count_before = rate.now.failed, rate.before.failed
    else:
        return None
    percent, percent_before = 100 * count / settled, 100 * count_before / settled_before
    message = (
        f"{event} to {percent:.1f}% ({count:,} of {settled:,}), from {percent_before:.1f}% ({count_before:,} of "
        f"{settled_before:,}) in {weeks}."
    )
    place = kind, message, severity, rate.dimension, rate.value
    return Finding(*place, percent_before, percent, settled_before, settled, p_value)


def _without_echoes(findings: Sequence[Finding]) -> list[Finding]:
    """When a model fails, the whole and each style fail more: critical are the whole and what is worse than that."""
    whole = next((finding for finding in findings if finding.dimension == OVERALL), None)
    if whole is None or whole.current is None:
        return list(findings)
    percent = 100 - whole.current if whole.kind == "success_rate_drop" else whole.current
    min_percent = max(percent * MIN_RISE_FACTOR, percent + 100 * MIN_RISE)
    return [
        finding if finding is whole or (finding.current or 0) >= min_percent else replace(finding, severity=WARNING)
        for finding in findings
    ]


def _alarming(rate: _Rate) -> Finding:
    percent, settled = 100 * rate.now.failure_rate, rate.now.settled
    message = (
        f"Failure rate{rate.label} is {percent:.1f}% ({rate.now.failed:,} of {settled:,}), with too few before to "
        "compare it with."
    )
    place = "failure_rate_high", message, CRITICAL, rate.dimension, rate.value
    return Finding(*place, None, percent, rate.before.settled, settled)
