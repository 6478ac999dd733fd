"""The stored documents: their paths, their fields, and readers that check them.

Anybody with the console can store anything, so each reader raises BrokenDocument, which names the document, if a field
has a wrong value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeGuard

from errors import BrokenDocument, UserNotFound
from store import Document, is_plain_id

USERS = "users"
TRANSACTIONS = "transactions"
GENERATION_REQUESTS = "generationRequests"
IN_FLIGHT = "inFlight"
GRANTS = "grants"
REVOCATIONS = "revocations"

PENDING, COMPLETED, FAILED, CANCELED = "pending", "completed", "failed", "canceled"
STATUSES = (PENDING, COMPLETED, FAILED, CANCELED)
DEDUCTION, REFUND, GRANT, REVOCATION = "deduction", "refund", "grant", "revocation"
# Whether an entry of each type adds to the balance or takes from it.
SIGNS = {DEDUCTION: -1, REFUND: 1, GRANT: 1, REVOCATION: -1}
# Why a request failed: there is no picture, or nowhere to keep it ...
REFUSED_CONTENT, PROVIDER_BUSY, TIMED_OUT = "REFUSED_CONTENT", "PROVIDER_BUSY", "TIMED_OUT"
PROVIDER_FAILED, STORAGE_FAILED = "PROVIDER_FAILED", "STORAGE_FAILED"
# ... or the ledger ended it. GENERATION_FAILED stands for all of a model's failures in older requests.
LEASE_EXPIRED, ACCOUNT_DELETED, GENERATION_FAILED = "LEASE_EXPIRED", "ACCOUNT_DELETED", "GENERATION_FAILED"
# On an asynchronous request: since when it waits for a worker.
WORKER_DUE_AT = "workerDueAt"
# On an ended request that may have left a picture which was not sold in the bucket.
PICTURE_TO_DELETE = "pictureToDelete"

MAX_USER_ID_LENGTH = 128
# No image costs more. A document with a higher cost is broken, so it cannot distort a sum.
MAX_COST_CREDITS = 1_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One ledger entry. A grant or a revocation has a reason instead of a request.

    `balance_after` is None if none is stored.
    """

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

    generation_request_id: str
    user_id: str
    model: str
    style: str
    color: str
    size: str
    prompt: str | None
    cost: int
    status: str
    image_url: str | None
    failure: str | None
    created_at: datetime
    updated_at: datetime


def is_user_id(value: Any) -> bool:
    """Whether a value has the form of a user id: one plain document id of at most 128 characters."""
    return isinstance(value, str) and is_plain_id(value, MAX_USER_ID_LENGTH)


def user_path(user_id: str) -> str:
    """The document that holds a user's balance."""
    return f"{USERS}/{user_id}"


def entries_path(user_id: str) -> str:
    """The collection that holds a user's ledger."""
    return f"{user_path(user_id)}/{TRANSACTIONS}"


def entry_path(user_id: str, entry_id: str) -> str:
    """One ledger entry."""
    return f"{entries_path(user_id)}/{entry_id}"


def request_path(request_id: str) -> str:
    """One generation request."""
    return f"{GENERATION_REQUESTS}/{request_id}"


def in_flight_path(user_id: str) -> str:
    """The document that counts a user's pending requests."""
    return f"{IN_FLIGHT}/{user_id}"


def grant_path(grant_id: str) -> str:
    """One grant."""
    return f"{GRANTS}/{grant_id}"


def revocation_path(revocation_id: str) -> str:
    """One revocation."""
    return f"{REVOCATIONS}/{revocation_id}"


def entry_id_of(source_id: str, entry_type: str) -> str:
    """The id of a request's, grant's or revocation's entry of this type: derived, so no entry is written twice."""
    return f"{source_id}-{entry_type}"


def existing(document: Document) -> Mapping[str, Any]:
    """The fields of a document that must exist."""
    if document.data is None:
        raise BrokenDocument(document.path, "the document is gone")
    return document.data


def must_not_exist(entry: Document) -> None:
    """Raises BrokenDocument if this entry exists although its request says that it must not."""
    if entry.data is not None:
        raise BrokenDocument(entry.path, "exists although its request is not in that state")


def balance(user: Document) -> int:
    """The balance in credits, at least 0.

    Raises:
        UserNotFound: the user does not exist.
        BrokenDocument: the balance is not an integer of at least 0.
    """
    if user.data is None:
        raise UserNotFound()
    return count(user, "credits", minimum=0)


def balance_after(entry: Document) -> int:
    """The balance in credits right after an entry, a grant or a revocation."""
    return count(entry, "balanceAfter", minimum=0)


