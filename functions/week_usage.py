"""A stored weekly report -> the week's usage: how many requests, of what, with which outcome."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DIMENSIONS = ("model", "style", "color", "size")
# The name under which a report adds up what is rarer than the options that it names.
ADDED_UP = "other"

# More requests, credits or seconds than any week has; far larger counts would make the exact tests slow.
_LARGEST = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of one kind; those neither completed nor failed are pending, or their outcome is not known."""

    total: int = 0
    completed: int = 0
    failed: int = 0

    @property
    def settled(self) -> int:
        return self.completed + self.failed

    @property
    def failure_rate(self) -> float:
        """Share of the settled; 0 where there are none."""
        return self.failed / self.settled if self.settled else 0.0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.total + other.total, self.completed + other.completed, self.failed + other.failed)


@dataclass(frozen=True, slots=True)
class Usage:
    """One week. An empty breakdown of a week that had requests means that it was not recorded."""

    total_requests: int
    completed: int
    failed: int
    credits_spent: int | None
    by_model: Mapping[str, Counts]
    by_style: Mapping[str, Counts]
    by_color: Mapping[str, Counts]
    by_size: Mapping[str, Counts]
    generation_median_seconds: float | None = None
    generation_p95_seconds: float | None = None

    @classmethod
    def from_report(cls, fields: Mapping[str, Any]) -> "Usage":
        """Takes a stored report, of today's form or an older one; what is missing is derived or left out.

        Raises:
            ValueError: the number of requests is missing, or a value is impossible; names the field.
        """
        breakdowns = {dimension: _breakdown(fields, f"by{dimension.capitalize()}") for dimension in DIMENSIONS}
        overall = _overall(fields, breakdowns["model"])
        seconds = _mapping(fields, "generationSeconds")
        return cls(
            total_requests=overall.total,
            completed=overall.completed,
            failed=overall.failed,
            credits_spent=_count(fields, "totalCreditsSpent"),
            by_model=breakdowns["model"],
            by_style=breakdowns["style"],
            by_color=breakdowns["color"],
            by_size=breakdowns["size"],
            generation_median_seconds=_number(seconds, "median", "generationSeconds."),
            generation_p95_seconds=_number(seconds, "p95", "generationSeconds."),
        )

    @property
    def overall(self) -> Counts:
        return Counts(self.total_requests, self.completed, self.failed)

    @property
    def settled(self) -> int:
        return self.completed + self.failed

    def by(self, dimension: str) -> Mapping[str, Counts]:
        """The breakdown by one of DIMENSIONS."""
        breakdowns = {"model": self.by_model, "style": self.by_style, "color": self.by_color, "size": self.by_size}
        return breakdowns[dimension]


def pooled(history: Sequence[Usage], dimension: str) -> dict[str, Counts]:
    """The weeks' counts together, by the names of one of DIMENSIONS."""
    together: dict[str, Counts] = {}
    for week in history:
        for name, counts in week.by(dimension).items():
            together[name] = together.get(name, Counts()) + counts
    return together


def count_requests(counts: Iterable[Counts]) -> int:
    return sum(each.total for each in counts)


def _overall(fields: Mapping[str, Any], by_model: Mapping[str, Counts]) -> Counts:
    total = _count(fields, "totalRequests")
    if total is None:
        if not by_model:
            raise ValueError("totalRequests is missing, and byModel to derive it from")
        total = count_requests(by_model.values())
    success_percent = _percent(fields, "successRate", "")
    failure_percent = None if success_percent is None else 100 - success_percent
    completed, failed = _count(fields, "totalCompleted"), _count(fields, "totalFailed")
    pending = _count(fields, "totalPending") or 0
    if completed is None and failed is None and failure_percent is None and by_model:
        models = sum(by_model.values(), Counts())
        completed, failed = models.completed, models.failed
    return _counts(total, completed, failed, (failure_percent, pending), "totalRequests")


def _breakdown(fields: Mapping[str, Any], name: str) -> dict[str, Counts]:
    breakdown = {}
    for category in _mapping(fields, name):
        entry, path = _mapping(fields[name], category, f"{name}."), f"{name}.{category}."
        total = _count(entry, "total", path)
        completed, failed = _count(entry, "completed", path), _count(entry, "failed", path)
        if total is None:
            if completed is None or failed is None:
                raise ValueError(f"{path}total is missing, and completed and failed to derive it from")
            total = completed + failed
        breakdown[str(category)] = _counts(
            total, completed, failed, (_percent(entry, "failureRate", path), 0), f"{path}total"
        )
    return breakdown


def _counts(
    total: int, completed: int | None, failed: int | None, derive_from: tuple[float | None, int], path: str
) -> Counts:
    """What is missing follows from the total, the other count, the failure rate in percent and how many are pending.

    With none of these the outcome is not known, and nobody settled.
    """
    failure_percent, pending = derive_from
    if completed is None and failed is None:
        failed = 0 if failure_percent is None else round((total - pending) * failure_percent / 100)
        completed = 0 if failure_percent is None else total - pending - failed
    elif failed is None:
        failed = total - pending - (completed or 0)
    elif completed is None:
        completed = total - pending - failed
    counts = Counts(total, completed or 0, failed)
    if min(counts.completed, counts.failed) < 0 or counts.settled > total:
        raise ValueError(f"{path} is {total}, less than its completed, failed and pending requests")
    return counts


def _mapping(fields: Mapping[str, Any], name: str, path: str = "") -> Mapping[str, Any]:
    """A field that holds a mapping; empty where it is absent."""
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{path}{name} is no mapping")
    return value


def _count(fields: Mapping[str, Any], name: str, path: str = "") -> int | None:
    value = _number(fields, name, path)
    if value is not None and value != int(value):
        raise ValueError(f"{path}{name} is {value}, expected a whole number")
    return None if value is None else int(value)


def _percent(fields: Mapping[str, Any], name: str, path: str) -> float | None:
    value = _number(fields, name, path)
    if value is not None and value > 100:
        raise ValueError(f"{path}{name} is {value}, expected at most 100")
    return value


def _number(fields: Mapping[str, Any], name: str, path: str) -> float | None:
    """A field that holds a number from 0 to _LARGEST; None where it is absent."""
    value = fields.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value <= _LARGEST:
        raise ValueError(f"{path}{name} is {value!r:.50}, expected a number from 0 to {_LARGEST:,}")
    return float(value)
