"""Decides a reservation as one pure plan: replay, open the account, or take the credits.

Pending requests are counted in inFlight/{user}. A reservation adds its lease there and its end removes it, both without
a precondition, so that ending one request never conflicts with reserving the next. This is safe: every reservation
changes the balance's version, so the count can only fall between read and commit (one batch of reads is as of one
moment: BatchGetDocumentsResponse.read_time in
https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from credits import accounts, documents, keys, movements
from credits.documents import CANCELED, COMPLETED, DEDUCTION, FAILED, PENDING, WORKER_DUE_AT
from credits.movements import Movement
from errors import ApiError, IdempotencyInFlight, InsufficientCredits, TooManyPending, UserNotFound
from store import COMMIT_TIME, Answer, Commit, Document, QueryFirst, Version, Write

RETRY_SECONDS = 2
# A lease this far from now is a leftover or was written by hand. It must not lock its user out.
FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Purchase:
    """What a user wants to buy; every field has the right form, and the catalog decides its price."""

    user_id: str
    model: str
    style: str
    color: str
    size: str
    prompt: str | None

    def fingerprint(self) -> str:
        """SHA-256, in hex, of what was asked for. Without the price, since the catalog may change it."""
        return keys.digest([self.user_id, self.model, self.style, self.color, self.size, self.prompt])


@dataclass(frozen=True, slots=True)
class Reservation:
    """Credits taken for a pending request, and the one run of a model that may end it.

    `run_id` is random: the attempt's that reserved, or the claim's of a worker. `document` is the request as this run
    wrote it.
    """

    request_id: str
    run_id: str
    user_id: str
    cost_credits: int
    balance_after_credits: int
    document: Document


@dataclass(frozen=True, slots=True)
class Completed:
    """An earlier request with the same key that ended with an image."""

    request_id: str
    cost_credits: int
    balance_after_credits: int
    image_url: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An earlier request with the same key that failed, and why."""

    request_id: str
    cost_credits: int
    failure: str


@dataclass(frozen=True, slots=True)
class Canceled:
    """An earlier request with the same key that was canceled; its credits are back."""

    request_id: str
    cost_credits: int


@dataclass(frozen=True, slots=True)
class Underway:
    """An earlier asynchronous order with the same key that is pending."""

    request_id: str
    cost_credits: int
    balance_after_credits: int


Outcome = Reservation | Completed | Failed | Canceled | Underway
Step = Commit[Outcome] | Answer[Outcome] | QueryFirst[Outcome]


