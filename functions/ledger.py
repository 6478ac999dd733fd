"""The only writer of balances: reserve, complete, refund, release, grant, statement.

Every change of a balance is one atomic commit that also writes its ledger entry and the request's status. Entry ids
derive from the request's id and are written with create, so nothing can be paid twice. A request starts pending, under
a lease, and ends exactly once: completed or failed. Whoever commits that first wins; the other learns it.

How many of a user's requests are pending is kept in inFlight/{user}: a reservation adds its lease there and its end
removes it, both without a precondition, so that one user's endings do not disturb the next reservation. That is safe:
every reservation of the user changes the balance's version, so between its read and its commit that number only falls
(one batch of reads is as of one moment: BatchGetDocumentsResponse.read_time in
https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1).
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import consistency
import database
import logs
import paging
import records
from consistency import COMPLETED, DEDUCTION, FAILED, GRANT, PENDING, REFUND
from database import REMOVED, Answer, Commit, Document, Query, Write
from errors import (
    BrokenDocument,
    GenerationFailed,
    IdempotencyInFlight,
    IdempotencyMismatch,
    InsufficientCredits,
    Internal,
    InvalidRequest,
    TooManyPending,
    UserNotFound,
)
from records import Entry

GENERATION_FAILED, LEASE_EXPIRED = "GENERATION_FAILED", "LEASE_EXPIRED"

# Firestore's integers have 64 bits.
MAX_CREDITS = 2**63 - 1
# JSON's numbers are exact up to here in most languages; and a refund always finds room above.
MAX_GRANTED_CREDITS = 2**53 - 1
RELEASE_PAGE_SIZE = 100
RELEASE_THREADS = 4
IN_FLIGHT_RETRY_SECONDS = 2
# A lease so far away, into the past or the future, was left or made by hand, and must not lock its user out.
FORGOTTEN_AFTER = timedelta(days=1)
SIGNUP_ENTRY_ID = "signup-grant"
SIGNUP_REASON = "Sign-up credits."


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
        return _digest([self.user_id, self.model, self.style, self.color, self.size, self.prompt])


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
class Grant:
    """Credits to give to a user; `granted_by` is the admin's id, None where nobody had to say who they are."""

    user_id: str
    credits: int
    reason: str
    granted_by: str | None

    def fingerprint(self) -> str:
        """SHA-256 in hex of what is to be given to whom and why."""
        return _digest([self.user_id, self.credits, self.reason])


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant that stands, and the balance right after it; `is_replay` where an earlier call made it."""

    entry_id: str
    balance_after_credits: int
    is_replay: bool


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
    """Reserves, completes, refunds and grants; `clock` gives aware UTC datetimes, `new_id` unguessable unique ids."""

    def __init__(
        self,
        db: database.Database,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        lease_seconds: float,
        most_pending: int,
    ) -> None:
        self._db = db
        self._clock = clock
        self._new_id = new_id
        self._lease = timedelta(seconds=lease_seconds)
        self._most_pending = most_pending

    def reserve(self, request: GenerationRequest, idempotency_key: str | None = None) -> Reservation | Settled:
        """Takes the credits and leaves the request pending, or tells how the key's first request ended.

        Without a key every call is a purchase of its own.

        Raises:
            InsufficientCredits, UserNotFound, TooManyPending: nothing was taken.
            IdempotencyInFlight, IdempotencyMismatch: the key's first request is pending, or was another one.
            BrokenDocument: the balance is no integer of at least 0.
            Unavailable: no commit stood in time; one that was on its way is refunded when its lease expires.
        """
        request_id = request_id_of(request.user_id, idempotency_key) if idempotency_key else self._new_id()
        attempt_id = self._new_id()
        entry_path = records.entry_path(request.user_id, f"{request_id}-{DEDUCTION}")
        in_flight_path = records.in_flight_path(request.user_id)
        paths = [records.user_path(request.user_id), records.request_path(request_id), entry_path, in_flight_path]

        def plan(documents: Mapping[str, Document]) -> Commit[Reservation | Settled] | Answer[Reservation | Settled]:
            user, existing, entry, in_flight = (documents[path] for path in paths)
            if existing.data is not None:
                return Answer(_earlier(existing, existing.data, request, attempt_id))
            records.must_not_exist(entry)
            return self._reservation(user, in_flight, existing.path, request, attempt_id)

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
        existing = self._db.read_one(records.request_path(request_id_of(request.user_id, idempotency_key)))
        if existing.data is None:
            return None
        earlier = _earlier(existing, existing.data, request, attempt_id="")
        assert isinstance(earlier, Settled), "no attempt has an empty id"
        return earlier

    def complete(self, reservation: Reservation, image_url: str, within_seconds: float = math.inf) -> None:
        """Ends a reservation with its image, in one round trip where nobody interfered; gives up after that time.

        Raises:
            GenerationFailed: the lease ran out first and the credits are back; the image must not be given.
            Unavailable: it is not known to stand; the lease decides.
        """
        path = reservation.document.path

        def plan(documents: Mapping[str, Document]) -> Commit[None] | Answer[None]:
            document = documents[path]
            status = records.status(document)
            if status == FAILED:
                raise GenerationFailed(reservation.cost_credits, reservation.request_id)
            if status == COMPLETED:
                return Answer(None)
            fields = {"status": COMPLETED, "imageUrl": image_url, "updatedAt": self._clock()}
            writes = [Write(path, fields, document.version), _landed(reservation.user_id, reservation.request_id)]
            return Commit(writes, lambda versions: None)

        self._db.run_transaction([path], plan, known={path: reservation.document}, within_seconds=within_seconds)
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
                # A thread begins without the request's context, and so without its trace.
                releases = [partial(copy_context().run, self._release, document, now) for document in page]
                outcomes += threads.map(lambda release: release(), releases)
        release = Release(refunded=outcomes.count(True), skipped=outcomes.count(False))
        if outcomes:
            logs.info("expired reservations released", refunded=release.refunded, skipped=release.skipped)
        return release

    def grant(self, grant: Grant, idempotency_key: str) -> Granted:
        """Adds credits once for an admin's key, and creates the user who is new.

        Raises:
            IdempotencyMismatch: the admin's key was used for another grant.
            InvalidRequest: the balance has no room for so many credits.
            BrokenDocument: the balance is no integer of at least 0, or is gone although its ledger is there.
            Unavailable: it is not known to stand; the same key tells later.
        """
        grant_id = request_id_of(grant.granted_by or "", idempotency_key)
        attempt_id = self._new_id()
        entry_id = f"{grant_id}-{GRANT}"
        entry_path = records.entry_path(grant.user_id, entry_id)
        paths = [records.user_path(grant.user_id), records.grant_path(grant_id), entry_path]

        def plan(documents: Mapping[str, Document], is_new: bool) -> Commit[Granted] | Answer[Granted]:
            user, earlier, entry = (documents[path] for path in paths)
            if earlier.data is not None:
                return Answer(_earlier_grant(earlier, grant, entry_id, attempt_id))
            records.must_not_exist(entry)
            if user.data is None and not is_new:
                raise UserNotFound()
            return _granting(user, earlier.path, entry_id, grant, attempt_id)

        try:
            granted = self._db.run_transaction(paths, partial(plan, is_new=False), turn=grant.user_id)
        except UserNotFound:
            if self.has_history(grant.user_id):
                raise BrokenDocument(paths[0], "is gone although its ledger is there") from None
            granted = self._db.run_transaction(paths, partial(plan, is_new=True), turn=grant.user_id)
        if not granted.is_replay:
            logs.info("credits granted", userId=grant.user_id, credits=grant.credits, grantedBy=grant.granted_by)
        return granted

    def open_account(self, user_id: str, signup_credits: int) -> None:
        """Gives a new user a balance, once for all time; a user who has one keeps it.

        Raises:
            UserNotFound: the user had a balance before, and somebody deleted it since.
            Unavailable: it is not known to stand; the next call tells.
        """
        if self.has_history(user_id):
            # Another's first call may have opened it meanwhile.
            self.balance(user_id)
            return
        entry_path = records.entry_path(user_id, SIGNUP_ENTRY_ID)
        paths = [records.user_path(user_id), entry_path]

        def plan(documents: Mapping[str, Document]) -> Commit[bool] | Answer[bool]:
            user, entry = (documents[path] for path in paths)
            if user.data is not None:
                return Answer(False)
            if entry.data is not None:
                raise UserNotFound()
            stored = {"type": GRANT, "credits": signup_credits, "reason": SIGNUP_REASON, "grantedBy": None}
            return Commit(_movement(user, SIGNUP_ENTRY_ID, stored), lambda versions: True)

        if self._db.run_transaction(paths, plan, turn=user_id):
            logs.info("account opened", userId=user_id, credits=signup_credits)

    def has_history(self, user_id: str) -> bool:
        """Whether a user has, or once had, a balance that moved; one round trip."""
        return bool(self._db.query(Query(records.entries_path(user_id), limit=1)))

    def balance(self, user_id: str) -> int:
        """The balance; one round trip.

        Raises:
            UserNotFound: there is no such user.
            BrokenDocument: the balance is no integer of at least 0.
        """
        return records.balance(self._db.read_one(records.user_path(user_id)))

    def statement(self, user_id: str, page_size: int, after_entry_id: str | None = None) -> Statement:
        """The balance and a page of the history, newest first, both as of one moment; two round trips.

        Raises:
            UserNotFound: there is no such user.
            InvalidRequest: there is no entry `after_entry_id`.
            BrokenDocument: the balance is no integer of at least 0.
        """
        history = Query(records.entries_path(user_id), order_by="timestamp", descending=True)
        after_path = records.entry_path(user_id, after_entry_id) if after_entry_id else None
        page = paging.page_of(self._db, user_id, history, page_size, after_path)
        return Statement(page.balance_credits, [records.entry(found) for found in page.documents], page.last_id)

    def _reservation(
        self, user: Document, in_flight: Document, request_path: str, request: GenerationRequest, attempt_id: str
    ) -> Commit[Reservation | Settled]:
        available = records.balance(user)
        if available < request.cost_credits:
            raise InsufficientCredits(request.cost_credits, available)
        now = self._clock()
        if _pending_count(in_flight, now - FORGOTTEN_AFTER, now + self._lease + FORGOTTEN_AFTER) >= self._most_pending:
            raise TooManyPending(self._most_pending, IN_FLIGHT_RETRY_SECONDS)
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
            *_movement(user, f"{request_id}-{DEDUCTION}", _paired(request_id, DEDUCTION, request.cost_credits)),
            Write(in_flight.path, {"leases": {request_id: fields["leaseExpiresAt"]}}, merges=True),
        ]

        def reserved(versions: Mapping[str, datetime]) -> Reservation:
            document = Document(request_path, fields, versions[request_path])
            return Reservation(request_id, request.user_id, request.cost_credits, document)

        return Commit(writes, reserved)

    def _refund(self, request_path: str, user_id: str, reason: str, due: Callable[[Mapping[str, Any]], bool]) -> bool:
        """Fails the request and gives its credits back, if it is still pending and due; tells whether it did."""
        user_path = records.user_path(user_id)
        entry_path = records.entry_path(user_id, f"{database.document_id(request_path)}-{REFUND}")

        def plan(documents: Mapping[str, Document]) -> Commit[bool] | Answer[bool]:
            request, user = documents[request_path], documents[user_path]
            if records.status(request) != PENDING or not due(records.existing(request)):
                return Answer(False)
            records.existing(user)
            records.must_not_exist(documents[entry_path])
            fields = {"status": FAILED, "failure": reason, "updatedAt": self._clock()}
            movement = _movement(user, f"{request.id}-{REFUND}", _paired(request.id, REFUND, records.cost(request)))
            writes = [Write(request_path, fields, request.version), *movement, _landed(user_id, request.id)]
            return Commit(writes, lambda versions: True)

        refunded = self._db.run_transaction([request_path, user_path, entry_path], plan, turn=user_id)
        if refunded:
            _log("credits refunded", database.document_id(request_path), user_id, reason=reason)
        return refunded

    def _release(self, document: Document, now: datetime) -> bool:
        def due(data: Mapping[str, Any]) -> bool:
            lease = data.get("leaseExpiresAt")
            return isinstance(lease, datetime) and lease <= now

        try:
            return self._refund(document.path, records.user_id(document), LEASE_EXPIRED, due)
        except Internal as error:
            problem = error.log_fields
        # The boundary of one reservation: whatever is wrong with it must not keep the others' credits.
        except Exception as error:  # noqa: BLE001
            problem = {"places": logs.where(error)}
        logs.error("reservation not released", generationRequestId=document.id, **problem)
        return False


def request_id_of(user_id: str, idempotency_key: str) -> str:
    """The id of the request that this user made, or will make, with this key."""
    # A user id holds no control character, so the separator keeps two pairs from meeting.
    return hashlib.sha256(f"{user_id}\0{idempotency_key}".encode()).hexdigest()[:40]


def _digest(asked: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _earlier(
    document: Document, data: Mapping[str, Any], request: GenerationRequest, attempt_id: str
) -> Reservation | Settled:
    """What an existing request means to this attempt: its own reservation, an answer to replay, or a conflict."""
    if data.get("fingerprint") != request.fingerprint():
        raise IdempotencyMismatch()
    status, cost_credits = records.status(document), records.cost(document)
    if status == PENDING and data.get("attemptId") == attempt_id:
        return Reservation(document.id, request.user_id, cost_credits, document)
    if status == PENDING:
        raise IdempotencyInFlight(IN_FLIGHT_RETRY_SECONDS)
    return Settled(document.id, cost_credits, records.image_url(document) if status == COMPLETED else None)


def _earlier_grant(document: Document, grant: Grant, entry_id: str, attempt_id: str) -> Granted:
    """What an existing grant means to this attempt: its own, an answer to replay, or a conflict."""
    data = records.existing(document)
    if data.get("fingerprint") != grant.fingerprint():
        raise IdempotencyMismatch()
    balance_after = data.get("balanceAfter")
    if type(balance_after) is not int:
        raise BrokenDocument(document.path, "balanceAfter must be an integer")
    return Granted(entry_id, balance_after, is_replay=data.get("attemptId") != attempt_id)


def _granting(user: Document, grant_path: str, entry_id: str, grant: Grant, attempt_id: str) -> Commit[Granted]:
    entry = {"type": GRANT, "credits": grant.credits, "reason": grant.reason, "grantedBy": grant.granted_by}
    balance_after = _balance_after(user, entry)
    if balance_after > MAX_GRANTED_CREDITS:
        raise InvalidRequest.of_field("credits", "The balance has no room for so many credits.")
    fields = {
        "userId": grant.user_id,
        "credits": grant.credits,
        "reason": grant.reason,
        "grantedBy": grant.granted_by,
        "balanceAfter": balance_after,
        "timestamp": database.COMMIT_TIME,
        # As in a generation request.
        "attemptId": attempt_id,
        "fingerprint": grant.fingerprint(),
    }
    writes = [Write(grant_path, fields), *_movement(user, entry_id, entry)]
    return Commit(writes, lambda versions: Granted(entry_id, balance_after, is_replay=False))


def _paired(request_id: str, kind: str, credits: int) -> dict[str, Any]:
    """An entry that belongs to a request."""
    return {"type": kind, "credits": credits, "generationRequestId": request_id}


def _movement(user: Document, entry_id: str, entry: Mapping[str, Any]) -> list[Write]:
    """The two writes that move a balance: the new balance over the version read, and its entry."""
    balance = _balance_after(user, entry)
    assert entry["credits"] > 0, "a movement has a size"
    assert balance >= 0, "a movement leaves no debt"
    if balance > MAX_CREDITS:
        raise BrokenDocument(user.path, "credits has no room for a refund")
    stored = {
        **entry,
        "balanceAfter": balance,
        # Instances' clocks differ; the server's puts a history in the order in which it was written.
        "timestamp": database.COMMIT_TIME,
    }
    return [
        Write(user.path, {"credits": balance}, user.version),
        Write(records.entry_path(user.id, entry_id), stored),
    ]


def _balance_after(user: Document, entry: Mapping[str, Any]) -> int:
    """Only a grant may begin a balance."""
    before = 0 if user.data is None and entry["type"] == GRANT else records.balance(user)
    after: int = before + consistency.SIGNS[entry["type"]] * entry["credits"]
    return after


def _pending_count(in_flight: Document, earliest: datetime, latest: datetime) -> int:
    leases = records.leases(in_flight).values()
    return sum(isinstance(lease, datetime) and earliest <= lease <= latest for lease in leases)


def _landed(user_id: str, request_id: str) -> Write:
    """The write that takes a request out of its user's reservations in flight."""
    return Write(records.in_flight_path(user_id), {"leases": {request_id: REMOVED}}, merges=True)


def _log(event: str, request_id: str, user_id: str, **fields: Any) -> None:
    logs.info(event, generationRequestId=request_id, userId=user_id, **fields)
