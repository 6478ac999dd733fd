"""What happened in a week: how many requests, of what, with which outcome. Also its form in a stored report."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from reporting import stored

DIMENSIONS = {"model": "byModel", "style": "byStyle", "color": "byColor", "size": "bySize"}
UNKNOWN = "unknown"
# The name under which a report adds up what is rarer than the options that it names.
OTHERS = "other"

# Attributes of a week and of a day -> their stored names.
_WEEK = {"total": "totalRequests", "completed": "totalCompleted", "failed": "totalFailed"}
_WEEK |= {"canceled": "totalCanceled", "pending": "totalPending", "unknown": "totalUnknown"}
_WEEK |= {"distinct_users": "distinctUsers"}
_WEEK |= {"credits_spent": "totalCreditsSpent", "credits_refunded": "totalCreditsRefunded"}
_WEEK |= {"credits_granted": "totalCreditsGranted", "credits_revoked": "totalCreditsRevoked"}
_DAY = {name: name for name in ("total", "completed", "failed", "canceled", "pending", "unknown")}
_DAY |= {"credits_spent": "creditsSpent", "credits_refunded": "creditsRefunded"}
_DAY |= {"credits_granted": "creditsGranted", "credits_revoked": "creditsRevoked"}
_percentage = partial(stored.number, maximum=100)


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of one kind. The rest of the total is pending, or its outcome is not known."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0

    @property
    def settled(self) -> int:
        """Those that say how often requests fail; what a buyer canceled is neither a success nor a failure."""
        return self.completed + self.failed

    @property
    def failure_rate(self) -> float:
        """Share of the settled, from 0 to 1; 0 if there are none."""
        return self.failed / self.settled if self.settled else 0.0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.total + other.total,
            self.completed + other.completed,
            self.failed + other.failed,
            self.canceled + other.canceled,
        )


@dataclass(frozen=True, slots=True)
class Day:
    """One day's requests by outcome, the credits spent on them and refunded, and those that admins gave and took."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    pending: int = 0
    unknown: int = 0
    credits_spent: int = 0
    credits_refunded: int = 0
    credits_granted: int = 0
    credits_revoked: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """A week. None is "not known". An empty breakdown of a week that had requests was not recorded.

    `by` has each option's counts by dimension, `credits_by` the credits spent on it, `days` are by date as in
    "2026-11-22", and `problems` says which stored figures are odd: a week with such is not a baseline.
    """

    total: int | None
    completed: int | None = None
    failed: int | None = None
    canceled: int | None = None
    pending: int | None = None
    unknown: int | None = None
    credits_spent: int | None = None
    credits_refunded: int | None = None
    credits_granted: int | None = None
    credits_revoked: int | None = None
    distinct_users: int | None = None
    success_percent: float | None = None
    median_seconds: float | None = None
    p95_seconds: float | None = None
    by: Mapping[str, Mapping[str, Counts]] = field(default_factory=lambda: {name: {} for name in DIMENSIONS})
    credits_by: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: {name: {} for name in DIMENSIONS})
    days: Mapping[str, Day] = field(default_factory=dict)
    failure_reasons: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[str] = ()

    @property
    def counts(self) -> Counts:
        """All requests; 0 for what is not known."""
        return Counts(self.total or 0, self.completed or 0, self.failed or 0, self.canceled or 0)

    def to_fields(self) -> dict[str, Any]:
        """The stored form."""
        return {
            **{name: getattr(self, attribute) for attribute, name in _WEEK.items()},
            "successRate": self.success_percent and round(self.success_percent, 2),
            **{
                name: _breakdown_fields(self.by[dimension], self.credits_by[dimension])
                for dimension, name in DIMENSIONS.items()
            },
            "byDay": {
                date: {name: getattr(day, attribute) for attribute, name in _DAY.items()}
                for date, day in sorted(self.days.items())
            },
            "generationSeconds": {"median": self.median_seconds, "p95": self.p95_seconds},
            "failureReasons": dict(self.failure_reasons),
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> "Usage":
        """Reads the stored form or an older one, and derives what that lacks. What is odd is not known."""
        report = _Fields(fields)
        by = {dimension: report.breakdown(name) for dimension, name in DIMENSIONS.items()}
        figures = {attribute: report.take(name, _reader(attribute)) for attribute, name in _WEEK.items()}
        success_percent = report.take("successRate", _percentage)
        models = sum(by["model"].values(), Counts())
        if figures["total"] is None and by["model"]:
            figures["total"] = models.total
        if (figures["completed"], figures["failed"], success_percent) == (None, None, None) and models.settled:
            figures |= {"completed": models.completed, "failed": models.failed}
        figures |= report.outcome("totalRequests", figures, None if success_percent is None else 100 - success_percent)
        if success_percent is None and None not in (figures["completed"], figures["failed"]):
            success_percent = percent(figures["completed"], figures["completed"] + figures["failed"])
        seconds, days = report.inner("generationSeconds"), stored.mapping(fields.get("byDay")) or {}
        reasons = stored.mapping(fields.get("failureReasons")) or {}
        return cls(
            **figures,
            success_percent=success_percent,
            median_seconds=seconds.take("median", stored.number),
            p95_seconds=seconds.take("p95", stored.number),
            by=by,
            credits_by={dimension: _credits_by_option(fields.get(name)) for dimension, name in DIMENSIONS.items()},
            days={date: _day(stored.mapping(day) or {}) for date, day in days.items()},
            failure_reasons={reason: stored.count(count) or 0 for reason, count in reasons.items()},
            problems=tuple(report.problems),
        )


def pooled(weeks: Iterable[Usage], dimension: str) -> dict[str, Counts]:
    """The weeks' counts together, by the names of one of DIMENSIONS."""
    together: dict[str, Counts] = {}
    for week in weeks:
        for name, counts in week.by[dimension].items():
            together[name] = together.get(name, Counts()) + counts
    return together


def percent(part: float, whole: float) -> float | None:
    """A percentage, never above 100; None if the whole is nothing."""
    return 100 * min(part / whole, 1) if whole else None


class _Fields:
    """A map of a stored report. Figures are taken from it one by one, and `problems` names those that are odd."""

    def __init__(self, fields: Mapping[str, Any], path: str = "", problems: list[str] | None = None) -> None:
        self.fields = fields
        self.path = path
        self.problems = [] if problems is None else problems

    def take(self, name: str, read: Callable[[Any], Any]) -> Any:
        """A field's value; None if it is missing or odd."""
        value = self.fields.get(name)
        found = None if value is None else read(value)
        if value is not None and found is None:
            self.problems.append(f"{self.path}{name} is odd: {value!r:.50}")
        return found

    def inner(self, name: str) -> "_Fields":
        """A field that is a map; an empty one if it is missing or odd."""
        return _Fields(self.take(name, stored.mapping) or {}, f"{self.path}{name}.", self.problems)

    def breakdown(self, name: str) -> dict[str, Counts]:
        """Counts by option. None at all if one of them is odd, since the others would not add up."""
        options, known = self.inner(name), len(self.problems)
        breakdown = {option: options.inner(option).counts() for option in options.fields}
        return breakdown if len(self.problems) == known else {}

    def counts(self) -> Counts:
        """One option's counts."""
        given = {name: self.take(name, stored.count) for name in ("total", "completed", "failed", "canceled")}
        if given["total"] is None and None not in (given["completed"], given["failed"]):
            given["total"] = given["completed"] + given["failed"] + (given["canceled"] or 0)
        given |= self.outcome("total", given, self.take("failureRate", _percentage))
        return Counts(**{name: count or 0 for name, count in given.items()})

    def outcome(self, name: str, given: Mapping[str, Any], failure_percent: float | None) -> dict[str, Any]:
        """How many of the total completed and failed. What is missing follows from the rest, or is not known."""
        total, completed, failed = given["total"], given["completed"], given["failed"]
        canceled = given["canceled"] or 0
        settled = (total or 0) - canceled - (given.get("pending") or 0)
        if completed is None and failed is None:
            failed = None if failure_percent is None else round(settled * failure_percent / 100)
        if completed is None and failed is not None:
            completed = settled - failed
        elif failed is None and completed is not None:
            failed = settled - completed
        known = (completed or 0, failed or 0, canceled)
        if total is not None and min(known) >= 0 and (completed is None or sum(known) <= total):
            return {"completed": completed, "failed": failed}
        problem = "missing" if total is None else f"{total}, less than its requests by outcome"
        self.problems.append(f"{self.path}{name} is {problem}")
        return {"completed": None, "failed": None}


def _day(fields: Mapping[str, Any]) -> Day:
    return Day(**{attribute: _reader(attribute)(fields.get(name)) or 0 for attribute, name in _DAY.items()})


def _reader(attribute: str) -> Callable[[Any], int | None]:
    """Credits are more than requests."""
    return stored.credits if attribute.startswith("credits_") else stored.count


def _credits_by_option(breakdown: Any) -> dict[str, int]:
    """The credits spent on each option; none at all if those of one are not known, since they would not add up."""
    options = stored.mapping(breakdown) or {}
    found = {name: stored.credits((stored.mapping(each) or {}).get("creditsSpent")) for name, each in options.items()}
    known = {name: credits for name, credits in found.items() if credits is not None}
    return known if len(known) == len(found) else {}


def _breakdown_fields(options: Mapping[str, Counts], credits: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    return {
        option: {
            "total": each.total,
            "completed": each.completed,
            "failed": each.failed,
            "canceled": each.canceled,
            "failureRate": round(100 * each.failure_rate, 2) if each.settled else None,
            "creditsSpent": credits.get(option),
        }
        for option, each in sorted(options.items())
    }
