"""Asks again for tasks that were lost. Each document that waits for a task says since when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import logs
from store import Answer, Commit, Deadline, Document, Query, Store, Write
from task_queue import TaskQueue

PENDING = "pending"
PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class TaskSweep:
    """The pending documents of a collection, each of which needs one task of the queue.

    A document whose time in `waiting_field` was `overdue_after` ago gets another task, which then has `pause` to come:
    without it, every sweep would add a task for each document that waits in a long queue.
    """

    store: Store
    queue: TaskQueue
    collection: str
    waiting_field: str
    # The field of a task that names its document.
    id_field: str
    overdue_after: timedelta
    pause: timedelta
    # A queue that does not answer must not keep the sweep from its other work.
    max_seconds: float = 60.0

    def run(self) -> int:
        """Enqueues what has waited too long, as far as the time reaches; gives how many tasks the queue took.

        Raises:
            Unavailable: Firestore did not answer in time.
        """
        deadline = Deadline.after(self.max_seconds)
        overdue = self.store.now() - self.overdue_after
        query = Query(
            self.collection,
            where=(("status", "==", PENDING), (self.waiting_field, "<=", overdue)),
            order_by=self.waiting_field,
            limit=PAGE_SIZE,
        )
        enqueued = sum(self.store.for_each(query, lambda document: self._enqueue(document, deadline), deadline))
        if enqueued:
            logs.warn("lost tasks enqueued again", collection=self.collection, count=enqueued)
        return enqueued

    def _enqueue(self, document: Document, deadline: Deadline) -> bool:
        if deadline.passed or not self.queue.enqueue({self.id_field: document.id}, deadline):
            return False

        def plan(read: Mapping[str, Document]) -> Commit[None] | Answer[None]:
            found = read[document.path]
            # Its task came meanwhile.
            if found.version != document.version:
                return Answer(None)
            write = Write(found.path, {self.waiting_field: found.read_at + self.pause}, found.version)
            return Commit([write], lambda versions: None)

        self.store.transact([document.path], plan, known={document.path: document})
        return True
