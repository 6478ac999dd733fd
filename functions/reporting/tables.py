"""The tables of a report's page: each row a name, its figures in words, and a bar."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from reporting.report import Report, Week
from reporting.usage import DIMENSIONS, Counts, Day, Usage, percent
from reporting.words import NOTHING, number, option, part, percentage, reason, week_name

MAX_ROWS = 8
# The scale of failure rates ends here or higher, so that 1 % does not look like all.
MIN_SCALE_PERCENT = 5.0

# So that a part of a bar can be seen however small it is.
MIN_PART_PERCENT = 0.7

# The parts of a bar: each one's kind, and where it begins and ends in percent.
Bar = Sequence[tuple[str, float, float]]


@dataclass(frozen=True, slots=True)
class Row:
    """A name, the figures beside it, and the bar beneath it; `tick` is a percentage to mark on the bar."""

    name: str
    cells: Sequence[str]
    bar: Bar = ()
    tick: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Its title, its columns and its rows. The first column has the names."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]


def outcome_bar(counts: Counts, scale: float) -> Bar:
    """How many requests were delivered, failed, were canceled, or have not ended, of `scale` requests."""
    ended = {"completed": counts.completed, "failed": counts.failed, "canceled": counts.canceled}
    return _bar({**ended, "pending": counts.total - sum(ended.values())}, scale)


def days(report: Report) -> Table:
    """Each day of the week, also one on which nothing happened."""
    usage, known = report.usage, report.usage.days
    names = {f"{start:%Y-%m-%d}": f"{start:%a} {start.day} {start:%b}" for start, _ in _days_of(report)}
    by_name = {names.get(date, date): known.get(date, Day()) for date in names or sorted(known)[-8:]}
    scale = max((day.total for day in by_name.values()), default=0)
    rows = []
    for name, day in by_name.items():
        counts = Counts(day.total, day.completed, day.failed, day.canceled)
        sold = NOTHING if usage.credits_granted is None else number(day.credits_granted)
        cells = sold, number(day.credits_spent), number(day.credits_refunded), _failed(counts)
        rows.append(Row(name, cells, outcome_bar(counts, scale)))
    return Table("Credits and requests", ("Day", "Sold", "Spent", "Refunded", "Failed"), rows)


def sales(usage: Usage, before: Usage) -> list[Table]:
    """What the credits were spent on, by each dimension, most first. Without credits: how many images."""
    return [table for dimension in DIMENSIONS if (table := _sales_by(dimension, usage, before)).rows]


def failures(usage: Usage, before: Usage) -> tuple[float, list[Table]]:
    """The failure rate at which a bar is full, and the rates by each dimension, worst first."""
    found = {dimension: _failing(usage.by[dimension], before.by[dimension]) for dimension in DIMENSIONS}
    rates = [100 * each.failure_rate for rows in found.values() for _, *both in rows for each in both]
    scale = max([*rates, MIN_SCALE_PERCENT])
    return scale, [
        Table(
            f"By {dimension}",
            (dimension.capitalize(), "Failed", "Rate", "Week before"),
            [_rate_row(*row, scale) for row in rows],
        )
        for dimension, rows in found.items()
        if rows
    ]


def reasons(counts: Mapping[str, int]) -> Table:
    """Why requests failed, most frequent first."""
    rows, total = [], sum(counts.values())
    for name, names in _top({each: count for each, count in counts.items() if count}, reason):
        count = sum(counts[each] for each in names)
        share = percent(count, total)
        rows.append(Row(name, (part(count, total), percentage(share)), _bar({"rate": share or 0}, 100)))
    return Table("Why", ("Reason", "Failures", "Share"), rows)


def last_weeks(report: Report, weeks: Sequence[Week]) -> Table:
    """The last weeks, oldest first, and this one last; each by its own dates."""
    earlier = [(week_name(week.window), week.usage) for week in weeks[: MAX_ROWS - 1]]
    shown = [*reversed(earlier), (f"{week_name(report.window)}, this week", report.usage)]
    scale = max(usage.counts.total for _, usage in shown)
    rows = []
    for name, usage in shown:
        credits = usage.credits_granted, usage.credits_spent, usage.credits_refunded
        cells = [*map(number, credits), _failed(usage.counts)]
        rows.append(Row(name, cells, outcome_bar(usage.counts, scale)))
    return Table("Week by week", ("Week", "Sold", "Spent", "Refunded", "Failed"), rows)


def _days_of(report: Report) -> Sequence[tuple[datetime, datetime]]:
    return report.window.days() if report.window else ()


def _failed(counts: Counts) -> str:
    return part(counts.failed, counts.settled) if counts.settled else NOTHING


def _bar(values: Mapping[str, float], scale: float) -> Bar:
    """One part after the other; the small ones are drawn larger than they are, at the cost of the largest."""
    widths = {kind: max(percent(value, scale) or 0, MIN_PART_PERCENT) for kind, value in values.items() if value > 0}
    excess = sum(widths.values()) - 100
    if excess > 0:
        widths[max(widths, key=widths.__getitem__)] -= excess
    ends = list(accumulate(widths.values()))
    return [(kind, end - width, end) for (kind, width), end in zip(widths.items(), ends, strict=True)]


def _sales_by(dimension: str, usage: Usage, before: Usage) -> Table:
    now, then = usage.by[dimension], before.by[dimension]
    images, images_before = ({name: each.completed for name, each in by.items()} for by in (now, then))
    worth = usage.credits_by[dimension] or images
    order = {name: (worth.get(name, 0), images_before.get(name, 0)) for name in {**images, **images_before}}
    rows = []
    for title, names in _top(order, option):
        credits = (number(_credits_of(week, dimension, names)) for week in (usage, before))
        cells = number(sum(images.get(name, 0) for name in names)), *credits
        share = percent(sum(worth.get(name, 0) for name in names), sum(worth.values()))
        rows.append(Row(title, cells, _bar({"completed": share or 0}, 100)))
    return Table(f"By {dimension}", (dimension.capitalize(), "Images", "Credits", "Week before"), rows)


def _credits_of(week: Usage, dimension: str, names: Sequence[str]) -> int | None:
    spent = week.credits_by[dimension]
    return sum(spent.get(name, 0) for name in names) if spent or week.total == 0 else None


def _failing(now: Mapping[str, Counts], then: Mapping[str, Counts]) -> list[tuple[str, Counts, Counts]]:
    """The options of which a request has ended, with their counts of this week and of the week before."""
    order = {name: (each.failure_rate, each.failed, each.settled) for name, each in now.items() if each.settled}
    return [(title, _sum(now, names), _sum(then, names)) for title, names in _top(order, option)]


def _sum(options: Mapping[str, Counts], names: Sequence[str]) -> Counts:
    return sum((options.get(name, Counts()) for name in names), Counts())


def _rate_row(name: str, now: Counts, then: Counts, scale: float) -> Row:
    rate, rate_before = percent(now.failed, now.settled), percent(then.failed, then.settled)
    cells = part(now.failed, now.settled), percentage(rate), percentage(rate_before)
    tick = None if rate_before is None else percent(rate_before, scale)
    return Row(name, cells, _bar({"rate": rate or 0}, scale), tick)


def _top(order: Mapping[str, Any], called: Callable[[str], str]) -> Sequence[tuple[str, Sequence[str]]]:
    """The names to show, highest first, then all others together under one name; never just one of these."""
    names = sorted(sorted(order), key=lambda name: order[name], reverse=True)
    kept = len(names) if len(names) <= MAX_ROWS + 1 else MAX_ROWS
    others = [(f"{len(names) - kept} others", names[kept:])] if names[kept:] else []
    return [*((called(name), [name]) for name in names[:kept]), *others]
