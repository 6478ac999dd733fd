"""The services as main.py builds them, on a client of the test's choice."""

import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from google.cloud import firestore

from ai_simulator import simulated_models
from catalog import CatalogCache
from database import Database, RetryPolicy
from handlers import Services
from ledger import Ledger


def assembled(
    connect: Callable[[], firestore.Client],
    failure_rate: float = 0.0,
    lease_seconds: float = 600.0,
    policy: RetryPolicy | None = None,
) -> Services:
    db = Database(connect, policy)
    return Services(
        catalog=CatalogCache(db, 60.0, time.monotonic),
        ledger=Ledger(db, lambda: datetime.now(UTC), lambda: uuid.uuid4().hex, lease_seconds),
        models=simulated_models(failure_rate, random.random),
    )