@dataclass(frozen=True, slots=True)
class ReservationPlan:
    """Decides on one purchase from the documents at `paths`; the errors are those of Ledger.reserve."""

    purchase: Purchase
    request_id: str
    price_or_error: int | ApiError
    signup_credits: int
    attempt_id: str
    lease: timedelta
    max_pending: int
    is_async: bool = False

    @property
    def paths(self) -> Sequence[str]:
        """The balance, the request, its deduction, the user's requests in flight, and what tells of a sign-up."""
        user_id, request_path = self.purchase.user_id, documents.request_path(self.request_id)
        entry_path = documents.entry_path(user_id, documents.entry_id_of(self.request_id, DEDUCTION))
        signup_paths = [accounts.signup_path(user_id)] if self.signup_credits else []
        return documents.user_path(user_id), request_path, entry_path, documents.in_flight_path(user_id), *signup_paths

    def decide(self, read: Mapping[str, Document]) -> Step:
        """A replay first, since it needs neither price nor balance; then the account; then the credits."""
        user, request, entry, in_flight, *signups = (read[path] for path in self.paths)
        if request.data is not None:
            return Answer(self._earlier(request, entry))
        documents.must_not_exist(entry)
        if isinstance(self.price_or_error, ApiError):
            raise self.price_or_error
        taking = movements.of_request(self.request_id, DEDUCTION, self.price_or_error)
        if user.data is not None or not self.signup_credits:
            return self._commit(user, in_flight, request.path, documents.balance(user), [taking])

        accounts.refuse_deleted_account(signups)

        def open_and_take(history: Sequence[Document]) -> Step:
            accounts.refuse_deleted_account(history)
            opening = accounts.signup(user.id, self.signup_credits)
            return self._commit(user, in_flight, request.path, 0, [opening, taking])

        return QueryFirst(accounts.history_query(user.id), open_and_take)

    def _earlier(self, request: Document, entry: Document) -> Outcome:
        """What an existing request means to this attempt: its own reservation, an answer to replay, or a conflict."""
        keys.must_match(request, self.purchase.fingerprint())
        status, cost_credits = documents.status(request), documents.cost(request)
        is_others = request.fields.get("attemptId") != self.attempt_id
        if status == PENDING and is_others and not self.is_async:
            raise IdempotencyInFlight(RETRY_SECONDS)
        if status == FAILED:
            return Failed(request.id, cost_credits, documents.failure(request))
        if status == CANCELED:
            return Canceled(request.id, cost_credits)
        if not entry.exists:
            # The account was deleted with its ledger.
            raise UserNotFound()
        balance_after_credits = documents.balance_after(entry)
        if status == COMPLETED:
            return Completed(request.id, cost_credits, balance_after_credits, documents.image_url(request))
        if is_others:
            return Underway(request.id, cost_credits, balance_after_credits)
        return self._reservation(cost_credits, balance_after_credits, request)

    def _commit(
        self, user: Document, in_flight: Document, request_path: str, before_credits: int, changes: Sequence[Movement]
    ) -> Commit[Outcome]:
        """Applies the changes, of which the last one takes the price, and leaves the request pending."""
        cost_credits = changes[-1].credits
        available = movements.balance_after(before_credits, changes[:-1])
        if available < cost_credits:
            raise InsufficientCredits(cost_credits, available)
        now = user.read_at
        if self._pending(in_flight, now) >= self.max_pending:
            raise TooManyPending(self.max_pending, RETRY_SECONDS)
        fields = self._request_fields(cost_credits, now)
        writes = [
            Write(request_path, fields),
            *movements.writes(user, before_credits, changes),
            Write(in_flight.path, {"leases": {self.request_id: fields["leaseExpiresAt"]}}, merges=True),
        ]

        def reserved(versions: Mapping[str, Version]) -> Reservation:
            if user.data is None:
                accounts.log_opened(user.id, available)
            document = Document(request_path, fields, versions[request_path])
            return self._reservation(cost_credits, available - cost_credits, document)

        return Commit(writes, reserved)

    def _reservation(self, cost_credits: int, balance_after_credits: int, request: Document) -> Reservation:
        user_id = self.purchase.user_id
        return Reservation(self.request_id, self.attempt_id, user_id, cost_credits, balance_after_credits, request)

    def _pending(self, in_flight: Document, now: datetime) -> int:
        earliest, latest = now - FORGOTTEN_AFTER, now + self.lease + FORGOTTEN_AFTER
        leases = documents.leases(in_flight).values()
        return sum(isinstance(lease, datetime) and earliest <= lease <= latest for lease in leases)

    def _request_fields(self, cost_credits: int, now: datetime) -> dict[str, Any]:
        # A worker may claim it from now on.
        queued = {"claimableAt": now, "claims": [], WORKER_DUE_AT: now} if self.is_async else {}
        return {
            "userId": self.purchase.user_id,
            "model": self.purchase.model,
            "style": self.purchase.style,
            "color": self.purchase.color,
            "size": self.purchase.size,
            "prompt": self.purchase.prompt,
            "cost": cost_credits,
            "status": PENDING,
            "createdAt": COMMIT_TIME,
            "updatedAt": COMMIT_TIME,
            "leaseExpiresAt": now + self.lease,
            # If the commit's answer is lost, this shows whether this attempt wrote the request.
            "attemptId": self.attempt_id,
            "fingerprint": self.purchase.fingerprint(),
            **queued,
        }
