"""Clocks, stores and weeks for the tests of reporting."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reporting import Report, Reports, Window
from reporting.usage import Counts, Usage
from store import RetryPolicy
from tests.support.memory import MemoryStore

END = datetime(2026, 11, 23, tzinfo=UTC)
CREATED = END - timedelta(days=3)
# How many examples a property is tried with.
EXAMPLES = 500 if os.environ.get("THOROUGH") == "1" else 25
STYLES = ("anime", "sketch", "realistic")


@dataclass
class Clock:
    """Stands still unless a test moves it."""

    now: datetime = END + timedelta(minutes=20)

    def __call__(self) -> datetime:
        return self.now


class CountingStore(MemoryStore):
    """Notes which documents are read."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, RetryPolicy(uniform=lambda low, high: 0.0, sleep=lambda seconds: None))
        self.reads: list[str] = []

    def _read(self, paths: Sequence[str], attempts: Any) -> Any:
        self.reads += paths
        return super()._read(paths, attempts)


@dataclass
class Shop:
    """Reports over requests that a test puts straight into the store."""

    clock: Clock = field(default_factory=Clock)
    store: CountingStore = field(init=False)
    reports: Reports = field(init=False)
    requests: int = 0

    def __post_init__(self) -> None:
        self.store = CountingStore(self.clock)
        self.reports = Reports(self.store, self.store)

    def put(self, count: int = 1, created: datetime = CREATED, **fields: Any) -> None:
        """Stores requests; a field that is None is left out."""
        for _ in range(count):
            self.requests += 1
            request = {
                "userId": "ann",
                "model": "model-a",
                "style": "anime",
                "color": "neon",
                "size": "512x512",
                "cost": 1,
                "status": "completed",
                "createdAt": created,
                "updatedAt": created + timedelta(seconds=4),
                **fields,
            }
            stored = {name: value for name, value in request.items() if value is not None}
            self.store.put(f"generationRequests/r{self.requests}", stored)

    def end_pending(self) -> None:
        """Completes every pending request."""
        for path, fields in self.store.everything().items():
            if fields.get("status") == "pending":
                self.store.put(path, {**fields, "status": "completed"})

    def make(self, end: datetime = END) -> Report:
        return self.reports.make(Window.of_schedule(end), self.clock())

    def stored(self, report_id: str = "report_2026-11-23") -> dict[str, Any]:
        return self.store.everything()[f"reports/{report_id}"]


def counts(total: int, failed: int) -> Counts:
    return Counts(total, total - failed, failed)


def week(
    total: int = 1_000,
    failed: int = 50,
    *,
    model_a_failed: int | None = None,
    styles: Sequence[str] = STYLES,
    credits: int | None = None,
    median_seconds: float | None = 2.0,
    p95_seconds: float | None = 5.0,
) -> Usage:
    """All settled; half of the requests and of the failures are model-a's, and styles, color and size share alike."""
    of_a = failed // 2 if model_a_failed is None else model_a_failed
    failed = failed if model_a_failed is None else failed // 2 + model_a_failed
    return Usage(
        total=total,
        completed=total - failed,
        failed=failed,
        credits_spent=3 * (total - failed) if credits is None else credits,
        by={
            "model": {"model-a": counts(total // 2, of_a), "model-b": counts(total - total // 2, failed - of_a)},
            "style": {style: counts(total // len(styles), failed // len(styles)) for style in styles},
            "color": {"neon": counts(total, failed)},
            "size": {"512x512": counts(total, failed)},
        },
        median_seconds=median_seconds,
        p95_seconds=p95_seconds,
    )


def using(usage: Usage, **by: Mapping[str, Counts]) -> Usage:
    """The week with these breakdowns instead of its own."""
    return replace(usage, by={**usage.by, **by})