def count(document: Document, field: str, minimum: int) -> int:
    """A field that must be an integer of at least `minimum`."""
    value = existing(document).get(field)
    if not is_count(value, minimum):
        raise BrokenDocument(document.path, f"{field} must be an integer of at least {minimum}")
    return value


def cost(request: Document) -> int:
    """What a request cost, in credits above 0."""
    return count(request, "cost", minimum=1)


def status(request: Document) -> str:
    """One of STATUSES."""
    status = existing(request).get("status")
    if status not in STATUSES:
        raise BrokenDocument(request.path, f"status must be one of {', '.join(STATUSES)}")
    return str(status)


def image_url(request: Document) -> str:
    """The image of a completed request."""
    image_url = existing(request).get("imageUrl")
    if not isinstance(image_url, str) or not image_url:
        raise BrokenDocument(request.path, "imageUrl must be a URL")
    return image_url


def failure(request: Document) -> str:
    """Why a failed request failed; GENERATION_FAILED if no reason is stored."""
    return _text(existing(request).get("failure")) or GENERATION_FAILED


def user_id(request: Document) -> str:
    """The id of the request's user."""
    user_id = existing(request).get("userId")
    if not is_user_id(user_id):
        raise BrokenDocument(request.path, "userId must be a user id")
    return str(user_id)


def attempt_id(request: Document) -> str:
    """The id of the attempt that reserved the credits; nobody can guess it."""
    attempt_id = existing(request).get("attemptId")
    if not isinstance(attempt_id, str) or not attempt_id:
        raise BrokenDocument(request.path, "attemptId must be a text")
    return attempt_id


def claims(request: Document) -> list[str]:
    """The ids of the workers that claimed an asynchronous request, the last one last."""
    claims = existing(request).get("claims", [])
    if not isinstance(claims, list) or not all(isinstance(each, str) and each for each in claims):
        raise BrokenDocument(request.path, "claims must be a list of texts")
    return claims


def lost_claims(request: Document) -> list[str]:
    """The claims that another one has replaced: each may have left a picture that is not sold."""
    return claims(request)[:-1]


def run_id(request: Document) -> str:
    """The id of the run that may end the request: the last claim, or else the attempt that reserved the credits."""
    claimed = claims(request)
    return claimed[-1] if claimed else attempt_id(request)


def lease_expires_at(request: Document) -> datetime:
    """When a pending request may be refunded."""
    lease = existing(request).get("leaseExpiresAt")
    if not isinstance(lease, datetime):
        raise BrokenDocument(request.path, "leaseExpiresAt must be a time")
    return lease


def has_come(document: Document, field: str) -> bool:
    """Whether a stored time had come when the document was read; never if it is not a time."""
    moment = document.fields.get(field)
    return isinstance(moment, datetime) and moment <= document.read_at


def leases(in_flight: Document) -> Mapping[str, Any]:
    """When the lease of each pending request ends, by request id. Not checked: it is a limit, not money."""
    found = in_flight.fields.get("leases")
    return found if isinstance(found, Mapping) else {}


def entry(document: Document) -> Entry:
    """A ledger entry."""
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
    is_well_formed = (
        isinstance(entry.type, str)
        and entry.type in SIGNS
        and is_count(entry.credits, minimum=1)
        and isinstance(entry.generation_request_id, str | None)
        and isinstance(entry.timestamp, datetime)
    )
    if not is_well_formed:
        raise BrokenDocument(document.path, "type, credits, generationRequestId or timestamp is wrong")
    return entry


def generation(document: Document) -> Generation:
    """A generation request."""
    data = existing(document)
    ended = status(document)
    chosen = {name: _text(data.get(name)) for name in ("model", "style", "color", "size")}
    created_at, updated_at = data.get("createdAt"), data.get("updatedAt")
    if None in chosen.values() or not isinstance(created_at, datetime) or not isinstance(updated_at, datetime):
        raise BrokenDocument(document.path, "model, style, color, size, createdAt or updatedAt is of the wrong type")
    return Generation(
        generation_request_id=document.id,
        user_id=user_id(document),
        **{name: str(value) for name, value in chosen.items()},
        prompt=_text(data.get("prompt")),
        cost=cost(document),
        status=ended,
        image_url=image_url(document) if ended == COMPLETED else None,
        failure=failure(document) if ended == FAILED else None,
        created_at=created_at,
        updated_at=updated_at,
    )


def is_count(value: Any, minimum: int) -> TypeGuard[int]:
    """Whether a value is an integer of at least the minimum; a bool, which is an int to Python, is not."""
    return type(value) is int and value >= minimum


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
