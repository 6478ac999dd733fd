"""The use cases, each one readable paragraph; no HTTP and no Firestore verbs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import validation
from ai_simulator import ImageModel, ImageOrder, ModelFailed, generate_image
from catalog import CatalogCache
from errors import GenerationFailed, InvalidRequest, Unavailable
from ledger import Entry, GenerationRequest, Ledger, Reservation, Settled

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
class Services:
    """What the use cases work with. After `answer_within_seconds` nobody waits for an answer any more."""

    catalog: CatalogCache
    ledger: Ledger
    models: Mapping[str, ImageModel]
    new_id: Callable[[], str]
    monotonic: Callable[[], float]
    answer_within_seconds: float


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
