"""A stored weekly report -> the Week that its page shows: whatever the document holds, anything odd is "not known"."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from report_words import Name, clean, exact, shorten

MAX_DAYS = 8
MAX_MESSAGE = 300
DIMENSIONS = {"model": "byModel", "style": "byStyle", "size": "bySize", "color": "byColor"}

_LARGEST_NUMBER = 1e300


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of some requests; `rate` is the percentage that failed of those settled."""

    total: float = 0
    completed: float = 0
    failed: float = 0
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    completed: float = 0
    failed: float = 0
    pending: float = 0
    spent: float = 0
    refunded: float = 0


@dataclass(frozen=True, slots=True)
class Finding:
    critical: bool
    severity: str
    message: Name
    facts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Week:
    """A report's fields, checked; None is "not known"."""

    start: datetime | None
    end: datetime | None
    generated: datetime | None
    previous_id: str
    requests: float | None
    completed: float | None
    failed: float | None
    pending: float | None
    spent: float | None
    refunded: float | None
    success_rate: float | None
    users: float | None
    median_seconds: float | None
    p95_seconds: float | None
    dimensions: Mapping[str, Mapping[str, Tally]]
    days: Sequence[Day]
    reasons: Mapping[str, float]
    findings: Sequence[Finding] | None


def read_week(fields: Mapping[str, Any]) -> Week:
    """Takes what is sound of a report's fields, of any age."""
    start, end = _moment(fields.get("windowStart")), _moment(fields.get("windowEnd"))
    seconds = _mapping(fields.get("generationSeconds"))
    return Week(
        start=start,
        end=end,
        generated=_moment(fields.get("generatedAt")),
        previous_id=clean(fields.get("previousReportId") or ""),
        requests=_number(fields.get("totalRequests")),
        completed=_number(fields.get("totalCompleted")),
        failed=_number(fields.get("totalFailed")),
        pending=_number(fields.get("totalPending")),
        spent=_number(fields.get("totalCreditsSpent")),
        refunded=_number(fields.get("totalCreditsRefunded")),
        success_rate=_percentage(fields.get("successRate")),
        users=_number(fields.get("distinctUsers")),
        median_seconds=_number(seconds.get("median")),
        p95_seconds=_number(seconds.get("p95")),
        dimensions={name: _tallies(fields.get(key)) for name, key in DIMENSIONS.items()},
        days=_days(_mapping(fields.get("byDay")), start, end),
        reasons={clean(name): _number(count) or 0 for name, count in _mapping(fields.get("failureReasons")).items()},
        findings=_findings(fields.get("anomalies")),
    )


def percent_of(part: float, whole: float) -> float | None:
    """Never above 100; None where the whole is nothing."""
    return 100 * min(part / whole, 1) if whole else None


def _number(value: Any) -> float | None:
    """A count or an amount; None for what cannot be one: negative, not finite, no number."""
    sound = type(value) in (int, float) and 0 <= value <= _LARGEST_NUMBER
    return value if sound else None


def _percentage(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number <= 100 else None


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        return None


def _tallies(value: Any) -> dict[str, Tally]:
    return {clean(name): _tally(_mapping(counts)) for name, counts in _mapping(value).items()}


def _tally(counts: Mapping[Any, Any]) -> Tally:
    total, completed, failed = (_number(counts.get(key)) or 0 for key in ("total", "completed", "failed"))
    counted = percent_of(failed, completed + failed)
    return Tally(total, completed, failed, _percentage(counts.get("failureRate")) if counted is None else counted)


def _days(by_day: Mapping[Any, Any], start: datetime | None, end: datetime | None) -> list[Day]:
    """The window's days, also those without requests; the days counted where the window is not known."""
    counted = {day: _day(day, _mapping(counts)) for key, counts in by_day.items() if (day := _date(key))}
    if start and end and timedelta(0) < end - start <= timedelta(days=MAX_DAYS):
        last = (end - timedelta(microseconds=1)).date()
        days = [start.date() + timedelta(days=offset) for offset in range((last - start.date()).days + 1)]
    else:
        days = sorted(counted)[-MAX_DAYS:]
    return [counted.get(day, Day(day)) for day in days]


def _day(day: date, counts: Mapping[Any, Any]) -> Day:
    keys = ("completed", "failed", "pending", "creditsSpent", "creditsRefunded")
    return Day(day, *(_number(counts.get(key)) or 0 for key in keys))


def _date(value: Any) -> date | None:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _findings(value: Any) -> list[Finding] | None:
    if not isinstance(value, list | tuple):
        return None
    # An older form holds sentences.
    items = [{"severity": "warning", "message": item} if isinstance(item, str) else item for item in value]
    found = [_finding(item) for item in items if isinstance(item, Mapping)]
    if value and not found:
        return None
    return sorted(found, key=lambda finding: not finding.critical)


def _finding(item: Mapping[str, Any]) -> Finding:
    critical = item.get("severity") == "critical"
    message = clean(item.get("message") or item.get("kind") or "An anomaly without a description.")
    return Finding(critical, "Critical" if critical else "Warning", shorten(message, MAX_MESSAGE), list(_facts(item)))


def _facts(item: Mapping[str, Any]) -> Iterable[str]:
    before, now = _number(item.get("previousSamples")), _number(item.get("currentSamples"))
    if before is not None and now is not None:
        yield f"{exact(now)} samples, {exact(before)} before"
    p_value, score = _number(item.get("pValue")), item.get("score")
    if p_value is not None:
        words = "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.2g}"
        yield words.replace(" ", "\N{NO-BREAK SPACE}")
    if isinstance(score, int | float) and abs(score) <= _LARGEST_NUMBER:
        yield f"{score:+.1f} robust standard deviations"
