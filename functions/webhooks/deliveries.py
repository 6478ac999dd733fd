"""Stored deliveries: attempted until a receiver takes them, listed, and sent again.

A delivery is sent at least once. Its document decides, not its task: two tasks for one delivery are harmless, and a
sweep enqueues again what has no task. Every time is the server's: instances' clocks differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import logs
from errors import BrokenDocument, DeliveryNotFound, InvalidRequest, Unavailable
from events import Outbox, Silent
from store import COMMIT_TIME, NO_DEADLINE, REMOVED, Answer, Commit, Deadline, Document, Query, Store, Write, readable
from task_queue import TaskQueue
from webhooks import sender
from webhooks.documents import DELIVERED, DELIVERIES, EVENTS, FAILED, PENDING, Delivery, delivery, delivery_path
from webhooks.outbox import DELIVERY_ID, StoredOutbox
from webhooks.sender import Receiver, Send

# A first task has that long to arrive before the sweep asks for another one.
SWEEP_AFTER = timedelta(seconds=60)
# Longer than the queue's longest pause (main.deliverWebhook).
ATTEMPT_DUE_AFTER = timedelta(hours=2)
GIVE_UP_AFTER = timedelta(days=3)
KEPT_FOR = timedelta(days=30)
SWEEP_PAGE_SIZE = 100
NO_ADDRESS, NO_SECRET = "no address", "no secret"


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
            Unavailable: the receiver did not take it, or Firestore is away. The queue tries again.
        """
        document = self._store.read_one(delivery_path(delivery_id))
        try:
            pending = delivery(document) if document.exists else None
        except BrokenDocument as error:
            # No retry mends it.
            logs.error("broken document", **error.log_fields)
            return
        if pending is None or pending.status != PENDING:
            return
        receiver = self._receivers.get(pending.target, Receiver("", ""))
        answer = self._answer(receiver, pending, document.read_at)
        status = self._record(document, answer)
        logs.info("webhook attempted", type=pending.type, answer=answer.words, attempts=pending.attempts + 1)
        if status == FAILED:
            logs.error("webhook given up", type=pending.type, answer=answer.words, attempts=pending.attempts + 1)
        if status == PENDING:
            raise Unavailable("The receiver did not take the delivery.")

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
        self._queue.enqueue({DELIVERY_ID: delivery_id})
        return queued

    def enqueue_due(self) -> int:
        """Enqueues again every pending delivery whose task must have been lost; how many the queue took."""
        if not any(receiver.url for receiver in self._receivers.values()):
            return 0
        due = self._store.now() - SWEEP_AFTER
        where = (("status", "==", PENDING), ("dueAt", "<=", due))
        query = Query(DELIVERIES, where, order_by="dueAt", limit=SWEEP_PAGE_SIZE)
        enqueued = sum(self._store.for_each(query, self._enqueue_again))
        if enqueued:
            logs.info("webhooks enqueued again", count=enqueued)
        return enqueued

    def _answer(self, receiver: Receiver, pending: Delivery, at: datetime) -> sender.Answer:
        if not receiver.url:
            return sender.Answer(NO_ADDRESS)
        # Reports were sent before there was a secret, and go on without one.
        if not receiver.secret and pending.target == EVENTS:
            return sender.Answer(NO_SECRET)
        return self._send(receiver, pending, at)

    def _record(self, attempted: Document, answer: sender.Answer) -> str:
        """Stores the answer of an attempt, unless another one delivered it meanwhile. Returns the status then."""
        path, at = attempted.path, attempted.read_at

        def plan(read: Mapping[str, Document]) -> Commit[str] | Answer[str]:
            document = read[path]
            if not document.exists:
                return Answer(DELIVERED if answer.is_success else FAILED)
            stored = delivery(document)
            # The second: this attempt was recorded already, and the answer of that commit was lost.
            if stored.status == DELIVERED or stored.last_attempt_at == at:
                return Answer(stored.status)
            is_over = at - stored.queued_at >= GIVE_UP_AFTER
            status = DELIVERED if answer.is_success else FAILED if is_over else PENDING
            fields = {
                "status": status,
                "attempts": stored.attempts + 1,
                "lastAttemptAt": at,
                "lastAnswer": answer.words,
                "dueAt": at + ATTEMPT_DUE_AFTER,
                "expiresAt": REMOVED if status == PENDING else stored.queued_at + KEPT_FOR,
            }
            return Commit([Write(path, fields, document.version)], lambda versions: status)

        return self._store.transact([path], plan, known={path: attempted})

    def _enqueue_again(self, document: Document) -> bool:
        if not self._queue.enqueue({DELIVERY_ID: document.id}):
            return False

        def plan(read: Mapping[str, Document]) -> Commit[bool] | Answer[bool]:
            found = read[document.path]
            # Attempted meanwhile.
            if found.version != document.version:
                return Answer(True)
            write = Write(found.path, {"dueAt": found.read_at + ATTEMPT_DUE_AFTER}, found.version)
            return Commit([write], lambda versions: True)

        return self._store.transact([document.path], plan, known={document.path: document})
