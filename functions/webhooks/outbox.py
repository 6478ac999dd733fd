"""The outbox of one target: an event leaves as a stored delivery and as a task that sends it."""

from collections.abc import Sequence

from events import Event
from store import COMMIT_TIME, NO_DEADLINE, Deadline, Write
from task_queue import TaskQueue
from webhooks.documents import PENDING, delivery_path

# The field of a task that names its delivery.
DELIVERY_ID = "deliveryId"


class StoredOutbox:
    """The events.Outbox of one target."""

    def __init__(self, target: str, queue: TaskQueue) -> None:
        self._target = target
        self._queue = queue

    def writes(self, event: Event) -> Sequence[Write]:
        """The delivery. It has no precondition of its own, so it can never keep the event's commit from being made."""
        fields = {
            "type": event.type,
            "target": self._target,
            "data": event.data,
            "status": PENDING,
            "attempts": 0,
            # The server's times: instances' clocks differ, and a commit can come late.
            "createdAt": COMMIT_TIME,
            "queuedAt": COMMIT_TIME,
            "dueAt": COMMIT_TIME,
        }
        return [Write(delivery_path(event.id), fields, merges=True)]

    def send(self, event: Event, deadline: Deadline = NO_DEADLINE) -> None:
        """Asks for the first attempt. If the queue does not take it, the sweep asks again."""
        self._queue.enqueue({DELIVERY_ID: event.id}, deadline)
