"""The only writer of balances: reserve, complete, refund, release, statement.

Every change of a balance is one atomic commit that also writes its ledger entry and the request's status. Entry ids
derive from the request's id and are written with create, so nothing can be paid twice. A request starts pending, under
a lease, and ends exactly once: completed or failed. Whoever commits that first wins; the other learns it.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from firebase_functions import logger

import consistency
import database
from consistency import COMPLETED, DEDUCTION, FAILED, PENDING, REFUND
from database import Answer, Commit, Document, Query, Write
from errors import (
    BrokenDocument,
    GenerationFailed,
    IdempotencyInFlight,
    IdempotencyMismatch,
    InsufficientCredits,
    Internal,
    InvalidRequest,
    UserNotFound,
)

GENERATION_FAILED, LEASE_EXPIRED = "GENERATION_FAILED", "LEASE_EXPIRED"

MAX_USER_ID_LENGTH = 128
# Firestore's integers have 64 bits.
MAX_CREDITS = 2**63 - 1
RELEASE_PAGE_SIZE = 100
RELEASE_THREADS = 4
AUDIT_PAGE_SIZE = 500
IN_FLIGHT_RETRY_SECONDS = 2


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A request whose every field is valid, with its price."""

    user_id: str
    model: str
    style: str
    color: str
    size: str
    prompt: str | None
    cost_credits: int

    def fingerprint(self) -> str:
        """SHA-256 in hex of what was asked for; the price is not part of it, since the catalog may change it."""
        asked = [self.user_id, self.model, self.style, self.color, self.size, self.prompt]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reservation:
    """Credits taken for a pending request; `document` is that request as this attempt wrote it."""

    request_id: str
    user_id: str
    cost_credits: int
    document: Document


