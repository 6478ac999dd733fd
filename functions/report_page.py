"""A stored weekly report -> one self-contained HTML page. Pure; report_page.html beside this file is its template.

report_week reads, report_words and report_charts say and draw what was read, report_figures chooses what is drawn.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from report_charts import Chart, Row, axis_steps
from report_figures import (
    by_week,
    credits_chart,
    last_words,
    rate_rows,
    rates_chart,
    reason_rows,
    reasons_chart,
    requests_chart,
    trend_charts,
)
from report_week import DIMENSIONS, Day, Finding, Tally, Week, percent_of, read_week
from report_words import (
    Change,
    Name,
    clean,
    day_words,
    duration,
    exact,
    figure,
    percent,
    points_change,
    relative_change,
    window_words,
)

MAX_FINDINGS = 20

_TEMPLATE = "report_page.html"
_RATE_COLUMNS = ("Requests", "Failed", "Failure rate", "Requests before", "Rate before")
_LEAST_RATE_AXIS = 5.0


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    value: str
    change: Change
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    columns: Sequence[str]
    rows: Sequence[tuple[Name, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Page:
    """All that the template shows."""

    report_id: str
    window: str
    generated: str
    comparison: str
    verdict: str
    mood: str
    findings: Sequence[Finding]
    more_findings: int
    hero: Tile
    outcomes: Sequence[tuple[str, str, float]]
    tiles: Sequence[Tile]
    requests: Chart
    credits: Chart
    part_days: bool
    rates: Sequence[Chart]
    rates_top: str
    compared: bool
    trend: Sequence[Chart]
    reasons: Chart | None
    no_reasons: str
    tables: Sequence[Table]


def render(
    report_id: str, report: Mapping[str, Any], previous: Mapping[str, Any] | None, trend: Sequence[Mapping[str, Any]]
) -> str:
    """The page; it refers to nothing outside itself, and fields that are missing or odd show as not known.

    Args:
        report_id: the report's document id.
        report: the stored fields.
        previous: those of the week before, if there is one.
        trend: the reports of the last weeks, oldest first, this one last.
    """
    week = read_week(report)
    before = read_week(previous) if previous is not None else None
    history = [read_week(fields) for fields in trend]
    html: str = _environment().get_template(_TEMPLATE).render(page=_page(clean(report_id), week, before, history))
    return html


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - no other function needs it

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _page(report_id: str, week: Week, before: Week | None, history: Sequence[Week]) -> Page:
    rows = {name: rate_rows(week, before, name) for name in DIMENSIONS}
    rates = [rate or 0 for entries in rows.values() for row in entries for rate in (row.value, row.before)]
    top = axis_steps(max([*rates, _LEAST_RATE_AXIS]))
    weeks = by_week(week, history)
    reasons = reason_rows(week)
    return Page(
        report_id=report_id,
        window=window_words(week.start, week.end),
        generated=f"{week.generated:%d %b %Y %H:%M} UTC" if week.generated else "",
        comparison=_comparison(week, before),
        verdict=_verdict(week.findings),
        mood=_mood(week.findings),
        findings=(week.findings or [])[:MAX_FINDINGS],
        more_findings=max(len(week.findings or []) - MAX_FINDINGS, 0),
        hero=Tile("Requests", figure(week.requests), _change(week, before, "requests")),
        outcomes=_outcomes(week),
        tiles=_tiles(week, before),
        requests=requests_chart(week),
        credits=credits_chart(week),
        part_days=any(edge is not None and edge.time() != time(0) for edge in (week.start, week.end)),
        rates=[rates_chart(name, rows[name], top[-1]) for name in DIMENSIONS if rows[name]],
        rates_top=f"{top[-1]:g}%",
        compared=before is not None,
        trend=trend_charts(weeks) if len(weeks) > 1 else [],
        reasons=reasons_chart(reasons) if reasons else None,
        no_reasons="No request failed." if week.failed == 0 else "The reasons are not recorded.",
        tables=[table for table in _tables(week, rows, reasons, weeks) if table.rows],
    )


def _verdict(findings: Sequence[Finding] | None) -> str:
    if findings is None:
        return "Anomalies not recorded"
    critical = sum(finding.critical for finding in findings)
    warnings = len(findings) - critical
    counts = ((critical, f"{critical} critical"), (warnings, f"{warnings} warning{'' if warnings == 1 else 's'}"))
    return ", ".join(words for count, words in counts if count) or "Nothing unusual"


def _mood(findings: Sequence[Finding] | None) -> str:
    if findings is None:
        return "unknown"
    return ("critical" if findings[0].critical else "warning") if findings else "fine"


def _comparison(week: Week, before: Week | None) -> str:
    if before is None:
        return "There is no week before to compare with."
    source = f" ({week.previous_id})" if week.previous_id else ""
    window = window_words(before.start, before.end) if before.start and before.end else "the week before"
    return f"Compared with {window}{source}."


def _change(week: Week, before: Week | None, name: str, more_is: str = "neutral") -> Change:
    show = duration if name.endswith("seconds") else figure
    return relative_change(getattr(week, name), getattr(before, name, None), show, more_is)


def _tiles(week: Week, before: Week | None) -> list[Tile]:
    rate_change = points_change(week.success_rate, before.success_rate if before else None)
    return [
        Tile("Success rate", percent(week.success_rate), rate_change, "of those settled"),
        Tile("Distinct users", figure(week.users), _change(week, before, "users")),
        Tile("Credits spent", figure(week.spent), _change(week, before, "spent")),
        Tile("Credits refunded", figure(week.refunded), _change(week, before, "refunded")),
        Tile("Median generation", duration(week.median_seconds), _change(week, before, "median_seconds", "bad")),
        Tile("p95 generation", duration(week.p95_seconds), _change(week, before, "p95_seconds", "bad")),
    ]


def _outcomes(week: Week) -> list[tuple[str, str, float]]:
    """Kind, number and percentage of all for each outcome."""
    counts = {"completed": week.completed, "failed": week.failed, "pending": week.pending}
    whole = sum(count or 0 for count in counts.values())
    return [(kind, figure(count), percent_of(count or 0, whole) or 0) for kind, count in counts.items()]


def _tables(
    week: Week, rows: Mapping[str, Sequence[Row]], reasons: Sequence[Row], weeks: Sequence[Week | None]
) -> Iterable[Table]:
    yield Table(
        "By day (UTC)",
        ("Day", "Completed", "Failed", "Pending", "Credits spent", "Credits refunded"),
        [(Name(day_words(day.day)), [exact(value) for value in _day_values(day)]) for day in week.days],
    )
    for dimension, entries in rows.items():
        yield Table(
            f"By {dimension}",
            (dimension.capitalize(), *_RATE_COLUMNS),
            [(row.name, _rate_cells(row.settled, row.earlier)) for row in entries],
        )
    yield Table(
        "Why requests failed",
        ("Reason", "Requests", "Share"),
        [(row.name, [exact(row.settled.failed), percent(row.value)]) for row in reasons],
    )
    yield Table(
        "By week",
        ("Week to", "Requests", "Success rate", "Credits spent", "Credits refunded"),
        [
            (
                Name(last_words(one)),
                [exact(one.requests), percent(one.success_rate), exact(one.spent), exact(one.refunded)],
            )
            for one in weeks
            if one
        ],
    )


def _day_values(day: Day) -> tuple[float, ...]:
    return day.completed, day.failed, day.pending, day.spent, day.refunded


def _rate_cells(now: Tally, then: Tally) -> list[str]:
    return [exact(now.total), exact(now.failed), percent(now.rate), exact(then.total), percent(then.rate)]
