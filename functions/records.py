"""Where documents are, and stored documents -> checked values; anybody with the console can store anything.

Each reader raises BrokenDocument, which names the document, where a field is not what it must be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import database
from consistency import COMPLETED, FAILED, PENDING
from database import Document
from errors import BrokenDocument, UserNotFound

MAX_USER_ID_LENGTH = 128


@dataclass(frozen=True, slots=True)
class Entry:
    """One ledger entry; a grant has a reason instead of a request. `balance_after` is None where nobody stored one."""

    id: str
    type: str
    credits: int
    balance_after: int | None
    generation_request_id: str | None
    reason: str | None
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation request as its owner may see it."""

    id: str
    user_id: str
    model: str
    style: str
    color: str
    size: str
    prompt: str | None
    cost_credits: int
    status: str
    image_url: str | None
    failure: str | None
    created_at: datetime
    updated_at: datetime


def is_user_id(value: Any) -> bool:
    """Whether a value has the form of a user's id."""
    return isinstance(value, str) and database.is_plain_id(value, MAX_USER_ID_LENGTH)


def user_path(user_id: str) -> str:
    return f"{database.USERS}/{user_id}"


def entries_path(user_id: str) -> str:
    return f"{user_path(user_id)}/{database.TRANSACTIONS}"


def entry_path(user_id: str, entry_id: str) -> str:
    return f"{entries_path(user_id)}/{entry_id}"


def request_path(request_id: str) -> str:
    return f"{database.GENERATION_REQUESTS}/{request_id}"


def in_flight_path(user_id: str) -> str:
    return f"{database.IN_FLIGHT}/{user_id}"


def grant_path(grant_id: str) -> str:
    return f"{database.GRANTS}/{grant_id}"


def balance(user: Document) -> int:
    if user.data is None:
        raise UserNotFound()
    credits = user.data.get("credits")
    # Not isinstance: a bool is an int to Python.
    if type(credits) is not int or credits < 0:
        raise BrokenDocument(user.path, "credits must be an integer of at least 0")
    return credits


def cost(request: Document) -> int:
    cost = existing(request).get("cost")
    if type(cost) is not int or cost <= 0:
        raise BrokenDocument(request.path, "cost must be an integer above 0")
    return cost


def status(request: Document) -> str:
    status = existing(request).get("status")
    if status not in (PENDING, COMPLETED, FAILED):
        raise BrokenDocument(request.path, "status must be pending, completed or failed")
    return str(status)


def image_url(request: Document) -> str:
    image_url = existing(request).get("imageUrl")
    if not isinstance(image_url, str) or not image_url:
        raise BrokenDocument(request.path, "imageUrl must be a URL")
    return image_url


def must_not_exist(entry: Document) -> None:
    if entry.data is not None:
        raise BrokenDocument(entry.path, "exists although its request is not in that state")


def user_id(request: Document) -> str:
    user_id = existing(request).get("userId")
    if not is_user_id(user_id):
        raise BrokenDocument(request.path, "userId must be a user's id")
    return str(user_id)


def existing(document: Document) -> Mapping[str, Any]:
    if document.data is None:
        raise BrokenDocument(document.path, "the document is gone")
    return document.data


def leases(in_flight: Document) -> Mapping[str, Any]:
    """A user's reservations in flight: when each one's lease ends, by request id."""
    found = in_flight.fields.get("leases")
    return found if isinstance(found, Mapping) else {}


def entry(document: Document) -> Entry:
    data: Any = existing(document)
    balance_after = data.get("balanceAfter")
    entry = Entry(
        id=document.id,
        type=data.get("type"),
        credits=data.get("credits"),
        balance_after=balance_after if type(balance_after) is int else None,
        generation_request_id=data.get("generationRequestId"),
        reason=_text(data.get("reason")),
        timestamp=data.get("timestamp"),
    )
    well_formed = (
        isinstance(entry.type, str)
        and type(entry.credits) is int
        and isinstance(entry.generation_request_id, str | None)
        and isinstance(entry.timestamp, datetime)
    )
    if not well_formed:
        raise BrokenDocument(document.path, "type, credits, generationRequestId or timestamp is of the wrong type")
    return entry


def generation(document: Document) -> Generation:
    data = existing(document)
    ended = status(document)
    chosen = {name: _text(data.get(name)) for name in ("model", "style", "color", "size")}
    created_at, updated_at = data.get("createdAt"), data.get("updatedAt")
    if None in chosen.values() or not isinstance(created_at, datetime) or not isinstance(updated_at, datetime):
        raise BrokenDocument(document.path, "model, style, color, size, createdAt or updatedAt is of the wrong type")
    return Generation(
        id=document.id,
        user_id=user_id(document),
        **{name: str(value) for name, value in chosen.items()},
        prompt=_text(data.get("prompt")),
        cost_credits=cost(document),
        status=ended,
        image_url=image_url(document) if ended == COMPLETED else None,
        failure=_text(data.get("failure")) if ended == FAILED else None,
        created_at=created_at,
        updated_at=updated_at,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