@dataclass(frozen=True, slots=True)
class Settled:
    """How an earlier request with the same id ended: with an image, or with the credits back."""

    request_id: str
    cost_credits: int
    image_url: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One ledger entry; a grant has no request."""

    id: str
    type: str
    credits: int
    generation_request_id: str | None
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class Statement:
    """A balance and one page of its history, newest first; `last_entry_id` where there is more after it."""

    credits: int
    entries: Sequence[Entry]
    last_entry_id: str | None


@dataclass(frozen=True, slots=True)
class Release:
    """What one sweep did: reservations refunded, and those it could not refund."""

    refunded: int
    skipped: int


class Ledger:
    """Reserves, completes and refunds; `clock` gives aware UTC datetimes, `new_id` unguessable unique ids."""

    def __init__(
        self, db: database.Database, clock: Callable[[], datetime], new_id: Callable[[], str], lease_seconds: float
    ) -> None:
        self._db = db
        self._clock = clock
        self._new_id = new_id
        self._lease = timedelta(seconds=lease_seconds)

    def reserve(self, request: GenerationRequest, idempotency_key: str | None = None) -> Reservation | Settled:
        """Takes the credits and leaves the request pending, or tells how the key's first request ended.

        Without a key every call is a purchase of its own.

        Raises:
            InsufficientCredits, UserNotFound: nothing was taken.
            IdempotencyInFlight, IdempotencyMismatch: the key's first request is pending, or was another one.
            BrokenDocument: the balance is no integer of at least 0.
            Unavailable: no commit stood in time; one that was on its way is refunded when its lease expires.
        """
        request_id = _request_id(request.user_id, idempotency_key) if idempotency_key else self._new_id()
        attempt_id = self._new_id()
        entry_path = _entry_path(request.user_id, f"{request_id}-{DEDUCTION}")
        paths = [_user_path(request.user_id), _request_path(request_id), entry_path]

        def plan(documents: Mapping[str, Document]) -> Commit[Reservation | Settled] | Answer[Reservation | Settled]:
            user, existing, entry = (documents[path] for path in paths)
            if existing.data is not None:
                return Answer(_earlier(existing, existing.data, request, attempt_id))
            _must_not_exist(entry)
            return self._reservation(user, existing.path, request, attempt_id)

        outcome = self._db.run_transaction(paths, plan, turn=request.user_id)
        if isinstance(outcome, Reservation):
            _log("credits reserved", outcome.request_id, outcome.user_id, credits=outcome.cost_credits)
        return outcome

    def settled(self, request: GenerationRequest, idempotency_key: str) -> Settled | None:
        """How the key's first request ended, if it asked for the same; None where there was none.

        Raises:
            IdempotencyInFlight, IdempotencyMismatch: the key's first request is pending, or was another one.
            Unavailable: Firestore did not answer in time.
        """
        path = _request_path(_request_id(request.user_id, idempotency_key))
        existing = self._db.read([path])[path]
        if existing.data is None:
            return None
        earlier = _earlier(existing, existing.data, request, attempt_id="")
        assert isinstance(earlier, Settled), "no attempt has an empty id"
        return earlier

    def complete(self, reservation: Reservation, image_url: str) -> None:
        """Ends a reservation with its image, in one round trip where nobody interfered.

        Raises:
            GenerationFailed: the lease ran out first and the credits are back; the image must not be given.
            Unavailable: it is not known to stand; the lease decides.
        """
        path = reservation.document.path

        def plan(documents: Mapping[str, Document]) -> Commit[None] | Answer[None]:
            document = documents[path]
            status = _status(document)
            if status == FAILED:
                raise GenerationFailed(reservation.cost_credits, reservation.request_id)
            if status == COMPLETED:
                return Answer(None)
            fields = {"status": COMPLETED, "imageUrl": image_url, "updatedAt": self._clock()}
            return Commit([Write(path, fields, document.version)], lambda versions: None)

        self._db.run_transaction([path], plan, known={path: reservation.document})
        _log("generation completed", reservation.request_id, reservation.user_id, credits=reservation.cost_credits)

    def refund(self, reservation: Reservation) -> None:
        """Ends a reservation whose generation failed: the credits go back, once.

        Raises:
            BrokenDocument: the balance is no integer of at least 0, so nothing can be added to it.
            Unavailable: it is not known to stand; the lease decides.
        """
        self._refund(reservation.document.path, reservation.user_id, GENERATION_FAILED, due=lambda data: True)

    def release_expired(self) -> Release:
        """Refunds every reservation that is pending past its lease; safe beside itself and beside late finishers.

        Whatever keeps one from being refunded is logged, and the others go on.

        Raises:
            Unavailable: Firestore did not give the next page in time; what was refunded so far stands.
        """
        now = self._clock()
        expired = Query(
            database.GENERATION_REQUESTS,
            where=(("status", "==", PENDING), ("leaseExpiresAt", "<=", now)),
            order_by="leaseExpiresAt",
            limit=RELEASE_PAGE_SIZE,
        )
        outcomes: list[bool] = []
        with ThreadPoolExecutor(RELEASE_THREADS) as threads:
            # Each page starts behind the one before, so a reservation that cannot be refunded is not met again.
            for page in self._db.pages(expired):
                outcomes += threads.map(lambda document: self._release(document, now), page)
        release = Release(refunded=outcomes.count(True), skipped=outcomes.count(False))
        if outcomes:
            logger.info("expired reservations released", refunded=release.refunded, skipped=release.skipped)
        return release

    def statement(self, user_id: str, page_size: int, after_entry_id: str | None = None) -> Statement:
        """The balance and a page of the history, newest first, both as of one moment; two round trips.

        Raises:
            UserNotFound: there is no such user.
            InvalidRequest: there is no entry `after_entry_id`.
            BrokenDocument: the balance is no integer of at least 0.
        """
        entry_paths = [_entry_path(user_id, after_entry_id)] if after_entry_id else []
        documents = self._db.read([_user_path(user_id), *entry_paths])
        user, after = documents[_user_path(user_id)], [documents[path] for path in entry_paths]
        credits = _balance(user)
        if any(entry.data is None for entry in after):
            raise InvalidRequest.of_field("pageToken", "pageToken is not one that this endpoint gave.")
        history = Query(
            f"{user.path}/{database.TRANSACTIONS}",
            order_by="timestamp",
            descending=True,
            after=after[0] if after else None,
            limit=page_size + 1,
        )
        found = self._db.query(history, read_time=user.read_time)
        entries = [_entry(document) for document in found[:page_size]]
        return Statement(credits, entries, entries[-1].id if len(found) > page_size else None)

    def audit(self, user_id: str, grace_seconds: float = 0.0) -> list[str]:
        """Everything that is wrong in a user's books, in words, as of one moment; reads only.

        A request may be pending for `grace_seconds` past its lease, since the sweep comes every few minutes.
        """
        user = self._db.read([_user_path(user_id)])[_user_path(user_id)]
        entries = self._all(Query(f"{user.path}/{database.TRANSACTIONS}", limit=AUDIT_PAGE_SIZE), user)
        mine = (("userId", "==", user_id),)
        requests = self._all(Query(database.GENERATION_REQUESTS, where=mine, limit=AUDIT_PAGE_SIZE), user)
        overdue_before = self._clock() - timedelta(seconds=grace_seconds)
        return consistency.violations(user, entries, requests, overdue_before)

    def audit_all(self, grace_seconds: float = 0.0) -> Iterator[tuple[str, list[str]]]:
        """Each user's id with what is wrong in their books, then whatever belongs to no user; reads only."""
        known: set[str] = set()
        for page in self._db.pages(Query(database.USERS, limit=AUDIT_PAGE_SIZE)):
            for user in page:
                known.add(user.id)
                yield user.id, self.audit(user.id, grace_seconds)
        for page in self._db.pages(Query(database.GENERATION_REQUESTS, limit=AUDIT_PAGE_SIZE)):
            for request in page:
                user_id = _existing(request).get("userId")
                # Read once more: a user may have come since the users were walked.
                if not isinstance(user_id, str) or (user_id not in known and not self._exists(user_id)):
                    yield "", [f"{request.path} belongs to no user"]

    def _exists(self, user_id: str) -> bool:
        if not database.is_plain_id(user_id, MAX_USER_ID_LENGTH):
            return False
        path = _user_path(user_id)
        return self._db.read([path])[path].data is not None

    def _all(self, query: Query, as_of: Document) -> list[Document]:
        return [document for page in self._db.pages(query, as_of.read_time) for document in page]

    def _reservation(
        self, user: Document, request_path: str, request: GenerationRequest, attempt_id: str
    ) -> Commit[Reservation | Settled]:
        available = _balance(user)
        if available < request.cost_credits:
            raise InsufficientCredits(request.cost_credits, available)
        now = self._clock()
        request_id = database.document_id(request_path)
        fields = {
            "userId": request.user_id,
            "model": request.model,
            "style": request.style,
            "color": request.color,
            "size": request.size,
            "prompt": request.prompt,
            "cost": request.cost_credits,
            "status": PENDING,
            "createdAt": now,
            "updatedAt": now,
            "leaseExpiresAt": now + self._lease,
            # Tells this attempt's own write from another's when the answer to the Commit was lost.
            "attemptId": attempt_id,
            "fingerprint": request.fingerprint(),
        }
        writes = [
            Write(request_path, fields),
            *_movement(user, request_id, DEDUCTION, request.cost_credits),
        ]

        def reserved(versions: Mapping[str, datetime]) -> Reservation:
            document = Document(request_path, fields, versions[request_path])
            return Reservation(request_id, request.user_id, request.cost_credits, document)

        return Commit(writes, reserved)

    def _refund(self, request_path: str, user_id: str, reason: str, due: Callable[[Mapping[str, Any]], bool]) -> bool:
        """Fails the request and gives its credits back, if it is still pending and due; tells whether it did."""
        user_path = _user_path(user_id)
        entry_path = _entry_path(user_id, f"{database.document_id(request_path)}-{REFUND}")

        def plan(documents: Mapping[str, Document]) -> Commit[bool] | Answer[bool]:
            request, user = documents[request_path], documents[user_path]
            if _status(request) != PENDING or not due(_existing(request)):
                return Answer(False)
            _existing(user)
            _must_not_exist(documents[entry_path])
            fields = {"status": FAILED, "failure": reason, "updatedAt": self._clock()}
            movement = _movement(user, request.id, REFUND, _cost(request))
            return Commit([Write(request_path, fields, request.version), *movement], lambda versions: True)

        refunded = self._db.run_transaction([request_path, user_path, entry_path], plan, turn=user_id)
        if refunded:
            _log("credits refunded", database.document_id(request_path), user_id, reason=reason)
        return refunded

    def _release(self, document: Document, now: datetime) -> bool:
        def due(data: Mapping[str, Any]) -> bool:
            lease = data.get("leaseExpiresAt")
            return isinstance(lease, datetime) and lease <= now

        try:
            return self._refund(document.path, _user_id(document), LEASE_EXPIRED, due)
        except Internal as error:
            problem = error.log_fields
        # The boundary of one reservation: whatever is wrong with it must not keep the others' credits.
        except Exception as error:  # noqa: BLE001
            problem = {"problem": f"{type(error).__name__}: {error}"}
        logger.error("reservation not released", generationRequestId=document.id, **problem)
        return False


