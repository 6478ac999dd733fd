"""The use cases, each one readable paragraph; no HTTP and no Firestore verbs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import validation
from ai_simulator import ImageModel, ImageOrder, ModelFailed, generate_image
from catalog import CatalogCache
from errors import GenerationFailed
from ledger import Entry, GenerationRequest, Ledger, Settled

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
    """What the use cases work with."""

    catalog: CatalogCache
    ledger: Ledger
    models: Mapping[str, ImageModel]


def create_generation_request(call: Call, services: Services) -> Reply:
    """Reserves the credits, runs the model, and gives the image's URL or the credits back.

    Raises:
        ApiError: any answer of the contract other than 200.
    """
    key = validation.idempotency_key(call.idempotency_key)
    request = validation.generation_request(call.body, services.catalog.current(), list(services.models))
    reservation = services.ledger.reserve(request, key)
    if isinstance(reservation, Settled):
        return _replay(reservation)
    try:
        image_url = generate_image(services.models[request.model], _order(reservation.request_id, request))
    except ModelFailed as error:
        services.ledger.refund(reservation)
        raise GenerationFailed(reservation.cost_credits, reservation.request_id) from error
    services.ledger.complete(reservation, image_url)
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
