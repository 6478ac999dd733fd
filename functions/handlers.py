"""The use cases, each one readable paragraph; no HTTP and no Firestore verbs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import validation
from ai_simulator import ImageModel, ImageOrder, ModelFailed, generate_image
from catalog import CatalogCache
from errors import GenerationFailed, InvalidRequest, ReportNotFound, Unavailable
from ledger import Entry, GenerationRequest, Ledger, Reservation, Settled
from reports import Report, Reports, Window

REPLAYED: Mapping[str, str] = {"Idempotent-Replayed": "true"}


@dataclass(frozen=True, slots=True)
class Call:
    """What a client sent, as far as it could be parsed."""

    body: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A 200 answer."""

    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """A 200 answer for people: HTML."""

    html: str


@dataclass(frozen=True, slots=True)
class Services:
    """What the use cases work with. After `answer_within_seconds` nobody waits for an answer any more."""

    catalog: CatalogCache
    ledger: Ledger
    models: Mapping[str, ImageModel]
    new_id: Callable[[], str]
    monotonic: Callable[[], float]
    answer_within_seconds: float


@dataclass(frozen=True, slots=True)
class Reporting:
    """What the reports' use cases work with; `announce` tells people what is critical."""

    reports: Reports
    announce: Callable[[Report], None]
    clock: Callable[[], datetime]


def create_generation_request(call: Call, services: Services) -> Reply:
    """Reserves the credits, runs the model, and gives the image's URL or the credits back.

    Raises:
        ApiError: any answer of the contract other than 200.
    """
    key = validation.idempotency_key(call.idempotency_key) or services.new_id()
    answer_by_seconds = services.monotonic() + services.answer_within_seconds
    try:
        request = validation.generation_request(call.body, services.catalog.current(), list(services.models))
    except InvalidRequest as error:
        return _replay_of_withdrawn(call, services, error)
    try:
        reservation = services.ledger.reserve(request, key)
        if isinstance(reservation, Settled):
            return _replay(reservation)
        image_url = _generated_or_refunded(request, reservation, answer_by_seconds, services)
        services.ledger.complete(reservation, image_url)
    except Unavailable as error:
        # With the key, also one that we chose, the client can learn what became of its purchase.
        error.details["idempotencyKey"] = key
        raise
    return _generated(reservation.request_id, reservation.cost_credits, image_url)


def get_user_credits(call: Call, services: Services) -> Reply:
    """Gives a user's balance and a page of the history, newest first.

    Raises:
        ApiError: any answer of the contract other than 200.
    """
    user_id = validation.user_id_parameter(call.query.get("userId"))
    page_size = validation.page_size_parameter(call.query.get("pageSize"))
    after_entry_id = validation.page_token_parameter(call.query.get("pageToken"))
    statement = services.ledger.statement(user_id, page_size, after_entry_id)
    body: dict[str, Any] = {
        "currentCredits": statement.credits,
        "transactions": [_transaction(entry) for entry in statement.entries],
    }
    if statement.last_entry_id is not None:
        body["nextPageToken"] = validation.page_token(statement.last_entry_id)
    return Reply(body)


def release_expired_reservations(services: Services) -> None:
    """Refunds what is pending past its lease.

    Raises:
        Unavailable: Firestore did not answer, so that the scheduler tries again.
    """
    services.ledger.release_expired()


def make_scheduled_report(schedule_time: datetime, reporting: Reporting) -> None:
    """Makes the report of the week that ended on the schedule's day, and announces what is critical in it.

    Raises:
        Unavailable: Firestore did not answer, so that the scheduler tries again.
    """
    reporting.announce(reporting.reports.make(Window.of_schedule(schedule_time), reporting.clock()))


def make_weekly_report(call: Call, reporting: Reporting) -> Reply | Page:
    """Makes a report of the seven days that end now.

    Raises:
        ApiError: any answer of the contract other than 200.
    """
    as_page = validation.format_parameter(call.query.get("format"))
    now = reporting.clock()
    report = reporting.reports.make(Window.ending_now(now), now)
    reporting.announce(report)
    return _shown(report.id, report.fields, as_page, reporting)


def read_weekly_report(call: Call, reporting: Reporting) -> Reply | Page:
    """Gives a stored report, the latest by default.

    Raises:
        ApiError: any answer of the contract other than 200.
    """
    as_page = validation.format_parameter(call.query.get("format"))
    document = reporting.reports.read(validation.report_id_parameter(call.query.get("reportId")), reporting.clock())
    if document is None or document.data is None:
        raise ReportNotFound()
    return _shown(document.id, document.data, as_page, reporting)


def _shown(report_id: str, fields: Mapping[str, Any], as_page: bool, reporting: Reporting) -> Reply | Page:
    if not as_page:
        return Reply({"reportId": report_id, **_json(fields)})
    # Jinja costs a cold start that only this page should pay.
    from report_page import render  # noqa: PLC0415

    weeks = reporting.reports.weeks_before(report_id, fields)
    return Page(render(report_id, fields, weeks[0] if weeks else None, [*reversed(weeks), fields]))


def _json(value: Any) -> Any:
    """A stored value as JSON has it: times in ISO 8601."""
    if isinstance(value, Mapping):
        return {name: _json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, datetime):
        return _iso(value)
    # What JSON cannot say, and only somebody's hand can have stored.
    is_plain = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    return value if is_plain else str(value)


def _generated_or_refunded(
    request: GenerationRequest, reservation: Reservation, answer_by_seconds: float, services: Services
) -> str:
    try:
        image_url = generate_image(services.models[request.model], _order(reservation.request_id, request))
        if services.monotonic() > answer_by_seconds:
            raise ModelFailed("The model took so long that the client is gone.")
    except ModelFailed as error:
        services.ledger.refund(reservation)
        raise GenerationFailed(reservation.cost_credits, reservation.request_id) from error
    return image_url


def _replay_of_withdrawn(call: Call, services: Services, error: InvalidRequest) -> Reply:
    """The stored answer of a purchase whose option has left the catalog since.

    Raises:
        InvalidRequest: there is no such purchase.
    """
    request = validation.unpriced_request(call.body)
    if call.idempotency_key is not None and request is not None:
        settled = services.ledger.settled(request, call.idempotency_key)
        if settled is not None:
            return _replay(settled)
    raise error


def _replay(settled: Settled) -> Reply:
    if settled.image_url is None:
        raise GenerationFailed(settled.cost_credits, settled.request_id, headers=REPLAYED)
    return _generated(settled.request_id, settled.cost_credits, settled.image_url, REPLAYED)


def _generated(request_id: str, cost_credits: int, image_url: str, headers: Mapping[str, str] | None = None) -> Reply:
    body = {"generationRequestId": request_id, "deductedCredits": cost_credits, "imageUrl": image_url}
    return Reply(body, headers or {})


def _order(request_id: str, request: GenerationRequest) -> ImageOrder:
    return ImageOrder(request_id, request.style, request.color, request.size, request.prompt)


def _transaction(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "type": entry.type,
        "credits": entry.credits,
        "generationRequestId": entry.generation_request_id,
        "timestamp": _iso(entry.timestamp),
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
