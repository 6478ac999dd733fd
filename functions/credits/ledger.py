"""Reservations: credits are taken first, and the request ends exactly once: with its image, or with a refund.

Every change of a balance is one atomic commit that also writes its ledger entry and the request's status. Entry ids
derive from the request's id and are only ever created, so nothing is paid twice. A request starts pending, under a
lease, and ends completed, failed or canceled; the first commit that ends it wins, and everybody else reads that
outcome.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import logs
from credits import documents, keys
from credits.documents import ACCOUNT_DELETED, LEASE_EXPIRED, PENDING
from credits.endings import ClaimLost, CompletionPlan, Ending, RefundPlan, is_run_of
from credits.reservations import Outcome, Purchase, Reservation, ReservationPlan
from errors import ApiError, GenerationCanceled, GenerationEnded, Internal, UserNotFound
from events import SILENT, Outbox
from store import NO_DEADLINE, Deadline, Document, Query, Store

RELEASE_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Release:
    """What one sweep did: how many reservations it refunded, and how many not.

    The latter had ended already, their account is deleted, or the refund failed.
    """

    refunded: int
    skipped: int


class Ledger:
    """Reserves, completes, refunds, cancels and releases.

    `new_id` gives unique ids that nobody can guess. Every time is the server's: instances' clocks differ. With
    `keeps_pictures`, whoever reserved and did not come back may have left a picture in the bucket. `outbox` tells the
    world how requests end.
    """

    def __init__(
        self,
        store: Store,
        new_id: Callable[[], str],
        lease_seconds: float,
        max_pending: int,
        keeps_pictures: bool = False,
        outbox: Outbox = SILENT,
    ) -> None:
        self._store = store
        self._new_id = new_id
        self._lease = timedelta(seconds=lease_seconds)
        self._max_pending = max_pending
        self._keeps_pictures = keeps_pictures
        self._outbox = outbox

    def reserve(
        self,
        purchase: Purchase,
        idempotency_key: str,
        price_or_error: int | ApiError,
        signup_credits: int = 0,
        deadline: Deadline = NO_DEADLINE,
        is_async: bool = False,
    ) -> Outcome:
        """Takes the credits and leaves the request pending, or tells how the key's first request ended.

        Args:
            purchase: what to buy.
            idempotency_key: the user's key; the same key never buys twice.
            price_or_error: the price in credits, or the error if there is none; a replay ignores it.
            signup_credits: if above 0, the same commit opens a new user's account with them.
            deadline: gives up then.
            is_async: leaves the image to a worker, which claims the request.

        Raises:
            InsufficientCredits, UserNotFound, TooManyPending: nothing was taken.
            IdempotencyInFlight: the key's first request is pending, and this one is not asynchronous.
            IdempotencyMismatch: the key's first request was different.
            BrokenDocument: the balance is not an integer of at least 0.
            Unavailable: the outcome is not known; credits that were taken go back when the lease ends.
            ApiError: `price_or_error`, if it is an error.
        """
        plan = ReservationPlan(
            purchase=purchase,
            request_id=keys.id_for_key(purchase.user_id, idempotency_key),
            price_or_error=price_or_error,
            signup_credits=signup_credits,
            attempt_id=self._new_id(),
            lease=self._lease,
            max_pending=self._max_pending,
            is_async=is_async,
        )
        outcome = self._store.transact(plan.paths, plan.decide, deadline, turn=purchase.user_id)
        if isinstance(outcome, Reservation):
            _log("credits reserved", outcome.request_id, outcome.user_id, credits=outcome.cost_credits)
        return outcome

    def complete(self, reservation: Reservation, image_url: str, deadline: Deadline = NO_DEADLINE) -> None:
        """Ends a reservation with its image, in one round trip if nobody else ended it.

        Raises:
            GenerationFailed, GenerationCanceled, ClaimLost, UserNotFound: somebody else ended the request or runs it
                now; the image must not be given.
            Unavailable: the outcome is not known; if it was not applied, the sweep refunds later.
        """
        plan = CompletionPlan(reservation, image_url, self._outbox, self._keeps_pictures)
        path = reservation.document.path
        event = self._store.transact([path], plan.decide, deadline, known={path: reservation.document})
        self._outbox.send(event, deadline)
        _log("generation completed", reservation.request_id, reservation.user_id, credits=reservation.cost_credits)

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
            GenerationCanceled: it was canceled first, and the credits are back.
            ClaimLost: another run has the request now; the credits stay taken.
            UserNotFound: the account was deleted meanwhile, and its credits with it.
            BrokenDocument: the balance is not an integer of at least 0, so nothing can be added to it.
            Unavailable: the outcome is not known; if it was not applied, the sweep refunds later.
        """
        request_id = reservation.request_id
        if self._keeps_pictures and documents.lost_claims(reservation.document):
            leaves_picture = True
        ending = self._return(
            request_id, reservation.user_id, failure, is_run_of(reservation), leaves_picture, deadline
        )
        if ending is None or ending.status == documents.COMPLETED:
            raise ClaimLost
        if ending.status == documents.CANCELED:
            raise GenerationCanceled(reservation.cost_credits, request_id)
        if ending.failure == ACCOUNT_DELETED:
            raise UserNotFound()

    def cancel(self, request_id: str, user_id: str, deadline: Deadline = NO_DEADLINE) -> int:
        """Gives the credits of a pending request back now; whoever runs it gets nothing for it.

        Returns the balance in credits right after the refund, also if an earlier call canceled it.

        Raises:
            GenerationEnded: it completed or failed first.
            UserNotFound: the account was deleted, and its credits with it.
            BrokenDocument: the balance is not an integer of at least 0, or a stored field is wrong.
            Unavailable: the outcome is not known; canceling again shows it.
        """
        ending = self._return(request_id, user_id, None, lambda request: True, self._keeps_pictures, deadline)
        assert ending is not None, "a pending request can always be canceled"
        if ending.status != documents.CANCELED:
            raise GenerationEnded(ending.status, request_id)
        if ending.balance_after_credits is None:
            # The entry of the refund is gone, and with it the account.
            raise UserNotFound()
        return ending.balance_after_credits

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

    def _return(
        self,
        request_id: str,
        user_id: str,
        failure: str | None,
        is_due: Callable[[Document], bool],
        leaves_picture: bool,
        deadline: Deadline = NO_DEADLINE,
    ) -> Ending | None:
        plan = RefundPlan(request_id, user_id, failure, is_due, leaves_picture, self._outbox)
        ending = self._store.transact(plan.paths, plan.decide, deadline, turn=user_id)
        if ending and ending.event:
            self._outbox.send(ending.event, deadline)
            if ending.failure is None:
                _log("generation canceled", request_id, user_id)
            else:
                event = "credits lost" if ending.failure == ACCOUNT_DELETED else "credits refunded"
                _log(event, request_id, user_id, reason=ending.failure)
        return ending

    def _release(self, document: Document) -> bool:
        def is_due(request: Document) -> bool:
            return documents.has_come(request, "leaseExpiresAt")

        try:
            user_id = documents.user_id(document)
            ending = self._return(document.id, user_id, LEASE_EXPIRED, is_due, self._keeps_pictures)
            return ending is not None and ending.is_new and ending.failure == LEASE_EXPIRED
        except Internal as error:
            problem = error.log_fields
        # The boundary of one reservation: an error in it must not keep the credits of the others.
        except Exception as error:  # noqa: BLE001
            problem = {"places": logs.places(error)}
        logs.error("reservation not released", generationRequestId=document.id, **problem)
        return False


def _log(event: str, request_id: str, user_id: str, **fields: Any) -> None:
    logs.info(event, generationRequestId=request_id, userId=user_id, **fields)
