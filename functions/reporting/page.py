"""A weekly report -> one HTML page that loads nothing and needs no script. Its template is page.html."""

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reporting import tables
from reporting.findings import Finding, weeks_before
from reporting.report import Report, Week
from reporting.usage import Usage, percent
from reporting.window import Window, midnight
from reporting.words import change, clean, duration, number, part, percentage, week_name, window_words

TEMPLATE = Path(__file__).with_name("page.html")
MAX_FINDINGS = 20
# More would push the figures off the first screen of a phone: the others are one click away.
MAX_OPEN_FINDINGS = 3

NOT_RECORDED = "not recorded"
# What the page calls the kinds of a bar's parts.
OUTCOMES = {"completed": "delivered", "failed": "failed", "canceled": "canceled", "pending": "not ended"}


class Verdict(NamedTuple):
    """Whether anything needs attention: the mood, one sentence, and what is to be said of it."""

    mood: str
    sentence: str
    reason: str = ""


class Tile(NamedTuple):
    """A headline figure, and what it was in the week before or what it means."""

    label: str
    figure: str
    note: str


class Link(NamedTuple):
    """Another week's page."""

    report_id: str
    name: str


def render(report: Report, weeks: Sequence[Week], after: Window | None = None) -> str:
    """The report's page.

    Args:
        report: any report, of older forms too.
        weeks: those before it, newest first.
        after: the week after it, if that has a report.
    """
    usage, before = report.usage, weeks[0].usage if weeks else Usage(None)
    scale, failures = tables.failures(usage, before)
    findings = [(finding, " · ".join(_facts(finding))) for finding in (report.findings or ())[:MAX_FINDINGS]]
    shown = len(findings) if len(findings) <= MAX_OPEN_FINDINGS else MAX_OPEN_FINDINGS - 1
    return (
        _environment()
        .get_template(TEMPLATE.name)
        .render(
            report=report,
            style_source=style_source(),
            name=week_name(report.window),
            window=window_words(report.window),
            compared=week_name(weeks[0].window) if weeks else "",
            earlier=_earlier(report, weeks),
            later=Link(after.report_id, week_name(after)) if after else None,
            verdict=_verdict(report, weeks),
            findings=findings[:shown],
            more_findings=findings[shown:],
            unlisted=max(report.finding_count - MAX_FINDINGS, 0),
            sales=list(_sales(report, before)),
            requests=list(_requests(usage, before)),
            outcomes=[(kind, f"{number(getattr(usage, kind))} {word}") for kind, word in OUTCOMES.items()],
            outcome_legend=list(OUTCOMES.items()),
            outcome_bar=tables.outcome_bar(usage.counts, usage.counts.total),
            days=tables.days(report),
            is_partial=report.window is not None and report.window.end != midnight(report.window.end),
            bought=tables.sales(usage, before),
            failed=_failed(usage),
            failures=failures,
            scale=percentage(scale),
            reasons=tables.reasons(usage.failure_reasons),
            weeks=tables.last_weeks(report, weeks) if weeks else None,
        )
    )


@lru_cache(maxsize=1)
def style_source() -> str:
    """The hash of the page's one style block: https://www.w3.org/TR/CSP3/#grammardef-hash-source"""
    [styles] = re.findall(r"<style>(.*?)</style>", TEMPLATE.read_text(encoding="utf-8"), re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(styles.encode()).digest()).decode()}'"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    loader = FileSystemLoader(TEMPLATE.parent)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, finalize=clean)


def _earlier(report: Report, weeks: Sequence[Week]) -> Link | None:
    """The newest week before that has a report."""
    # What was counted instead of a report, and a report that is gone, have no page.
    stored = (week for week in weeks if week.usage is not report.previous and week.usage.total is not None)
    return next((Link(week.window.report_id, week_name(week.window)) for week in stored), None)


def _verdict(report: Report, weeks: Sequence[Week]) -> Verdict:
    """Only a week in which something unusual could have been seen is called fine."""
    if report.findings is None:
        return Verdict("unknown", "What was unusual is not recorded.", "An earlier version made this report.")
    if report.findings:
        return Verdict(report.findings[0].severity, _call(report))
    if report.usage.total is None:
        return Verdict("unknown", "How many requests there were is not recorded.")
    if not report.usage.total:
        return Verdict("unknown", "No requests this week.", "Nobody ordered an image, so there is nothing to judge.")
    busy = sum(bool(week.usage.total) for week in weeks)
    if not busy:
        return Verdict("unknown", "First week: nothing to compare with.", "The next report can say what is unusual.")
    return Verdict("fine", "Nothing needs your attention.", f"Compared with {weeks_before(busy)}, nothing is unusual.")


def _call(report: Report) -> str:
    """As in "2 things need attention, 1 more to look at."."""
    critical = len(report.critical)
    warnings = max(report.finding_count, len(report.findings or ())) - critical
    if not critical:
        return "1 thing to look at." if warnings == 1 else f"{number(warnings)} things to look at."
    urgent = "1 thing needs attention" if critical == 1 else f"{number(critical)} things need attention"
    return f"{urgent}, {number(warnings)} more to look at." if warnings else f"{urgent}."


def _facts(finding: Finding) -> Iterator[str]:
    if finding.previous_samples is not None and finding.current_samples is not None:
        yield f"from {number(finding.current_samples)} requests, and {number(finding.previous_samples)} before"
    if finding.p_value is not None:
        yield f"{percentage(min(100 * finding.p_value, 100))} likely by chance alone"
    if finding.score is not None:
        side = "above" if finding.score > 0 else "below"
        yield f"{abs(finding.score):.1f} standard deviations {side} the usual"


def _sales(report: Report, before: Usage) -> Iterator[Tile]:
    usage = report.usage
    for label, name in (
        ("Credits sold", "credits_granted"),
        ("Credits spent", "credits_spent"),
        ("Refunded", "credits_refunded"),
        ("Taken back", "credits_revoked"),
    ):
        now = getattr(usage, name)
        yield Tile(label, number(now), change(now, getattr(before, name), number) if now is not None else NOT_RECORDED)
    if report.outstanding:
        credits, at = report.outstanding
        yield Tile("Outstanding", number(credits), f"held by users on {at.day} {at:%b, %H:%M}")
    yield _failed_tile(usage, before)


def _failed_tile(usage: Usage, before: Usage) -> Tile:
    if usage.completed is None or usage.failed is None:
        return Tile("Failed", number(None), NOT_RECORDED)
    counts, then = usage.counts, before.counts
    if not counts.settled:
        return Tile("Failed", number(0), "none delivered, none failed")
    rate, rate_before = percent(counts.failed, counts.settled), percent(then.failed, then.settled)
    note = ", ".join(filter(None, (percentage(rate), change(rate, rate_before, percentage))))
    return Tile("Failed", part(counts.failed, counts.settled), note)


def _failed(usage: Usage) -> str:
    counts = usage.counts
    if usage.failed is None:
        return "How many requests failed is not recorded."
    if not counts.failed:
        return "No request failed."
    rate = percentage(percent(counts.failed, counts.settled))
    return f"{part(counts.failed, counts.settled)} requests failed ({rate})."


def _requests(usage: Usage, before: Usage) -> Iterator[Tile]:
    for label, name, show in (
        ("Requests", "total", number),
        ("Users who ordered", "distinct_users", number),
        ("Half delivered within", "median_seconds", duration),
        ("19 of 20 delivered within", "p95_seconds", duration),
    ):
        now = getattr(usage, name)
        yield Tile(label, show(now), change(now, getattr(before, name), show))
