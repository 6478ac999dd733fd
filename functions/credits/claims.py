"""Claims: which worker may run the model for an asynchronous purchase. One at a time, each for a limited time.

A task may be delivered twice, late or never, and a worker may die at any point. So the request itself says who has it:
`claims` lists the runs, the last of which may end it, and from `claimableAt` on another worker may claim it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import logs
from credits import documents
from credits.documents import DEDUCTION, PENDING
from credits.reservations import Purchase, Reservation
from store import Answer, Commit, Document, Query, Store, Version, Write

PAGE_SIZE = 100
# How long a task may take to arrive before a sweep asks for another.
UNCLAIMED_SECONDS = 30.0


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
        self._claim_seconds = claim_seconds

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
            until = request.read_at + timedelta(seconds=self._claim_seconds)
            fields = {"claims": [*documents.claims(request), claim_id], "claimableAt": until}

            def claimed(versions: Mapping[str, Version]) -> Claim:
                written = replace(request, data={**request.fields, **fields}, version=versions[path])
                return self._claim(written, entry, claim_id, request.read_at)

            return Commit([Write(path, fields, request.version)], claimed)

        claim = self._store.transact([path, entry_path], plan)
        logs.info("generation claimed" if claim else "claim refused", generationRequestId=request_id, userId=user_id)
        return claim

    def for_each_waiting(self, enqueue: Callable[[str], object]) -> None:
        """Calls `enqueue` with the id of every request that no worker has, although there was time for one.

        Raises:
            Unavailable: Firestore did not give the next page in time.
        """
        late = self._store.now() - timedelta(seconds=UNCLAIMED_SECONDS)
        waiting = Query(
            documents.GENERATION_REQUESTS,
            where=(("status", "==", PENDING), ("claimableAt", "<=", late)),
            order_by="claimableAt",
            limit=PAGE_SIZE,
        )
        if found := self._store.for_each(waiting, lambda request: enqueue(request.id)):
            logs.warn("unclaimed generations enqueued again", count=len(found))

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
        lease: datetime = request.fields["leaseExpiresAt"]
        return Claim(reservation, purchase, min(self._claim_seconds, (lease - now).total_seconds()))
