"""Claims: which worker may run the model for an asynchronous purchase. One at a time, each for a limited time.

A task may be delivered twice, late or never, and a worker may die at any point. So the request itself says who has it:
`claims` lists the runs, the last of which may end it, and from `claimableAt` on another worker may claim it. If it has
waited for too long since `workerDueAt`, a sweep asks for a worker again (task_sweep.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import logs
from credits import documents
from credits.documents import DEDUCTION, PENDING, WORKER_DUE_AT
from credits.reservations import Purchase, Reservation
from store import Answer, Commit, Document, Store, Version, Write


@dataclass(frozen=True, slots=True)
class Claim:
    """A request that this worker alone may run, and for how long."""

    reservation: Reservation
    purchase: Purchase
    run_seconds: float


class Claims:
    """Gives requests to workers; `new_id` gives unique ids that nobody can guess. A claim lasts `claim_seconds`."""

    def __init__(self, store: Store, new_id: Callable[[], str], claim_seconds: float) -> None:
        self._store = store
        self._new_id = new_id
        self.claim_seconds = claim_seconds

    def claim(self, request_id: str) -> Claim | None:
        """The request, for this worker alone. None if another worker has it, it has ended, or it is not asynchronous.

        Raises:
            BrokenDocument: a stored field is wrong.
            Unavailable: the outcome is not known; a claim that was made ends by itself.
        """
        claim_id = self._new_id()
        path = documents.request_path(request_id)
        found = self._store.read_one(path)
        if not found.exists:
            logs.warn("task without a request", generationRequestId=request_id)
            return None
        user_id = documents.user_id(found)
        entry_path = documents.entry_path(user_id, documents.entry_id_of(request_id, DEDUCTION))

        def plan(read: Mapping[str, Document]) -> Commit[Claim | None] | Answer[Claim | None]:
            request, entry = read[path], read[entry_path]
            if not request.exists or not entry.exists or documents.status(request) != PENDING:
                return Answer(None)
            if claim_id in documents.claims(request):
                # The answer of this claim's commit was lost.
                return Answer(self._claim(request, entry, claim_id, request.read_at))
            if not documents.has_come(request, "claimableAt") or documents.has_come(request, "leaseExpiresAt"):
                return Answer(None)
            # Before anything is claimed, since it raises if a stored field is wrong.
            claim = self._claim(request, entry, claim_id, request.read_at)
            until = request.read_at + timedelta(seconds=self.claim_seconds)
            fields = {"claims": [*documents.claims(request), claim_id], "claimableAt": until, WORKER_DUE_AT: until}

            def claimed(versions: Mapping[str, Version]) -> Claim:
                written = replace(request, data={**request.fields, **fields}, version=versions[path])
                return replace(claim, reservation=replace(claim.reservation, document=written))

            return Commit([Write(path, fields, request.version)], claimed)

        claim = self._store.transact([path, entry_path], plan)
        logs.info("generation claimed" if claim else "claim refused", generationRequestId=request_id, userId=user_id)
        return claim

    def _claim(self, request: Document, entry: Document, claim_id: str, now: datetime) -> Claim:
        generation = documents.generation(request)
        reservation = Reservation(
            request.id,
            claim_id,
            generation.user_id,
            generation.cost,
            documents.balance_after(entry),
            request,
        )
        purchase = Purchase(
            generation.user_id,
            generation.model,
            generation.style,
            generation.color,
            generation.size,
            generation.prompt,
        )
        left_seconds = (documents.lease_expires_at(request) - now).total_seconds()
        return Claim(reservation, purchase, min(self.claim_seconds, left_seconds))
