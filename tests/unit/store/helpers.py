"""Policies, clocks and plans for the store's tests."""

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime

from store import Commit, Document, Plan, RetryPolicy, Write

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def now() -> datetime:
    return NOW


def impatient(attempts: int = 8) -> RetryPolicy:
    """A policy whose pauses only move its own clock, so that giving up takes no real time."""
    ticks = itertools.count()
    return RetryPolicy(
        max_seconds=float(attempts),
        uniform=lambda low, high: 0.0,
        sleep=lambda seconds: None,
        monotonic=lambda: float(next(ticks)) / 2,
    )


def adding(path: str) -> Plan[int]:
    """Adds 1 to a document's `n`, and creates it; does not recognise its own earlier attempt."""

    def plan(documents: Mapping[str, Document]) -> Commit[int]:
        document = documents[path]
        total = document.fields.get("n", 0) + 1
        return Commit([Write(path, {"n": total}, document.version)], lambda versions: total)

    return plan
