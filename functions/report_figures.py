"""Weeks -> the page's charts: which names, days and weeks each shows, and what it says of them."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from report_charts import Chart, Column, Row, column_chart, line_chart, row_chart
from report_week import Tally, Week, percent_of
from report_words import Name, day_words, exact, figure, percent, shorten

MAX_ROWS = 8
MAX_WEEKS = 8


def requests_chart(week: Week) -> Chart:
    """What became of each day's requests."""
    columns = [
        Column(
            (f"{day.day:%a}", str(day.day.day)),
            [("completed", day.completed), ("failed", day.failed), ("pending", day.pending)],
            f"{day_words(day.day)}: {exact(day.completed)} completed, {exact(day.failed)} failed, "
            f"{exact(day.pending)} pending",
        )
        for day in week.days
    ]
    description = " ".join(f"{column.title}." for column in columns)
    return column_chart("requests", "Requests by day and outcome", description, columns, stacked=True)


def credits_chart(week: Week) -> Chart:
    """What each day's requests cost, and what came back."""
    columns = [
        Column(
            (f"{day.day:%a}", str(day.day.day)),
            [("spent", day.spent), ("refunded", day.refunded)],
            f"{day_words(day.day)}: {exact(day.spent)} spent, {exact(day.refunded)} refunded",
        )
        for day in week.days
    ]
    description = " ".join(f"{column.title}." for column in columns)
    return column_chart("credits", "Credits spent and refunded by day", description, columns, stacked=False)


def rate_rows(week: Week, before: Week | None, dimension: str) -> list[Row]:
    """The names with most requests in either week, then all others together."""
    now, then = week.dimensions[dimension], before.dimensions[dimension] if before else {}
    size = {name: max(now.get(name, Tally()).total, then.get(name, Tally()).total) for name in {**now, **then}}
    kept, others = _top(size)
    rows = [_rate_row(shorten(name), now.get(name, Tally()), then.get(name, Tally())) for name in kept]
    if others:
        rows.append(_rate_row(Name(f"{len(others)} others"), _sum(now, others), _sum(then, others)))
    return rows


def _top(sizes: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """The names to show, largest first, and those to sum; never just one of the latter."""
    names = sorted(sizes, key=lambda name: (-sizes[name], name))
    kept = len(names) if len(names) <= MAX_ROWS + 1 else MAX_ROWS
    return names[:kept], names[kept:]


def _rate_row(name: Name, now: Tally, then: Tally) -> Row:
    was = "" if then.rate is None else f", was {percent(then.rate)}"
    words = percent(now.rate) if now.rate is not None else "none settled"
    settled = exact(now.completed + now.failed)
    title = f"{name.full or name.shown}: {exact(now.failed)} of {settled} settled failed, {words}{was}"
    return Row(name, now.rate, then.rate, f"{words}{was}", title, now, then)


def _sum(tallies: Mapping[str, Tally], names: Sequence[str]) -> Tally:
    parts = [tallies[name] for name in names if name in tallies]
    completed, failed = sum(part.completed for part in parts), sum(part.failed for part in parts)
    return Tally(sum(part.total for part in parts), completed, failed, percent_of(failed, completed + failed))


def rates_chart(dimension: str, rows: Sequence[Row], top: float) -> Chart:
    """Failure rates, on a scale from 0 to `top` percent."""
    description = " ".join(f"{row.title}." for row in rows)
    return row_chart(f"rate-{dimension}", f"Failure rate by {dimension}", description, rows, top)


def reason_rows(week: Week) -> list[Row]:
    """The most frequent reasons, then all others together."""
    counts = {name: count for name, count in week.reasons.items() if count}
    whole = sum(counts.values())
    kept, others = _top(counts)
    rows = [_reason_row(shorten(name), counts[name], whole) for name in kept]
    if others:
        rows.append(_reason_row(Name(f"{len(others)} others"), sum(counts[name] for name in others), whole))
    return rows


def _reason_row(name: Name, count: float, whole: float) -> Row:
    share = percent_of(count, whole)
    words = f"{figure(count)}, {percent(share)}"
    return Row(name, share, None, words, f"{name.full or name.shown}: {words} of the failures", Tally(failed=count))


def reasons_chart(rows: Sequence[Row]) -> Chart:
    """Each reason's share of the failures."""
    description = " ".join(f"{row.title}." for row in rows)
    return row_chart("reasons", "Failures by reason", description, rows, 100)


def by_week(week: Week, history: Sequence[Week]) -> list[Week | None]:
    """The last weeks, oldest first, this one last; None for a week that has no report."""
    if week.end is None:
        return [week]
    slots: dict[int, Week] = {}
    for one in history:
        ago = round((week.end - one.end) / timedelta(days=7)) if one.end else 0
        if 0 < ago <= MAX_WEEKS:
            slots[ago] = one
    return [*(slots.get(ago) for ago in range(max(slots, default=0), 0, -1)), week][-MAX_WEEKS:]


def trend_charts(weeks: Sequence[Week | None]) -> list[Chart]:
    """Requests and success rate, week by week."""
    volume = [_trend_column(week, week is weeks[-1]) for week in weeks]
    rates = [_trend_point(week) for week in weeks]
    said = " ".join(f"{point.title}." for point in rates if point)
    return [
        column_chart(
            "trend-requests",
            "Requests a week",
            " ".join(f"{column.title}." for column in volume if column.title),
            volume,
            stacked=True,
        ),
        line_chart("trend-success", "Success rate by week", said, rates),
    ]


def _trend_column(week: Week | None, is_this: bool) -> Column:
    if week is None:
        return Column(("", ""), (), "")
    values = [("this-week" if is_this else "earlier", week.requests)] if week.requests is not None else []
    return Column(_week_words(week), values, f"Week to {last_words(week)}: {exact(week.requests)} requests")


def _trend_point(week: Week | None) -> Column | None:
    if week is None:
        return None
    values = [("success", week.success_rate)] if week.success_rate is not None else []
    return Column(_week_words(week), values, f"Week to {last_words(week)}: {percent(week.success_rate)} success rate")


def _week_words(week: Week) -> tuple[str, str]:
    last = _last(week)
    return (str(last.day), f"{last:%b}") if last else ("", "")


def last_words(week: Week) -> str:
    """The last day of a week, which names it."""
    last = _last(week)
    return day_words(last) if last else "a day not known"


def _last(week: Week) -> date | None:
    return (week.end - timedelta(microseconds=1)).date() if week.end else None
