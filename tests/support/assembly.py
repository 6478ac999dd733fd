"""The services as main.py builds them, with whatever a test wants to be different."""

import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from google.cloud import firestore

from ai_simulator import simulated_models
from audits import Audits
from catalog import CatalogCache
from database import Database, RetryPolicy
from generations import Generations
from handlers import Services
from ledger import Ledger
from projects import Project

LEASE_SECONDS = 600.0
MOST_PENDING = 1_000


def new_id() -> str:
    return uuid.uuid4().hex


def clock_ahead(seconds: float) -> Callable[[], datetime]:
    return lambda: datetime.now(UTC) + timedelta(seconds=seconds)


def audits_of(project: Project, later_seconds: float = 0.0) -> Audits:
    """Audits of a project's books, by a clock that is `later_seconds` ahead."""
    return Audits(Database(lambda: project.client), clock_ahead(later_seconds))


def assembled(
    connect: Callable[[], firestore.Client],
    failure_rate: float = 0.0,
    later_seconds: float = 0.0,
    ledger_type: type[Ledger] = Ledger,
    policy: RetryPolicy | None = None,
    signup_credits: int = 0,
) -> Services:
    """Services on a client of the test's choice, whose clock is `later_seconds` ahead."""
    db = Database(connect, policy)
    clock = clock_ahead(later_seconds)
    return Services(
        catalog=CatalogCache(db, 60.0, time.monotonic),
        ledger=ledger_type(db, clock, new_id, LEASE_SECONDS, MOST_PENDING),
        generations=Generations(db),
        models=simulated_models(failure_rate, random.random),
        new_id=new_id,
        monotonic=time.monotonic,
        image_within_seconds=float("inf"),
        answer_within_seconds=float("inf"),
        signup_credits=signup_credits,
    )
