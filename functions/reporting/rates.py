"""Findings in failure rates: of all requests, and of each category of each dimension."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from reporting.failures import Rate, p_values
from reporting.findings import CRITICAL, OVERALL, WARNING, Finding, weeks_before
from reporting.significance import MIN_SAMPLES, SIGNIFICANCE_LEVEL, corrected
from reporting.usage import DIMENSIONS, Counts, Usage

# A rise of fewer points does not matter, even if it is significant: in a large week it always is.
MIN_RISE = 0.015
# A smaller ratio is trivia too: nobody acts on a rise from 10 % to 11.9 %.
MIN_RISE_FACTOR = 1.2
# A rise is critical if at least this share fails, one image in ten, ...
CRITICAL_RATE = 0.10
# ... at least this many times what did before, ...
CRITICAL_FACTOR = 2.0
# ... and if chance and the weeks' own spread hardly explain it.
CRITICAL_P_VALUE = 0.0002
# A model that fails is the first thing to know: its dimension counts for so many others.
MODEL_SHARE = 3.0
# Success at half of what it was or less is critical, and the larger news than the rise of failures.
SUCCESS_DROP_FACTOR = 0.5
# With too few requests before to compare with, a rate is critical by itself if half of the requests fail.
ALARMING_RATE = 0.5


def rate_findings(current: Usage, history: Sequence[Usage]) -> Iterator[Finding]:
    """Failure rates against the usual weeks before; those that lack such a baseline if they alarm by themselves."""
    rates = [rate for rate in _rates([current, *history]) if rate.now.settled >= MIN_SAMPLES]
    tested = [rate for rate in rates if rate.before.settled >= MIN_SAMPLES]
    adjusted = corrected(p_values(tested), _weights(tested))
    weeks = weeks_before(len(history))
    found = [each for pair in zip(tested, adjusted, strict=True) if (each := _compared(*pair, weeks))]
    # P-values of 0 are not rare, and then the higher rate comes first.
    yield from sorted(_without_echoes(found), key=lambda finding: (finding.p_value, -(finding.current or 0)))
    alarming = [rate for rate in rates if rate.before.settled < MIN_SAMPLES and rate.now.failure_rate >= ALARMING_RATE]
    # If everything fails, it is not news that each category does.
    whole = [rate for rate in alarming if rate.dimension == OVERALL]
    yield from map(_alarming, whole or alarming)


def _rates(weeks: Sequence[Usage]) -> Iterator[Rate]:
    yield Rate.of(OVERALL, None, [week.counts for week in weeks])
    for dimension in DIMENSIONS:
        names = weeks[0].by[dimension]
        # A category that is alone is the whole once more.
        for name in names if len(names) > 1 else ():
            yield Rate.of(dimension, name, [week.by[dimension].get(name, Counts()) for week in weeks])


def _weights(rates: Sequence[Rate]) -> list[float]:
    """By dimension, however many categories it has: many styles do not hide a model's failure."""
    sizes = Counter(rate.dimension for rate in rates)
    shares = {dimension: MODEL_SHARE if dimension == "model" else 1.0 for dimension in sizes}
    unit = len(rates) / sum(shares.values()) if rates else 0.0
    return [unit * shares[rate.dimension] / sizes[rate.dimension] for rate in rates]


def _compared(rate: Rate, p_value: float, weeks: str) -> Finding | None:
    now, before = rate.now.failure_rate, rate.before.failure_rate
    settled, settled_before = rate.now.settled, rate.before.settled
    if p_value > SIGNIFICANCE_LEVEL:
        return None
    if rate.dimension == OVERALL and 1 - now <= SUCCESS_DROP_FACTOR * (1 - before):
        kind, severity, event = "success_rate_drop", CRITICAL, "Success rate fell"
        count, count_before = rate.now.completed, rate.before.completed
    elif now >= before + MIN_RISE and now >= before * MIN_RISE_FACTOR:
        kind, event = "failure_rate_rise", f"Failure rate{_label(rate)} rose"
        is_large = now >= CRITICAL_RATE and now >= CRITICAL_FACTOR * before
        severity = CRITICAL if is_large and p_value <= CRITICAL_P_VALUE else WARNING
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


def _label(rate: Rate) -> str:
    return "" if rate.value is None else f" of {rate.dimension} '{rate.value}'"


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


def _alarming(rate: Rate) -> Finding:
    percent, settled = 100 * rate.now.failure_rate, rate.now.settled
    message = (
        f"Failure rate{_label(rate)} is {percent:.1f}% ({rate.now.failed:,} of {settled:,}), with too few before to "
        "compare it with."
    )
    place = "failure_rate_high", message, CRITICAL, rate.dimension, rate.value
    return Finding(*place, None, percent, rate.before.settled, settled)
