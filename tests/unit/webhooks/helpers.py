"""A sender's desk: deliveries on an in-process store, a queue that remembers, and a receiver that answers as told."""

from datetime import datetime
from typing import Any

from events import CREDITS_GRANTED, Event
from store import Commit
from tests.support.builders import Clock, impatient
from tests.support.memory import MemoryStore
from tests.support.queues import ListQueue
from webhooks.deliveries import Deliveries
from webhooks.documents import EVENTS, REPORTS, Delivery
from webhooks.sender import AttemptResult, Receiver

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
URL = "https://receiver.example/s3cret"
DATA = {"userId": "ann", "credits": 5, "reason": "Order 1", "currentCredits": 15, "transactionId": "g1-grant"}
EVENT = Event("g1-granted", CREDITS_GRANTED, DATA)
TAKEN = AttemptResult("200", is_success=True)


class Desk:
    """One delivery of EVENT is stored. `answers` come one after the other, the last one for ever."""

    def __init__(self, *answers: AttemptResult, secret: str = SECRET) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock, impatient())
        self.queue = ListQueue()
        self.answers: list[AttemptResult] = [*(answers or [TAKEN])]
        self.sent: list[tuple[Receiver, Delivery, datetime]] = []
        receivers = {EVENTS: Receiver(URL, secret), REPORTS: Receiver("", secret)}
        self.deliveries = Deliveries(self.store, self.queue, receivers, self.send)
        self.put(EVENT)

    def send(self, receiver: Receiver, delivery: Delivery, at: datetime) -> AttemptResult:
        self.sent.append((receiver, delivery, at))
        if len(self.answers) > 1:
            return self.answers.pop(0)
        return self.answers[0]

    def put(self, event: Event, target: str = EVENTS) -> None:
        """Stores an event's delivery as its own commit does."""
        outbox = Deliveries(self.store, self.queue, {target: Receiver(URL, SECRET)}).outbox(target)
        self.store.transact(["any/one"], lambda read: Commit(outbox.writes(event), lambda versions: None))

    def stored(self, delivery_id: str = EVENT.id) -> dict[str, Any]:
        return self.store.everything()[f"webhookDeliveries/{delivery_id}"]

    def change(self, delivery_id: str = EVENT.id, **fields: Any) -> None:
        """Changes a delivery as somebody with the console would."""
        self.store.put(f"webhookDeliveries/{delivery_id}", {**self.stored(delivery_id), **fields})
