"""Reservations: credits are taken first, and the request ends exactly once, with its image or with a refund.

Every change of a balance is one atomic commit that also writes its ledger entry and the request's status. Entry ids
derive from the request's id and are only ever created, so nothing is paid twice. A request starts pending, under a
lease, and ends completed or failed; the first commit that ends it wins, and everybody else reads that outcome.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import logs
from credits import documents, keys, movements
from credits.documents import ACCOUNT_DELETED, COMPLETED, FAILED, LEASE_EXPIRED, PENDING, PICTURE_TO_DELETE, REFUND
from credits.reservations import Outcome, Purchase, Reservation, ReservationPlan
from errors import ApiError, GenerationFailed, Internal, UserNotFound
from store import (
    COMMIT_TIME,
    NO_DEADLINE,
    REMOVED,
    Answer,
    Commit,
    Deadline,
    Document,
    Query,
    Store,
    Write,
    document_id,
)

RELEASE_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Release:
    """What one sweep did: how many reservations it refunded, and how many not.

    The latter had ended already, their account is deleted, or the refund failed.
    """

    refunded: int
    skipped: int


class Ledger:
    """Reserves, completes, refunds and releases.

    `new_id` gives unique ids that nobody can guess. Every time is the server's: instances' clocks differ. With
    `keeps_pictures`, whoever reserved and did not come back may have left a picture in the bucket.
    """

    def __init__(
        self,
        store: Store,
        new_id: Callable[[], str],
        lease_seconds: float,
        max_pending: int,
        keeps_pictures: bool = False,
    ) -> None:
        self._store = store
        self._new_id = new_id
        self._lease = timedelta(seconds=lease_seconds)
        self._max_pending = max_pending
        self._keeps_pictures = keeps_pictures

    def reserve(
        self,
        purchase: Purchase,
        idempotency_key: str,
        price: int | ApiError,
        signup_credits: int = 0,
        deadline: Deadline = NO_DEADLINE,
    ) -> Outcome:
        """Takes the credits and leaves the request pending, or tells how the key's first request ended.

        Args:
            purchase: what to buy.
            idempotency_key: the user's key; the same key never buys twice.
            price: the price in credits, or the error if there is none; a replay ignores it.
            signup_credits: if above 0, the same commit opens a new user's account with them.
            deadline: gives up then.

        Raises:
            InsufficientCredits, UserNotFound, TooManyPending: nothing was taken.
            IdempotencyInFlight, IdempotencyMismatch: the key's first request is pending, or was different.
            BrokenDocument: the balance is not an integer of at least 0.
            Unavailable: the outcome is not known; credits that were taken go back when the lease ends.
            ApiError: `price`, if it is an error.
        """
        plan = ReservationPlan(
            purchase=purchase,
            request_id=keys.id_for_key(purchase.user_id, idempotency_key),
            price=price,
            signup_credits=signup_credits,
            attempt_id=self._new_id(),
            lease=self._lease,
            max_pending=self._max_pending,
        )
        outcome = self._store.transact(plan.paths, plan.decide, deadline, turn=purchase.user_id)
        if isinstance(outcome, Reservation):
            _log("credits reserved", outcome.document.path, outcome.user_id, credits=outcome.cost_credits)
        return outcome

    def complete(self, reservation: Reservation, image_url: str, deadline: Deadline = NO_DEADLINE) -> None:
        """Ends a reservation with its image, in one round trip if nobody else ended it.

        Raises:
            GenerationFailed: the lease ran out first and the credits are back; the image must not be given.
            Unavailable: the outcome is not known; if it was not applied, the sweep refunds later.
        """
        path = reservation.document.path

        def plan(read: Mapping[str, Document]) -> Commit[None] | Answer[None]:
            request = read[path]
            status = documents.status(request)
            if status == FAILED:
                raise GenerationFailed(reservation.cost_credits, reservation.request_id, documents.failure(request))
            if status == COMPLETED:
                return Answer(None)
            fields = {"status": COMPLETED, "imageUrl": image_url, "updatedAt": COMMIT_TIME}
            return Commit(_end(request, reservation.user_id, fields), lambda versions: None)

        self._store.transact([path], plan, deadline, known={path: reservation.document})
        _log("generation completed", path, reservation.user_id, credits=reservation.cost_credits)

    def refund(
        self,
        reservation: Reservation,
        failure: str,
        deadline: Deadline = NO_DEADLINE,
        leaves_picture: bool = False,
    ) -> None:
        """Ends a reservation whose generation failed, and says why: the credits go back, once.

        With `leaves_picture`, the request is marked in the same commit, so that a sweep deletes its picture.

        Raises:
            UserNotFound: the account was deleted meanwhile, and its credits with it.
            BrokenDocument: the balance is not an integer of at least 0, so nothing can be added to it.
            Unavailable: the outcome is not known; if it was not applied, the sweep refunds later.
        """
        path, user_id = reservation.document.path, reservation.user_id
        if self._refund(path, user_id, failure, lambda request: True, leaves_picture, deadline) == ACCOUNT_DELETED:
            raise UserNotFound()

    def release_expired(self) -> Release:
        """Refunds every reservation that is pending past its lease; safe if other sweeps or completions run too.

        A reservation that cannot be refunded is logged, and the others go on.

        Raises:
            Unavailable: Firestore did not give the next page in time; earlier refunds stand.
        """
        expired = Query(
            documents.GENERATION_REQUESTS,
            where=(("status", "==", PENDING), ("leaseExpiresAt", "<=", self._store.now())),
            order_by="leaseExpiresAt",
            limit=RELEASE_PAGE_SIZE,
        )
        outcomes = self._store.for_each(expired, self._release)
        release = Release(refunded=outcomes.count(True), skipped=outcomes.count(False))
        if outcomes:
            logs.info("expired reservations released", refunded=release.refunded, skipped=release.skipped)
        return release

    def _refund(
        self,
        request_path: str,
        user_id: str,
        failure: str,
        is_due: Callable[[Document], bool],
        leaves_picture: bool,
        deadline: Deadline = NO_DEADLINE,
    ) -> str | None:
        """Fails the request and gives its credits back, if it is still pending and due.

        Returns its failure then: the one given, or ACCOUNT_DELETED if there is nobody to give the credits back to.
        """
        user_path = documents.user_path(user_id)
        entry_path = documents.entry_path(user_id, documents.entry_id_of(document_id(request_path), REFUND))

        def plan(read: Mapping[str, Document]) -> Commit[str | None] | Answer[str | None]:
            request, user = read[request_path], read[user_path]
            if documents.status(request) != PENDING or not is_due(request):
                return Answer(None)
            documents.must_not_exist(read[entry_path])
            giving_back, outcome = [], ACCOUNT_DELETED
            if user.data is not None:
                movement = movements.of_request(request.id, REFUND, documents.cost(request))
                giving_back, outcome = movements.writes(user, documents.balance(user), [movement]), failure
            fields = {"status": FAILED, "failure": outcome, "updatedAt": COMMIT_TIME}
            if leaves_picture:
                # Not before this commit: until then a completion could still sell it.
                fields[PICTURE_TO_DELETE] = True
            return Commit([*_end(request, user_id, fields), *giving_back], lambda versions: outcome)

        outcome = self._store.transact([request_path, user_path, entry_path], plan, deadline, turn=user_id)
        if outcome:
            event = "credits lost" if outcome == ACCOUNT_DELETED else "credits refunded"
            _log(event, request_path, user_id, reason=outcome)
        return outcome

    def _release(self, document: Document) -> bool:
        def is_due(request: Document) -> bool:
            lease = request.fields.get("leaseExpiresAt")
            return isinstance(lease, datetime) and lease <= request.read_at

        try:
            user_id = documents.user_id(document)
            outcome = self._refund(document.path, user_id, LEASE_EXPIRED, is_due, self._keeps_pictures)
            return outcome == LEASE_EXPIRED
        except Internal as error:
            problem = error.log_fields
        # The boundary of one reservation: an error in it must not keep the credits of the others.
        except Exception as error:  # noqa: BLE001
            problem = {"places": logs.places(error)}
        logs.error("reservation not released", generationRequestId=document.id, **problem)
        return False


def _end(request: Document, user_id: str, fields: Mapping[str, Any]) -> list[Write]:
    """The writes that end a request: its fields over the version read, and one place less in flight."""
    leases = {"leases": {request.id: REMOVED}}
    return [
        Write(request.path, fields, request.version),
        Write(documents.in_flight_path(user_id), leases, merges=True),
    ]


def _log(event: str, request_path: str, user_id: str, **fields: Any) -> None:
    logs.info(event, generationRequestId=document_id(request_path), userId=user_id, **fields)
