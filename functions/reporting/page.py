"""A weekly report -> one HTML page that refers to nothing outside itself. Its template is page.html."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reporting.findings import CRITICAL, Finding
from reporting.report import Report, Week
from reporting.usage import DIMENSIONS, Counts, Day, Usage, percent
from reporting.window import midnight
from reporting.words import change, clean, duration, last_day, number, percentage, window_words

MAX_FINDINGS = 20
MAX_ROWS = 8
# The scale of failure rates ends here or higher, so that 1 % does not look like all.
MIN_SCALE_PERCENT = 5.0

# The parts of a bar: each one's kind and its width in percent.
Bar = Sequence[tuple[str, float]]
# A name, the numbers beside it, and the bar beneath it with a tick at a percentage.
Row = tuple[str, Sequence[str], Bar, float | None]
# Its title, its columns and its rows. The first column has the names.
Table = tuple[str, Sequence[str], Sequence[Row]]


def render(report: Report, weeks: Sequence[Week]) -> str:
    """The report's page. `weeks` are those before it, newest first."""
    usage, before = report.usage, weeks[0].usage if weeks else Usage(None)
    mood, verdict = _verdict(report, any(week.usage.total for week in weeks))
    scale, rates = _rate_tables(usage, before)
    template = _environment().get_template("page.html")
    return template.render(
        report=report,
        window=window_words(report.window),
        week_before=window_words(weeks[0].window) if weeks else "",
        mood=mood,
        verdict=verdict,
        findings=[(finding, " · ".join(_facts(finding))) for finding in (report.findings or ())[:MAX_FINDINGS]],
        more_findings=max(report.finding_count - MAX_FINDINGS, 0),
        tiles=list(_tiles(usage, before)),
        outcomes=[(kind, f"{number(getattr(usage, kind))} {kind}") for kind in ("completed", "failed", "pending")],
        outcome_bar=_outcome_bar(usage.counts, usage.counts.total),
        days=_day_table(report),
        is_partial=report.window is not None and report.window.end != midnight(report.window.end),
        rates=rates,
        rate_scale=percentage(scale),
        trend=_week_table(report, weeks) if weeks else None,
        reasons=_reason_table(usage.failure_reasons),
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, finalize=clean)


def _verdict(report: Report, is_compared: bool) -> tuple[str, str]:
    """The page's mood and its summary. Only a week in which something unusual could have been seen is called fine."""
    if report.findings is None:
        return "unknown", "Findings not recorded"
    if report.findings:
        critical = sum(finding.severity == CRITICAL for finding in report.findings)
        warnings = len(report.findings) - critical
        counts = {"critical": critical, "warning" if warnings == 1 else "warnings": warnings}
        return report.findings[0].severity, ", ".join(f"{count} {each}" for each, count in counts.items() if count)
    if not report.usage.total:
        return "unknown", "No requests" if report.usage.total == 0 else "Requests not recorded"
    return ("fine", "Nothing unusual") if is_compared else ("unknown", "First week: nothing to compare with")


def _facts(finding: Finding) -> Iterator[str]:
    if finding.previous_samples is not None and finding.current_samples is not None:
        yield f"{number(finding.current_samples)} samples, {number(finding.previous_samples)} before"
    if finding.p_value is not None:
        yield "p < 0.0001" if finding.p_value < 0.0001 else f"p = {finding.p_value:.2g}"
    if finding.score is not None:
        yield f"{finding.score:+.1f} robust standard deviations"


def _tiles(usage: Usage, before: Usage) -> Iterator[tuple[str, str, tuple[str, str]]]:
    """Each headline figure: its label, its value, and its change with the mood of that."""
    for label, name, show, better in (
        ("Requests", "total", number, 0),
        ("Success rate of the settled", "success_percent", percentage, 1),
        ("Distinct users", "distinct_users", number, 0),
        ("Credits spent", "credits_spent", number, 0),
        ("Credits refunded", "credits_refunded", number, 0),
        ("Median generation", "median_seconds", duration, -1),
        ("p95 generation", "p95_seconds", duration, -1),
    ):
        now = getattr(usage, name)
        yield label, show(now), change(now, getattr(before, name), show, better)


def _bar(values: Mapping[str, float], scale: float) -> Bar:
    return [(kind, percent(value, scale) or 0) for kind, value in values.items() if value > 0]


