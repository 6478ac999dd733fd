"""Findings in what was used: categories that are new, and categories that vanished."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from reporting.findings import Finding, weeks_before
from reporting.significance import MIN_SAMPLES, SIGNIFICANCE_LEVEL, corrected, fisher_p_value
from reporting.usage import DIMENSIONS, OTHERS, Counts, Usage, pooled


def category_findings(current: Usage, history: Sequence[Usage]) -> Iterator[Finding]:
    """Categories that were used and are not, or never were and are; never if chance or little use explains it."""
    tested = [each for dimension in DIMENSIONS for each in _tested(current, history, dimension)]
    p_values = corrected([1.0 if finding is None else finding.p_value or 0.0 for finding in tested])
    for finding, p_value in zip(tested, p_values, strict=True):
        if finding and p_value <= SIGNIFICANCE_LEVEL:
            yield replace(finding, p_value=p_value)


def _tested(current: Usage, history: Sequence[Usage], dimension: str) -> Iterator[Finding | None]:
    """For each category a finding with its p-value not corrected yet; None if it is neither new nor vanished.

    Fisher's test on the category's share of all requests, so that a change of the whole volume does not count. A
    category vanishes only in the week after one in which it was used, so it is found once.
    """
    now, before = current.by[dimension], pooled(history, dimension)
    all_now, all_before = (sum(counts.total for counts in each.values()) for each in (now, before))
    newest = next((week.by[dimension] for week in history if week.by[dimension]), {})
    # A breakdown that one side lacks was not recorded. If rare options were added up, any of them may be among those.
    # Nothing is new or vanished then.
    is_whole = all_now and all_before and OTHERS not in now and OTHERS not in before
    for name in sorted({*now, *before}) if is_whole else ():
        uses, uses_before, uses_newest = (each.get(name, Counts()).total for each in (now, before, newest))
        expected = uses_before * all_now / all_before
        if not uses_before and uses >= MIN_SAMPLES:
            p_value = fisher_p_value(uses, all_now, 0, all_before)
            kind, event = "new", f"is new: {uses:,} requests, after none"
        elif uses_newest and not uses and expected >= MIN_SAMPLES:
            p_value = fisher_p_value(all_now, all_now, all_before - uses_before, all_before)
            kind, event = "vanished", f"vanished: no requests, after {uses_before:,}"
        else:
            yield None
            continue
        message = f"{dimension.capitalize()} '{name}' {event} in {weeks_before(len(history))}."
        numbers = uses_newest, uses, all_before, all_now, p_value
        yield Finding(kind, message, "warning", dimension, name, *numbers)
