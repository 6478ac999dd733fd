"""Stored deliveries: attempted until a receiver takes them, listed, and sent again.

A delivery is sent at least once. Its document decides, not its task: two tasks for one delivery are harmless, and a
sweep enqueues again what has no task. Every time is the server's: instances' clocks differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import logs
from errors import DeliveryNotFound, InvalidRequest
from events import Outbox, Silent
from store import COMMIT_TIME, NO_DEADLINE, REMOVED, Answer, Commit, Deadline, Document, Query, Store, Write, readable
from task_queue import TaskQueue
from task_sweep import TaskSweep
from webhooks import sender
from webhooks.documents import DELIVERED, DELIVERIES, EVENTS, FAILED, PENDING, Delivery, delivery, delivery_path
from webhooks.outbox import DELIVERY_ID, StoredOutbox
from webhooks.sender import AttemptResult, Receiver, Send

# A first task has that long to arrive before the sweep asks for another one.
SWEEP_AFTER = timedelta(seconds=60)
# Longer than the queue's longest pause (main.deliverWebhook).
ATTEMPT_DUE_AFTER = timedelta(hours=2)
GIVE_UP_AFTER = timedelta(days=3)
KEPT_FOR = timedelta(days=30)
NO_ADDRESS, NO_SECRET = "no address", "no secret"


class NotTaken(Exception):
    """The receiver did not take a delivery, which is recorded. It is to be tried again."""


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """One page of deliveries, newest first; `last_id` is None on the last page."""

    found: Sequence[Delivery]
    last_id: str | None


class Deliveries:
    """Sends what outboxes stored. Each method raises Unavailable if Firestore does not answer in time."""

    def __init__(
        self, store: Store, queue: TaskQueue, receivers: Mapping[str, Receiver], send: Send = sender.send
    ) -> None:
        """`receivers` are those of each target; `send` makes one attempt."""
        self._store = store
        self._queue = queue
        self._receivers = receivers
        self._send = send

    def outbox(self, target: str) -> Outbox:
        """The outbox of a target; silent if it has no address, and then events cost nothing."""
        return StoredOutbox(target, self._queue) if self._receivers[target].url else Silent()

    def attempt(self, delivery_id: str) -> None:
        """Sends a pending delivery once and records the answer. It ends failed three days after it was queued.

        Raises:
            BrokenDocument: a field has a wrong value.
            NotTaken: the receiver did not take it.
        """
        document = self._store.read_one(delivery_path(delivery_id))
        pending = delivery(document) if document.exists else None
        if pending is None or pending.status != PENDING:
            return
        receiver = self._receivers.get(pending.target, Receiver("", ""))
        result = self._try(receiver, pending, document.read_at)
        status = self._record(document, result)
        logs.info("webhook attempted", type=pending.type, answer=result.words, attempts=pending.attempts + 1)
        if status == FAILED:
            logs.error("webhook given up", type=pending.type, answer=result.words, attempts=pending.attempts + 1)
        if status == PENDING:
            raise NotTaken

    def page(
        self, status: str | None, page_size: int, after_id: str | None = None, deadline: Deadline = NO_DEADLINE
    ) -> DeliveryPage:
        """A page of the deliveries, newest first; of one status, or of all if None.

        Raises:
            InvalidRequest: there is no delivery `after_id`, the last one of the page before.
        """
        after = self._store.read_one(delivery_path(after_id), deadline) if after_id else None
        if after is not None and not isinstance(after.fields.get("createdAt"), datetime):
            raise InvalidRequest.of_page_token()
        where = (("status", "==", status),) if status else ()
        newest = Query(DELIVERIES, where, order_by="createdAt", descending=True, after=after)
        shown, last_id = self._store.page(newest, page_size, deadline)
        return DeliveryPage(readable(shown, delivery), last_id)

    def send_again(self, delivery_id: str, deadline: Deadline = NO_DEADLINE) -> Delivery:
        """Makes a delivery pending again, whatever became of it, and enqueues it under the same id.

        Raises:
            DeliveryNotFound: it does not exist, or no longer.
            BrokenDocument: a field has a wrong value.
        """
        path = delivery_path(delivery_id)

        def plan(read: Mapping[str, Document]) -> Commit[Delivery]:
            document = read[path]
            if not document.exists:
                raise DeliveryNotFound()
            queued = replace(delivery(document), status=PENDING)
            fields = {"status": PENDING, "queuedAt": COMMIT_TIME, "dueAt": COMMIT_TIME, "expiresAt": REMOVED}
            return Commit([Write(path, fields, document.version)], lambda versions: queued)

        queued = self._store.transact([path], plan, deadline)
        self._queue.enqueue({DELIVERY_ID: delivery_id}, deadline)
        return queued

    def enqueue_due(self) -> int:
        """Enqueues again every pending delivery whose task must have been lost; how many the queue took."""
        lost = TaskSweep(self._store, self._queue, DELIVERIES, "dueAt", DELIVERY_ID, SWEEP_AFTER, ATTEMPT_DUE_AFTER)
        return lost.run()

    def _try(self, receiver: Receiver, pending: Delivery, at: datetime) -> AttemptResult:
        if not receiver.url:
            return AttemptResult(NO_ADDRESS)
        # Reports were sent before there was a secret, and go on without one.
        if not receiver.secret and pending.target == EVENTS:
            return AttemptResult(NO_SECRET)
        return self._send(receiver, pending, at)

    def _record(self, attempted: Document, result: AttemptResult) -> str:
        """Stores the result of an attempt, unless another one delivered it meanwhile. Returns the status then."""
        path, at = attempted.path, attempted.read_at

        def plan(read: Mapping[str, Document]) -> Commit[str] | Answer[str]:
            document = read[path]
            if not document.exists:
                return Answer(DELIVERED if result.is_success else FAILED)
            stored = delivery(document)
            # The second: this attempt was recorded already, and the answer of that commit was lost.
            if stored.status == DELIVERED or stored.last_attempt_at == at:
                return Answer(stored.status)
            is_over = at - stored.queued_at >= GIVE_UP_AFTER
            status = DELIVERED if result.is_success else FAILED if is_over else PENDING
            fields = {
                "status": status,
                "attempts": stored.attempts + 1,
                "lastAttemptAt": at,
                "lastAnswer": result.words,
                "dueAt": at + ATTEMPT_DUE_AFTER,
                "expiresAt": REMOVED if status == PENDING else stored.queued_at + KEPT_FOR,
            }
            return Commit([Write(path, fields, document.version)], lambda versions: status)

        return self._store.transact([path], plan, known={path: attempted})
