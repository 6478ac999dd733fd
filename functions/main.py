"""Entry points: function names, triggers and options. No logic.

Imported by the CLI's discovery too, so nothing here connects to anything.
"""

import random
import time
import uuid
from datetime import UTC, datetime

from firebase_functions import https_fn, options, scheduler_fn
from flask import Request, Response

import ai_simulator
import config
import endpoint
import handlers
from catalog import CatalogCache
from database import Database, RetryPolicy, connect
from ledger import Ledger

SETTINGS = config.load()
# The system's randomness, since a worker forked from another would repeat its sequence.
RANDOM = random.SystemRandom()

options.set_global_options(
    region=SETTINGS.region,
    memory=config.MEMORY_MB,
    # The library would ask for the fraction that suits one request at a time, and the CLI refuses threads on that.
    cpu=1,
    min_instances=config.MIN_INSTANCES,
    max_instances=config.MAX_INSTANCES,
    concurrency=config.THREADS,
    timeout_sec=config.TIMEOUT_SECONDS,
)


def _new_id() -> str:
    return uuid.uuid4().hex


def _services() -> handlers.Services:
    # A quarter of the time-out for each step that waits for Firestore, so that one slow step leaves time to answer.
    db = Database(lambda: connect(SETTINGS.project), RetryPolicy(budget_seconds=SETTINGS.timeout_seconds / 4))
    return handlers.Services(
        catalog=CatalogCache(db, SETTINGS.catalog_ttl_seconds, time.monotonic),
        ledger=Ledger(db, lambda: datetime.now(UTC), _new_id, SETTINGS.reservation_lease_seconds),
        models=ai_simulator.simulated_models(SETTINGS.ai_failure_rate, RANDOM.random),
        new_id=_new_id,
        monotonic=time.monotonic,
        # Less than the platform's own, so that an image is completed while its client is still there.
        answer_within_seconds=SETTINGS.timeout_seconds * 0.9,
    )


SERVICES = _services()


@https_fn.on_request()
def createGenerationRequest(request: Request) -> Response:
    """POST: buys one image."""
    return endpoint.serve(request, "POST", lambda call: handlers.create_generation_request(call, SERVICES))


@https_fn.on_request()
def getUserCredits(request: Request) -> Response:
    """GET: a user's balance and history."""
    return endpoint.serve(request, "GET", lambda call: handlers.get_user_credits(call, SERVICES))


# At most one instance and a time-out below the interval, so that sweeps seldom meet; where they do, they are safe.
@scheduler_fn.on_schedule(schedule="*/5 * * * *", max_instances=1, min_instances=0, timeout_sec=240, retry_count=1)
def releaseExpiredReservations(event: scheduler_fn.ScheduledEvent) -> None:
    """Every 5 minutes: refunds what is pending past its lease."""
    handlers.release_expired_reservations(SERVICES)
