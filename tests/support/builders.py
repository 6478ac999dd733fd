"""Ledgers, clocks and requests for tests that need no emulator."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from audits import Audits
from database import RetryPolicy
from ledger import GenerationRequest, Ledger
from memory import MemoryDatabase

LEASE_SECONDS = 600.0


@dataclass
class Clock:
    """A clock that goes only when told to."""

    now: datetime = datetime(2026, 3, 2, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def impatient(attempts: int = 8) -> RetryPolicy:
    """A policy that sleeps on a clock of its own, so that giving up takes no time."""
    time = itertools.count()
    return RetryPolicy(
        budget_seconds=float(attempts),
        uniform=lambda low, high: 0.0,
        sleep=lambda seconds: None,
        monotonic=lambda: float(next(time)) / 2,
    )


def sleepless() -> RetryPolicy:
    """A policy that tries again at once, for as long as nobody would wait."""
    return RetryPolicy(uniform=lambda low, high: 0.0, sleep=lambda seconds: None)


def counter_ids() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"id{next(numbers)}"


@dataclass
class Books:
    """A ledger on an in-process database, with a clock to move."""

    clock: Clock = field(default_factory=Clock)
    policy: RetryPolicy = field(default_factory=impatient)
    most_pending: int = 1_000
    db: MemoryDatabase = field(init=False)
    ledger: Ledger = field(init=False)
    audits: Audits = field(init=False)

    def __post_init__(self) -> None:
        self.db = MemoryDatabase(self.clock, self.policy)
        self.ledger = Ledger(self.db, self.clock, counter_ids(), LEASE_SECONDS, self.most_pending)
        self.audits = Audits(self.db, self.clock)

    def add_user(self, user_id: str = "ann", credits: Any = 10) -> str:
        self.db.put(f"users/{user_id}", {"credits": credits})
        return user_id

    def balance(self, user_id: str = "ann") -> Any:
        return self.db.everything()[f"users/{user_id}"].get("credits")


def request(user_id: str = "ann", cost_credits: int = 3, prompt: str | None = None) -> GenerationRequest:
    return GenerationRequest(user_id, "model-a", "anime", "neon", "1024x1024", prompt, cost_credits)
