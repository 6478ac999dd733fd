"""The stored form of a delivery: its fields, and a reader that checks them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from errors import BrokenDocument
from store import Document

DELIVERIES = "webhookDeliveries"
PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
STATUSES = (PENDING, DELIVERED, FAILED)
# Who is told: the operator's own endpoint, or the one that takes a report's critical findings.
EVENTS, REPORTS = "events", "reports"
TARGETS = (EVENTS, REPORTS)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one target. `queued_at` is when it was made, or last asked for again."""

    id: str
    type: str
    target: str
    data: dict[str, Any]
    status: str
    attempts: int
    created_at: datetime
    queued_at: datetime
    last_attempt_at: datetime | None
    last_answer: str | None


def delivery_path(delivery_id: str) -> str:
    """One delivery; its id is the event's."""
    return f"{DELIVERIES}/{delivery_id}"


def delivery(document: Document) -> Delivery:
    """A delivery.

    Raises:
        BrokenDocument: a field has a wrong value, as somebody with the console can store it.
    """
    data: Any = document.fields
    found = Delivery(
        id=document.id,
        type=data.get("type"),
        target=data.get("target"),
        data=data.get("data"),
        status=data.get("status"),
        attempts=data.get("attempts"),
        created_at=data.get("createdAt"),
        queued_at=data.get("queuedAt"),
        last_attempt_at=data.get("lastAttemptAt"),
        last_answer=data.get("lastAnswer"),
    )
    is_well_formed = {
        "type": isinstance(found.type, str),
        "target": found.target in TARGETS,
        "data": isinstance(found.data, dict) and _is_json(found.data),
        "status": found.status in STATUSES,
        "attempts": type(found.attempts) is int and found.attempts >= 0,
        "createdAt": isinstance(found.created_at, datetime),
        # The server's time, so it has come.
        "queuedAt": isinstance(found.queued_at, datetime) and found.queued_at <= document.read_at,
        "lastAttemptAt": isinstance(found.last_attempt_at, datetime | None),
        "lastAnswer": isinstance(found.last_answer, str | None),
    }
    wrong = [name for name, is_right in is_well_formed.items() if not is_right]
    if wrong:
        raise BrokenDocument(document.path, f"{', '.join(wrong)}: of the wrong type or value")
    return found


def _is_json(value: Any) -> bool:
    """Whether JSON can hold a value of Firestore."""
    if isinstance(value, Mapping):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