def _request_id(user_id: str, idempotency_key: str) -> str:
    # A user id holds no control character, so the separator keeps two pairs from meeting.
    return hashlib.sha256(f"{user_id}\0{idempotency_key}".encode()).hexdigest()[:40]


def _user_path(user_id: str) -> str:
    return f"{database.USERS}/{user_id}"


def _entry_path(user_id: str, entry_id: str) -> str:
    return f"{_user_path(user_id)}/{database.TRANSACTIONS}/{entry_id}"


def _request_path(request_id: str) -> str:
    return f"{database.GENERATION_REQUESTS}/{request_id}"


def _earlier(
    document: Document, data: Mapping[str, Any], request: GenerationRequest, attempt_id: str
) -> Reservation | Settled:
    """What an existing request means to this attempt: its own reservation, an answer to replay, or a conflict."""
    if data.get("fingerprint") != request.fingerprint():
        raise IdempotencyMismatch()
    status, cost_credits = _status(document), _cost(document)
    if status == PENDING and data.get("attemptId") == attempt_id:
        return Reservation(document.id, request.user_id, cost_credits, document)
    if status == PENDING:
        raise IdempotencyInFlight(IN_FLIGHT_RETRY_SECONDS)
    return Settled(document.id, cost_credits, _image_url(document) if status == COMPLETED else None)


