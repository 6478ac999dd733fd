"""What is deployed: each function's name, trigger and options.

Imported by the CLI's discovery too, so nothing here connects to anything.
"""

from functools import partial
from typing import Any

import flask
from firebase_functions import https_fn, options, scheduler_fn, tasks_fn
from flask import Request, Response

import config
import handlers
import services
import webhook_handlers
from api.endpoint import Endpoint
from fulfillment import REQUEST_ID
from webhooks.outbox import DELIVERY_ID

SETTINGS = config.load()
ENDPOINT = Endpoint.build(SETTINGS, services.build(SETTINGS))
MODEL_SECRETS = config.model_secrets(SETTINGS)
REPORT_TIMEOUT_SECONDS = 540
UTC_ZONE = options.Timezone("Etc/UTC")

options.set_global_options(
    region=SETTINGS.region,
    memory=config.MEMORY_MB,
    # The library's default is a fraction of a CPU, with which the CLI refuses several requests at a time.
    cpu=1,
    min_instances=config.MIN_INSTANCES,
    max_instances=config.MAX_INSTANCES,
    concurrency=config.THREADS,
    timeout_sec=config.TIMEOUT_SECONDS,
)


@https_fn.on_request(secrets=MODEL_SECRETS)
def createGenerationRequest(request: Request) -> Response:
    """POST: buys one image."""
    return ENDPOINT.serve(request, "createGenerationRequest")


@https_fn.on_request()
def cancelGenerationRequest(request: Request) -> Response:
    """POST: cancels a pending request and gives its credits back."""
    return ENDPOINT.serve(request, "cancelGenerationRequest")


@https_fn.on_request()
def quoteGeneration(request: Request) -> Response:
    """POST: what an image would cost, and whether the balance covers it."""
    return ENDPOINT.serve(request, "quoteGeneration")


@https_fn.on_request()
def getGenerationRequest(request: Request) -> Response:
    """GET: the state of one generation request."""
    return ENDPOINT.serve(request, "getGenerationRequest")


@https_fn.on_request()
def listGenerationRequests(request: Request) -> Response:
    """GET: a user's generation requests."""
    return ENDPOINT.serve(request, "listGenerationRequests")


@https_fn.on_request()
def getUserCredits(request: Request) -> Response:
    """GET: a user's balance and history."""
    return ENDPOINT.serve(request, "getUserCredits")


@https_fn.on_request()
def findUser(request: Request) -> Response:
    """GET, admins: the user with an e-mail address."""
    return ENDPOINT.serve(request, "findUser")


@https_fn.on_request()
def grantCredits(request: Request) -> Response:
    """POST, admins: adds credits to a user's balance."""
    return ENDPOINT.serve(request, "grantCredits")


@https_fn.on_request()
def revokeCredits(request: Request) -> Response:
    """POST, admins: takes credits back from a user's balance."""
    return ENDPOINT.serve(request, "revokeCredits")


@https_fn.on_request(timeout_sec=REPORT_TIMEOUT_SECONDS, secrets=config.REPORT_SECRETS)
def getWeeklyReport(request: Request) -> Response:
    """GET, admins: a stored report. POST: makes one now."""
    return ENDPOINT.serve(request, "getWeeklyReport")


@https_fn.on_request()
def listWeeklyReports(request: Request) -> Response:
    """GET, admins: the stored reports in short, newest first."""
    return ENDPOINT.serve(request, "listWeeklyReports")


@https_fn.on_request()
def listWebhookDeliveries(request: Request) -> Response:
    """GET, admins: the webhook deliveries of the last 30 days, newest first."""
    return ENDPOINT.serve(request, "listWebhookDeliveries")


@https_fn.on_request()
def resendWebhookDelivery(request: Request) -> Response:
    """POST, admins: sends a webhook delivery again."""
    return ENDPOINT.serve(request, "resendWebhookDelivery")


@https_fn.on_request()
def getCatalog(request: Request) -> Response:
    """GET, everybody: what is on offer, with prices."""
    return ENDPOINT.serve(request, "getCatalog")


# Drawing keeps the processor busy: with more pictures at once, each just takes longer.
@https_fn.on_request(concurrency=2)
def simulatedImage(request: Request) -> Response:
    """GET, everybody who has its URL: the picture of a completed request of a simulated model."""
    return ENDPOINT.serve(request, "simulatedImage")


@https_fn.on_request()
def openapi(request: Request) -> Response:
    """GET, everybody: the OpenAPI document of this API."""
    return ENDPOINT.serve(request, "openapi")


# A claim lasts as long as this function may run, so a second worker starts only when the first has ended. Five attempts
# are enough: after that the sweep enqueues the request again.
@tasks_fn.on_task_dispatched(
    timeout_sec=SETTINGS.worker_timeout_seconds,
    retry_config=options.RetryConfig(max_attempts=5, min_backoff_seconds=2, max_backoff_seconds=60, max_doublings=4),
    rate_limits=options.RateLimits(max_concurrent_dispatches=config.MAX_WORKERS, max_dispatches_per_second=50),
    secrets=MODEL_SECRETS,
)
def generateImage(request: https_fn.CallableRequest[Any]) -> None:
    """Task queue: makes the image of an asynchronous purchase."""
    ENDPOINT.run_task(request, REQUEST_ID, handlers.generate_image)


# At 00:20: with the default lease (10 minutes) and a sweep every minute, every request of the week has ended. If one
# has not, the next run counts its end. reporting/window.py must have the same weekday.
@scheduler_fn.on_schedule(
    schedule="20 0 * * 1",
    timezone=UTC_ZONE,
    timeout_sec=REPORT_TIMEOUT_SECONDS,
    max_instances=1,
    min_instances=0,
    retry_count=5,
    min_backoff_seconds=30,
    max_backoff_seconds=3600,
    secrets=config.REPORT_SECRETS,
)
def scheduleWeeklyReport(event: scheduler_fn.ScheduledEvent) -> None:
    """Every Monday: reports on the week that ended at 00:00 UTC. An exception makes Cloud Scheduler try again."""
    ENDPOINT.run_scheduled(flask.request, partial(handlers.make_scheduled_report, event.schedule_time))


# One instance; sweeps that overlap are safe.
@scheduler_fn.on_schedule(
    schedule="* * * * *", timezone=UTC_ZONE, timeout_sec=240, max_instances=1, min_instances=0, retry_count=1
)
def releaseExpiredReservations(event: scheduler_fn.ScheduledEvent) -> None:
    """Every minute: refunds what is pending past its lease, and asks again for workers and webhooks that are due."""
    ENDPOINT.run_scheduled(flask.request, handlers.release_expired_reservations)


# Pauses of 10 s, 20 s, 40 s … up to an hour. The delivery itself ends after three days, about 80 attempts, before the
# queue gives up. A receiver that is slow for everything holds at most as many calls as are let through at a time.
@tasks_fn.on_task_dispatched(
    retry_config=options.RetryConfig(
        max_attempts=100, min_backoff_seconds=10, max_backoff_seconds=3600, max_doublings=9
    ),
    rate_limits=options.RateLimits(max_concurrent_dispatches=16, max_dispatches_per_second=50),
    timeout_sec=services.SENDER_TIMEOUT_SECONDS,
    min_instances=0,
    secrets=config.webhook_secrets(SETTINGS),
)
def deliverWebhook(request: https_fn.CallableRequest[Any]) -> None:
    """Task queue: one attempt at a webhook. An exception makes Cloud Tasks try again."""
    ENDPOINT.run_task(request, DELIVERY_ID, webhook_handlers.deliver_webhook)
