"""The services as main.py builds them, with whatever a test wants to be different."""

import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from google.cloud import firestore

from ai_simulator import simulated_models
from catalog import CatalogCache
from database import Database, RetryPolicy
from handlers import Services
from ledger import Ledger

LEASE_SECONDS = 600.0


def new_id() -> str:
    return uuid.uuid4().hex


def assembled(
    connect: Callable[[], firestore.Client],
    failure_rate: float = 0.0,
    later_seconds: float = 0.0,
    ledger_type: type[Ledger] = Ledger,
    policy: RetryPolicy | None = None,
) -> Services:
    """Services on a client of the test's choice, whose clock is `later_seconds` ahead."""
    db = Database(connect, policy)

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=later_seconds)

    return Services(
        catalog=CatalogCache(db, 60.0, time.monotonic),
        ledger=ledger_type(db, clock, new_id, LEASE_SECONDS),
        models=simulated_models(failure_rate, random.random),
        new_id=new_id,
        monotonic=time.monotonic,
        answer_within_seconds=60.0,
    )