def _movement(user: Document, request_id: str, kind: str, credits: int) -> list[Write]:
    """The two writes that move a balance: the new balance over the version read, and its entry."""
    balance = _balance(user) + (credits if kind == REFUND else -credits)
    assert credits > 0, "a movement has a size"
    assert balance >= 0, "a movement leaves no debt"
    if balance > MAX_CREDITS:
        raise BrokenDocument(user.path, "credits has no room for a refund")
    entry = {
        "type": kind,
        "credits": credits,
        "balanceAfter": balance,
        "generationRequestId": request_id,
        # Instances' clocks differ; the server's puts a history in the order in which it was written.
        "timestamp": database.COMMIT_TIME,
    }
    return [
        Write(user.path, {"credits": balance}, user.version),
        Write(_entry_path(user.id, f"{request_id}-{kind}"), entry),
    ]


def _balance(user: Document) -> int:
    if user.data is None:
        raise UserNotFound()
    credits = user.data.get("credits")
    # Not isinstance: a bool is an int to Python. Anybody with the console can store anything here.
    if type(credits) is not int or credits < 0:
        raise BrokenDocument(user.path, "credits must be an integer of at least 0")
    return credits


def _cost(request: Document) -> int:
    cost = _existing(request).get("cost")
    if type(cost) is not int or cost <= 0:
        raise BrokenDocument(request.path, "cost must be an integer above 0")
    return cost


def _status(request: Document) -> str:
    status = _existing(request).get("status")
    if status not in (PENDING, COMPLETED, FAILED):
        raise BrokenDocument(request.path, "status must be pending, completed or failed")
    return str(status)


def _image_url(request: Document) -> str:
    image_url = _existing(request).get("imageUrl")
    if not isinstance(image_url, str) or not image_url:
        raise BrokenDocument(request.path, "imageUrl must be a URL")
    return image_url


def _must_not_exist(entry: Document) -> None:
    if entry.data is not None:
        raise BrokenDocument(entry.path, "exists although its request is not in that state")


def _user_id(request: Document) -> str:
    user_id = _existing(request).get("userId")
    if not isinstance(user_id, str) or not database.is_plain_id(user_id, MAX_USER_ID_LENGTH):
        raise BrokenDocument(request.path, "userId must be a user's id")
    return user_id


def _existing(document: Document) -> Mapping[str, Any]:
    if document.data is None:
        raise BrokenDocument(document.path, "the document is gone")
    return document.data


def _entry(document: Document) -> Entry:
    data: Any = _existing(document)
    entry = Entry(
        id=document.id,
        type=data.get("type"),
        credits=data.get("credits"),
        generation_request_id=data.get("generationRequestId"),
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


def _log(event: str, request_id: str, user_id: str, **fields: Any) -> None:
    # A log that cannot be written must not turn a commit that stands into an error.
    with contextlib.suppress(OSError, ValueError):
        logger.info(event, generationRequestId=request_id, userId=user_id, **fields)
