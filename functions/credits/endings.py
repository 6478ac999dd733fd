"""Ends a pending request: with its image, or without one and with its credits back. Pure plans, as in reservations.py.

Whoever ends a request first wins, and everybody else reads that outcome. Only the run that the request names may give
it an image or fail it; anybody may cancel it or refund it after its lease.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from credits import documents, movements
from credits.documents import (
    ACCOUNT_DELETED,
    CANCELED,
    COMPLETED,
    DEDUCTION,
    FAILED,
    PENDING,
    PICTURE_TO_DELETE,
    REFUND,
)
from credits.reservations import Reservation
from errors import ApiError, GenerationCanceled, GenerationFailed, UserNotFound
from events import Event, Outbox
from store import COMMIT_TIME, REMOVED, Answer, Commit, Document, Write, document_id

# What others may know of a request. Not the prompt.
_TOLD = ("userId", "model", "style", "color", "size", "cost")


class ClaimLost(Exception):
    """Another run may end the request now, or has ended it. This run's image must not be given."""


@dataclass(frozen=True, slots=True)
class CompletionPlan:
    """Gives a request the image of this run."""

    reservation: Reservation
    image_url: str
    outbox: Outbox
    keeps_pictures: bool

    def decide(self, read: Mapping[str, Document]) -> Commit[Event] | Answer[Event]:
        """Completes the request if this run still may; gives its event. The errors are those of Ledger.complete."""
        request, reservation = read[self.reservation.document.path], self.reservation
        status = documents.status(request)
        if status == FAILED:
            raise failed(reservation.cost_credits, request.id, documents.failure(request))
        if status == CANCELED:
            raise GenerationCanceled(reservation.cost_credits, request.id)
        if documents.run_id(request) != reservation.run_id:
            raise ClaimLost
        event = _event(request, COMPLETED, imageUrl=self.image_url)
        if status == COMPLETED:
            return Answer(event)
        fields: dict[str, Any] = {"status": COMPLETED, "imageUrl": self.image_url, "updatedAt": COMMIT_TIME}
        if self.keeps_pictures and documents.lost_claims(request):
            fields[PICTURE_TO_DELETE] = True
        writes = [*_end(request, reservation.user_id, fields), *self.outbox.writes(event)]
        return Commit(writes, lambda versions: event)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended without an image; `is_new` if this plan did it. `failure` is None if it was canceled."""

    status: str
    failure: str | None
    balance_after_credits: int | None
    event: Event | None = None

    @property
    def is_new(self) -> bool:
        return self.event is not None


@dataclass(frozen=True, slots=True)
class RefundPlan:
    """Gives a request's credits back, once: it failed, or with `failure` None, somebody canceled it.

    `is_due` says whether the pending request may be ended by this plan.
    """

    request_id: str
    user_id: str
    failure: str | None
    is_due: Callable[[Document], bool]
    leaves_picture: bool
    outbox: Outbox

    @property
    def paths(self) -> Sequence[str]:
        """The request, the balance, and the entries of the refund and of the deduction."""
        entry_ids = [documents.entry_id_of(self.request_id, entry_type) for entry_type in (REFUND, DEDUCTION)]
        return (
            documents.request_path(self.request_id),
            documents.user_path(self.user_id),
            *(documents.entry_path(self.user_id, entry_id) for entry_id in entry_ids),
        )

    def decide(self, read: Mapping[str, Document]) -> Commit[Ending | None] | Answer[Ending | None]:
        """Ends the request. None if it is pending and not due.

        Raises:
            UserNotFound: the account of a request to cancel was deleted; the request is left to the sweep.
        """
        request, user, entry, deduction = (read[path] for path in self.paths)
        status = documents.status(request)
        if status != PENDING:
            failure = documents.failure(request) if status == FAILED else None
            return Answer(Ending(status, failure, documents.balance_after(entry) if entry.exists else None))
        if not self.is_due(request):
            return Answer(None)
        documents.must_not_exist(entry)
        # An account that was deleted with its ledger and opened again never paid for this request.
        if user.data is None or not deduction.exists:
            if self.failure is None:
                raise UserNotFound()
            return self._commit(request, ACCOUNT_DELETED, [], None)
        movement = movements.of_request(request.id, REFUND, documents.cost(request))
        before_credits = documents.balance(user)
        giving_back = movements.writes(user, before_credits, [movement])
        return self._commit(request, self.failure, giving_back, movements.balance_after(before_credits, [movement]))

    def _commit(
        self, request: Document, failure: str | None, giving_back: Sequence[Write], balance_after_credits: int | None
    ) -> Commit[Ending | None]:
        reason = {} if failure is None else {"failure": failure}
        status = CANCELED if failure is None else FAILED
        fields: dict[str, Any] = {"status": status, "updatedAt": COMMIT_TIME, **reason}
        if self.leaves_picture:
            # Not before this commit: until then a completion could still sell it.
            fields[PICTURE_TO_DELETE] = True
        event = _event(request, status, **reason)
        writes = [*_end(request, self.user_id, fields), *giving_back, *self.outbox.writes(event)]
        return Commit(writes, lambda versions: Ending(status, failure, balance_after_credits, event))


def failed(cost_credits: int, request_id: str, failure: str, *, is_replay: bool = False) -> ApiError:
    """The error for a request that ended as failed: GenerationFailed, or UserNotFound if no account got a refund."""
    if failure == ACCOUNT_DELETED:
        return UserNotFound()
    return GenerationFailed(cost_credits, request_id, failure, is_replay=is_replay)


def is_run_of(reservation: Reservation) -> Callable[[Document], bool]:
    """Whether a request still belongs to this run."""
    return lambda request: documents.run_id(request) == reservation.run_id


def _event(request: Document, status: str, **outcome: str) -> Event:
    told = {name: request.fields.get(name) for name in _TOLD}
    data = {"generationRequestId": request.id, **told, "status": status, **outcome}
    return Event(f"{request.id}-{status}", f"generation.{status}", data)


def _end(request: Document, user_id: str, fields: Mapping[str, Any]) -> list[Write]:
    """The writes that end a request: its fields over the version read, and one place less in flight."""
    leases = {"leases": {document_id(request.path): REMOVED}}
    return [
        Write(request.path, fields, request.version),
        Write(documents.in_flight_path(user_id), leases, merges=True),
    ]