def _outcome_bar(counts: Counts, scale: float) -> Bar:
    rest = counts.total - counts.settled
    return _bar({"completed": counts.completed, "failed": counts.failed, "pending": rest}, scale)


def _day_table(report: Report) -> Table:
    known = report.usage.days
    names = {f"{start:%Y-%m-%d}": f"{start:%a %d %b}" for start, _ in report.window.days()} if report.window else {}
    days = {names.get(date, date): known.get(date, Day()) for date in names or sorted(known)[-8:]}
    scale = max((day.total for day in days.values()), default=0)
    rows: list[Row] = []
    for name, day in days.items():
        cells = day.completed, day.failed, day.pending, day.credits_spent, day.credits_refunded
        bar = _outcome_bar(Counts(day.total, day.completed, day.failed), scale)
        rows.append((name, [number(cell) for cell in cells], bar, None))
    columns = "Day", "Completed", "Failed", "Pending", "Credits spent", "Credits refunded"
    return "Requests by outcome, and credits", columns, rows


def _rate_tables(usage: Usage, before: Usage) -> tuple[float, list[Table]]:
    """The failure rate at which a bar is full, and a table for each dimension."""
    counts: dict[str, list[tuple[str, Counts, Counts]]] = {}
    for dimension in DIMENSIONS:
        now, then = usage.by[dimension], before.by[dimension]
        sizes = {name: max(each.get(name, Counts()).total for each in (now, then)) for name in {**now, **then}}
        counts[dimension] = [(name, _sum(now, options), _sum(then, options)) for name, options in _top(sizes)]
    rates = [100 * each.failure_rate for rows in counts.values() for _, *both in rows for each in both]
    scale = max([*rates, MIN_SCALE_PERCENT])
    columns = "Requests", "Failed", "Failure rate", "Week before"
    return scale, [
        (f"By {dimension}", (dimension.capitalize(), *columns), [_rate_row(*row, scale) for row in rows])
        for dimension, rows in counts.items()
        if rows
    ]


def _sum(options: Mapping[str, Counts], names: Sequence[str]) -> Counts:
    return sum((options.get(name, Counts()) for name in names), Counts())


def _rate_row(name: str, now: Counts, then: Counts, scale: float) -> Row:
    rate, rate_before = percent(now.failed, now.settled), percent(then.failed, then.settled)
    cells = number(now.total), number(now.failed), percentage(rate), percentage(rate_before)
    tick = None if rate_before is None else percent(rate_before, scale)
    return name, cells, _bar({"rate": rate or 0}, scale), tick


def _top(sizes: Mapping[str, float]) -> Sequence[tuple[str, Sequence[str]]]:
    """The names to show, largest first, then all others together under one name; never just one of these."""
    names = sorted(sizes, key=lambda name: (-sizes[name], name))
    kept = len(names) if len(names) <= MAX_ROWS + 1 else MAX_ROWS
    others = [(f"{len(names) - kept} others", names[kept:])] if names[kept:] else []
    return [*((name, [name]) for name in names[:kept]), *others]


def _week_table(report: Report, weeks: Sequence[Week]) -> Table:
    """The last weeks, oldest first, and this one last."""
    earlier = [(last_day(week.window), week.usage) for week in weeks[: MAX_ROWS - 1]]
    shown = [*reversed(earlier), (f"{last_day(report.window)}, this week", report.usage)]
    scale = max(usage.counts.total for _, usage in shown)
    rows: list[Row] = []
    for name, usage in shown:
        credits = number(usage.credits_spent), number(usage.credits_refunded)
        cells = number(usage.total), percentage(usage.success_percent), *credits
        rows.append((name, cells, _outcome_bar(usage.counts, scale), None))
    return "By week", ("Week to", "Requests", "Success rate", "Credits spent", "Credits refunded"), rows


def _reason_table(reasons: Mapping[str, int]) -> Table:
    rows: list[Row] = []
    for name, names in _top({reason: count for reason, count in reasons.items() if count}):
        count = sum(reasons[each] for each in names)
        share = percent(count, sum(reasons.values()))
        rows.append((name, (number(count), percentage(share)), _bar({"rate": share or 0}, 100), None))
    return "By reason", ("Reason", "Requests", "Share"), rows
