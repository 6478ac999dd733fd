"""Findings in what was used: categories that are new, and categories that vanished."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from findings import NEW, VANISHED, WARNING, Anomaly, Thresholds, weeks_before
from significance import corrected, fisher_p_value
from week_usage import ADDED_UP, DIMENSIONS, Counts, Usage, count_requests, pooled


@dataclass(frozen=True, slots=True)
class _Use:
    """How many requests a category has, among all of its dimension: this week, and in the weeks before together."""

    dimension: str
    value: str
    now: int
    all_now: int
    before: int
    all_before: int
    week_before: int


def category_findings(current: Usage, history: Sequence[Usage], thresholds: Thresholds) -> Iterator[Anomaly]:
    """Categories that were used and are not, or never were and are; never where chance or little use explains it."""
    uses = [use for dimension in DIMENSIONS for use in _category_uses(current, history, dimension)]
    p_values = corrected([_category_p_value(use, thresholds) for use in uses])
    for use, p_value in zip(uses, p_values, strict=True):
        if p_value <= thresholds.significance_level:
            yield _category_anomaly(use, p_value, len(history))


def _category_uses(current: Usage, history: Sequence[Usage], dimension: str) -> Iterator[_Use]:
    now, before = current.by(dimension), pooled(history, dimension)
    all_now, all_before = count_requests(now.values()), count_requests(before.values())
    newest: Mapping[str, Counts] = next((week.by(dimension) for week in history if week.by(dimension)), {})
    # A breakdown that one side lacks was not recorded, and where rare options were added up one may have slipped among
    # them: nothing there is new, and nothing vanished.
    whole = all_now and all_before and ADDED_UP not in now and ADDED_UP not in before
    for name in sorted({*now, *before}) if whole else ():
        yield _Use(
            dimension=dimension,
            value=name,
            now=now.get(name, Counts()).total,
            all_now=all_now,
            before=before.get(name, Counts()).total,
            all_before=all_before,
            week_before=newest.get(name, Counts()).total,
        )


def _category_p_value(use: _Use, thresholds: Thresholds) -> float:
    """Fisher's test on the category's share of all requests, so that a change of the whole volume is not taken for it.

    1 where the category is neither new nor vanished, or too little used to tell. What vanished was there the week
    before, so it is found once.
    """
    if not use.before and use.now >= thresholds.minimum_samples:
        return fisher_p_value(use.now, use.all_now, 0, use.all_before)
    expected = use.before * use.all_now / use.all_before
    if use.week_before and not use.now and expected >= thresholds.minimum_samples:
        return fisher_p_value(use.all_now, use.all_now, use.all_before - use.before, use.all_before)
    return 1.0


def _category_anomaly(use: _Use, p_value: float, weeks: int) -> Anomaly:
    label = f"{use.dimension.capitalize()} '{use.value}'"
    if use.now:
        message = f"{label} is new: {use.now:,} requests, after none in {weeks_before(weeks)}."
    else:
        message = f"{label} vanished: no requests, after {use.before:,} in {weeks_before(weeks)}."
    return Anomaly(
        kind=NEW if use.now else VANISHED,
        severity=WARNING,
        dimension=use.dimension,
        value=use.value,
        previous=use.week_before,
        current=use.now,
        previous_samples=use.all_before,
        current_samples=use.all_now,
        p_value=p_value,
        score=None,
        message=message,
    )
