"""Entry points: function names, triggers and options. No logic.

Imported by the CLI's discovery too, so nothing here connects to anything.
"""

import random
import time
import uuid
from datetime import UTC, datetime
from functools import partial

import flask
from firebase_functions import https_fn, options, scheduler_fn
from flask import Request, Response

import ai_simulator
import alerts
import anomalies
import config
import handlers
from auth import FirebaseTokens, Gate
from catalog import CatalogCache
from database import Database, RetryPolicy, connect
from endpoint import Boundary, Route
from generations import Generations
from ledger import Ledger
from reports import Report, Reports

SETTINGS = config.load()
# The system's randomness, since a worker forked from another would repeat its sequence.
RANDOM = random.SystemRandom()
REPORT_TIMEOUT_SECONDS = 540
REPORT_STREAM_SECONDS = 120
UTC_ZONE = options.Timezone("Etc/UTC")

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


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _announce(report: Report) -> None:
    alerts.announce(report.id, report.fields["anomalies"], SETTINGS.report_webhook_url, alerts.post_json)


def _services() -> handlers.Services:
    # A quarter of the time-out for each step that waits for Firestore, so that one slow step leaves time to answer.
    db = Database(lambda: connect(SETTINGS.project), RetryPolicy(budget_seconds=SETTINGS.timeout_seconds / 4))
    return handlers.Services(
        catalog=CatalogCache(db, SETTINGS.catalog_ttl_seconds, time.monotonic),
        ledger=Ledger(db, _utc_now, _new_id, SETTINGS.reservation_lease_seconds, SETTINGS.max_pending_per_user),
        generations=Generations(db),
        models=ai_simulator.simulated_models(SETTINGS.ai_failure_rate, RANDOM.random),
        new_id=_new_id,
        monotonic=time.monotonic,
        # Less than the platform's own, so that whoever pays for an image is still there when it comes.
        image_within_seconds=SETTINGS.timeout_seconds * 0.8,
        answer_within_seconds=SETTINGS.timeout_seconds * 0.95,
        signup_credits=SETTINGS.signup_credits,
    )


def _reporting() -> handlers.Reporting:
    db = Database(lambda: connect(SETTINGS.project), RetryPolicy(budget_seconds=SETTINGS.timeout_seconds / 4))
    # A day's requests come in one stream of at most two minutes, and two rounds of failures fit into the time-out.
    policy = RetryPolicy(budget_seconds=REPORT_STREAM_SECONDS * 5 / 4, rpc_share=4 / 5)
    streams = Database(lambda: connect(SETTINGS.project), policy)
    thresholds = anomalies.Thresholds(**SETTINGS.anomaly_thresholds)
    return handlers.Reporting(reports=Reports(db, streams, thresholds), announce=_announce, clock=_utc_now)


def _boundary() -> Boundary:
    tokens = FirebaseTokens(SETTINGS.project, timeout_seconds=SETTINGS.timeout_seconds / 4)
    gate = Gate(tokens, SETTINGS.require_auth, SETTINGS.require_app_check)
    return Boundary(gate, SETTINGS.allowed_origins, SETTINGS.project, time.monotonic)


BOUNDARY = _boundary()
SERVICES = _services()
REPORTING = _reporting()


@https_fn.on_request()
def createGenerationRequest(request: Request) -> Response:
    """POST: buys one image."""
    handle = partial(handlers.create_generation_request, services=SERVICES)
    return BOUNDARY.serve(request, Route({"POST": handle}, reads_body=True))


@https_fn.on_request()
def quoteGeneration(request: Request) -> Response:
    """POST: what an image would cost, and whether the balance covers it."""
    handle = partial(handlers.quote_generation, services=SERVICES)
    return BOUNDARY.serve(request, Route({"POST": handle}, reads_body=True))


@https_fn.on_request()
def getGenerationRequest(request: Request) -> Response:
    """GET: what became of one generation request."""
    return BOUNDARY.serve(request, Route({"GET": partial(handlers.get_generation_request, services=SERVICES)}))


@https_fn.on_request()
def listGenerationRequests(request: Request) -> Response:
    """GET: a user's generation requests."""
    return BOUNDARY.serve(request, Route({"GET": partial(handlers.list_generation_requests, services=SERVICES)}))


@https_fn.on_request()
def getUserCredits(request: Request) -> Response:
    """GET: a user's balance and history."""
    return BOUNDARY.serve(request, Route({"GET": partial(handlers.get_user_credits, services=SERVICES)}))


@https_fn.on_request()
def grantCredits(request: Request) -> Response:
    """POST, admins: adds credits to a user's balance."""
    handle = partial(handlers.grant_credits, services=SERVICES)
    return BOUNDARY.serve(request, Route({"POST": handle}, reads_body=True, admin_only=True))


@https_fn.on_request(timeout_sec=REPORT_TIMEOUT_SECONDS)
def getWeeklyReport(request: Request) -> Response:
    """GET, admins: a stored report. POST: makes one now."""
    read = partial(handlers.read_weekly_report, reporting=REPORTING)
    make = partial(handlers.make_weekly_report, reporting=REPORTING)
    return BOUNDARY.serve(request, Route({"GET": read, "POST": make}, admin_only=True))


@https_fn.on_request()
def openapi(request: Request) -> Response:
    """GET, everybody: the description of this API."""
    return BOUNDARY.serve(request, Route({"GET": handlers.describe_api}, is_public=True))


@scheduler_fn.on_schedule(
    schedule="0 0 * * 1",
    timezone=UTC_ZONE,
    timeout_sec=REPORT_TIMEOUT_SECONDS,
    max_instances=1,
    min_instances=0,
    retry_count=5,
    min_backoff_seconds=30,
    max_backoff_seconds=3600,
)
def scheduleWeeklyReport(event: scheduler_fn.ScheduledEvent) -> None:
    """Every Monday at midnight: reports on the week that ended. Whatever is raised makes Cloud Scheduler try again."""
    run = partial(handlers.make_scheduled_report, event.schedule_time, REPORTING)
    BOUNDARY.run_scheduled(flask.request, run)


# At most one instance and a time-out below the interval, so that sweeps seldom meet; where they do, they are safe.
@scheduler_fn.on_schedule(
    schedule="*/5 * * * *", timezone=UTC_ZONE, timeout_sec=240, max_instances=1, min_instances=0, retry_count=1
)
def releaseExpiredReservations(event: scheduler_fn.ScheduledEvent) -> None:
    """Every 5 minutes: refunds what is pending past its lease."""
    BOUNDARY.run_scheduled(flask.request, partial(handlers.release_expired_reservations, SERVICES))
