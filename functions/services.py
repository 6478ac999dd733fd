"""Settings -> what the handlers work with, built once. main.py, the tests and the benchmarks all build from here."""

import random
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import store
from ai_simulator import SimulatedModel
from config import MAX_THREADS, Settings
from credits.claims import Claims
from credits.documents import GENERATION_REQUESTS, WORKER_DUE_AT
from credits.grants import Grants
from credits.history import History
from credits.ledger import Ledger
from credits.revocations import Revocations
from events import Outbox
from fulfillment import REQUEST_ID, Fulfillment
from handlers import Services
from identity import Firebase
from images.catalog import CatalogCache
from images.keeping import FileStore, Pictures
from images.model import ImageModel
from store import RetryPolicy, Store
from task_queue import CloudTasks, NoQueue, TaskQueue
from task_sweep import TaskSweep
from webhooks import Deliveries, Receiver
from webhooks.documents import EVENTS, REPORTS

if TYPE_CHECKING:
    # A purchase does not pay for loading it.
    from reporting import Reporting

# The most that one step may wait for Firestore or Firebase Authentication, so that a slow one leaves time to answer.
STEP_SHARE = 0.25
# Share of the time-out that is kept for completing or refunding after the model.
SETTLING_SHARE = 0.15
# The function that makes the images of asynchronous purchases.
WORKER = "generateImage"
# How long a worker's task may take to come before a sweep asks for another.
UNCLAIMED_AFTER = timedelta(seconds=30)
# The function that sends webhooks, and how long one attempt may run: two steps with Firestore, and the receiver's time.
SENDER, SENDER_TIMEOUT_SECONDS = "deliverWebhook", 60
# Each day of requests is one stream of at most two minutes; a report has nine.
REPORT_STREAM_SECONDS = 120


def new_id() -> str:
    """A unique id that nobody can guess."""
    return uuid.uuid4().hex


def build(
    settings: Settings,
    *,
    connect: Callable[[], store.Connection] | None = None,
    policy: RetryPolicy | None = None,
    models: Mapping[str, ImageModel] | None = None,
    files: FileStore | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    ledger_type: type[Ledger] = Ledger,
    queue: Callable[[str], TaskQueue] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Services:
    """The services of these settings; connects to nothing yet.

    Args:
        settings: the checked settings.
        connect: makes the connection to Firestore, the settings' own unless given.
        policy: how long a step tries and pauses.
        models: the image models by name, those of the settings unless given.
        files: where the files of models are kept, the settings' bucket unless given.
        monotonic: gives seconds; `sleep` lets some pass.
        ledger_type: for tests that break it on purpose.
        queue: gives the task queue of a function, the settings' own unless given.
    """
    connect = connect or partial(store.connect, settings.project, database=settings.database)
    firestore = Store(connect, policy or RetryPolicy(max_seconds=settings.timeout_seconds * STEP_SHARE))
    models = models or _models(settings)
    files = files or _files(settings)
    queue = queue or partial(_queue, settings)
    deliveries = Deliveries(firestore, queue(SENDER), _receivers(settings))
    outbox, lease, limit = deliveries.outbox(EVENTS), settings.lease_seconds, settings.max_pending_per_user
    ledger = ledger_type(firestore, new_id, lease, limit, files is not None, outbox)
    return Services(
        catalog=CatalogCache(firestore, [*models], settings.catalog_ttl_seconds, monotonic),
        ledger=ledger,
        grants=Grants(firestore, new_id, outbox),
        revocations=Revocations(firestore, new_id),
        history=History(firestore, sleep),
        firebase=Firebase.of(settings.project, settings.timeout_seconds * STEP_SHARE, MAX_THREADS),
        fulfillment=_fulfillment(settings, firestore, ledger, models, files, queue(WORKER), monotonic),
        new_id=new_id,
        signup_credits=settings.signup_credits,
        reporting=lru_cache(partial(_reporting, connect, firestore, deliveries.outbox(REPORTS))),
        deliveries=deliveries,
    )


def _fulfillment(
    settings: Settings,
    firestore: Store,
    ledger: Ledger,
    models: Mapping[str, ImageModel],
    files: FileStore | None,
    queue: TaskQueue,
    monotonic: Callable[[], float],
) -> Fulfillment:
    claims, pictures = Claims(firestore, new_id, settings.worker_timeout_seconds), Pictures(firestore, files)
    # A task that was asked for again has as long to come as a worker may run.
    pause = timedelta(seconds=settings.worker_timeout_seconds)
    lost = TaskSweep(firestore, queue, GENERATION_REQUESTS, WORKER_DUE_AT, REQUEST_ID, UNCLAIMED_AFTER, pause)
    settling_seconds = settings.timeout_seconds * SETTLING_SHARE
    return Fulfillment(ledger, claims, models, pictures, queue, lost, settling_seconds, monotonic)


def _queue(settings: Settings, function: str) -> TaskQueue:
    if not settings.has_tasks:
        return NoQueue()
    dispatch_seconds = SENDER_TIMEOUT_SECONDS if function == SENDER else settings.worker_timeout_seconds
    return CloudTasks(settings.project, settings.region, function, dispatch_seconds)


def _receivers(settings: Settings) -> Mapping[str, Receiver]:
    urls = {EVENTS: settings.completion_webhook_url, REPORTS: settings.report_webhook_url}
    return {target: Receiver(url, settings.webhook_secret) for target, url in urls.items()}


def _models(settings: Settings) -> Mapping[str, ImageModel]:
    # The system's randomness: a worker that was forked from another would repeat its sequence.
    uniform = random.SystemRandom().random
    return {name: _model(name, choice, settings, uniform) for name, choice in settings.models.items()}


def _model(name: str, choice: str, settings: Settings, uniform: Callable[[], float]) -> ImageModel:
    """What runs one of the models that are on offer: docs/models.md. Real ones are loaded only if they are chosen."""
    provider, _, model = choice.partition(":")
    if provider == "gemini":
        from images.gemini import GeminiModel  # noqa: PLC0415

        return GeminiModel(model, settings.project or "")
    if provider == "openai":
        from images.openai import OpenAiModel  # noqa: PLC0415

        return OpenAiModel(model, settings.openai_api_key)
    return SimulatedModel(name, settings.api_base_url, settings.ai_failure_rate, uniform)


def _files(settings: Settings) -> FileStore | None:
    if not settings.bucket:
        return None
    # Who only simulates does not pay for loading Google's client.
    from images.storage import PictureStore, StoredAt  # noqa: PLC0415

    return PictureStore(StoredAt(settings.project, settings.bucket, settings.storage_emulator_url), new_id)


def _reporting(connect: Callable[[], store.Connection], firestore: Store, outbox: Outbox) -> "Reporting":
    from reporting import Reporting, Reports  # noqa: PLC0415 - only the functions of reports need it

    streams = Store(connect, RetryPolicy(max_seconds=REPORT_STREAM_SECONDS * 5 / 4, rpc_share=4 / 5))
    return Reporting(Reports(firestore, streams), outbox, firestore.now)
