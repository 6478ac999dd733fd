"""A thousand deliveries to a receiver that fails, hangs and is gone for a while: real HTTP, a queue that retries."""

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from events import CREDITS_GRANTED, Event
from store import NO_DEADLINE, Commit, Deadline, Document, RetryPolicy, Write
from tests.support.memory import MemoryStore
from tests.unit.webhooks.helpers import SECRET
from webhooks.deliveries import Deliveries, NotTaken
from webhooks.documents import EVENTS, Delivery
from webhooks.sender import AttemptResult, Receiver, send

COUNT = 1_000 if os.environ.get("THOROUGH") == "1" else 100
TIMEOUT_SECONDS = 0.5
WORKERS = 16
# Of each delivery's tasks, as many are lost: the sweep must find them.
LOST_SHARE = 0.05
GONE_FROM, GONE_UNTIL = 0.3, 0.5


class Receiving(ThreadingHTTPServer):
    """Verifies each message as a receiver does. Fails 20 % of the time, hangs 2 %, and is gone for a while."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.chance = random.Random(13)
        self.guard = threading.Lock()
        self.seen = 0
        self.counts: Counter[str] = Counter()
        self.taken: dict[str, list[bytes]] = {}
        self.bytes_of: dict[str, set[bytes]] = {}
        self.stopped = threading.Event()

    def mood(self) -> str:
        with self.guard:
            self.seen += 1
            if GONE_FROM * COUNT < self.seen < GONE_UNTIL * COUNT:
                return "gone"
            drawn = self.chance.random()
        return "hangs" if drawn < 0.02 else "fails" if drawn < 0.22 else "takes"


class _Handler(BaseHTTPRequestHandler):
    server: Receiving

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = dict(self.headers)
        mood = self.server.mood()
        with self.server.guard:
            self.server.counts[mood] += 1
            self.server.bytes_of.setdefault(headers["webhook-id"], set()).add(body)
        if mood == "hangs":
            self.server.stopped.wait(30)
        if mood in ("gone", "hangs"):
            self.close_connection = True
            return
        if mood == "takes":
            assert Webhook(SECRET).verify(body, headers)
            self._refuse_forgeries(body, headers)
            with self.server.guard:
                self.server.taken.setdefault(headers["webhook-id"], []).append(body)
        self.send_response(200 if mood == "takes" else 500)
        self.end_headers()

    def _refuse_forgeries(self, body: bytes, headers: dict[str, str]) -> None:
        """The same with a changed byte, and with an old time."""
        place = len(body) // 2
        changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        old = {**headers, "webhook-timestamp": str(int(time.time()) - 301)}
        for forged, with_headers in ((changed, headers), (body, old)):
            try:
                Webhook(SECRET).verify(forged, with_headers)
            except WebhookVerificationError:
                with self.server.guard:
                    self.server.counts["refused forgeries"] += 1

    def log_message(self, *_: Any) -> None:
        pass


class RetryingQueue:
    """A queue as Cloud Tasks is: it calls again what failed, calls some twice, and loses some."""

    def __init__(self) -> None:
        self.chance = random.Random(7)
        self.waiting: list[str] = []
        self.guard = threading.Lock()

    def enqueue(self, data: Mapping[str, str], deadline: Deadline = NO_DEADLINE) -> bool:
        with self.guard:
            drawn = self.chance.random()
            self.waiting += [] if drawn < LOST_SHARE else [data["deliveryId"]] * (2 if drawn > 1 - LOST_SHARE else 1)
        return True

    def run(self, deliveries: Deliveries) -> None:
        """Until nothing waits."""

        def call(delivery_id: str) -> None:
            try:
                deliveries.attempt(delivery_id)
            except NotTaken:
                with self.guard:
                    self.waiting.append(delivery_id)

        with ThreadPoolExecutor(WORKERS) as threads:
            while self.waiting:
                with self.guard:
                    batch, self.waiting = self.waiting, []
                list(threads.map(call, batch))


def _commit(writes: Sequence[Write], read: Mapping[str, Document]) -> Commit[None]:
    return Commit(writes, lambda versions: None)


def test_a_storm_loses_no_delivery() -> None:
    """Each arrives, verified with the stock library, with the same bytes at every attempt; forgeries are refused."""
    ahead = timedelta()
    store = MemoryStore(lambda: datetime.now(UTC) + ahead, RetryPolicy())
    server, queue = Receiving(), RetryingQueue()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def attempt(receiver: Receiver, delivery: Delivery, at: datetime) -> AttemptResult:
        # A time ahead, which finds lost tasks, is not the receiver's.
        return send(receiver, delivery, at - ahead, TIMEOUT_SECONDS)

    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hook", SECRET)
    deliveries = Deliveries(store, queue, {EVENTS: receiver}, attempt)
    outbox, began = deliveries.outbox(EVENTS), time.monotonic()
    for number in range(COUNT):
        event = Event(f"g{number}-granted", CREDITS_GRANTED, {"userId": f"user{number}", "credits": number + 1})
        store.transact(["any/one"], partial(_commit, outbox.writes(event)))
        outbox.send(event)
    sweeps = 0
    queue.run(deliveries)
    while any(fields["status"] == "pending" for fields in store.everything().values()):
        ahead += timedelta(hours=2, seconds=61)
        deliveries.enqueue_due()
        queue.run(deliveries)
        sweeps += 1
    server.stopped.set()
    server.shutdown()
    server.server_close()
    stored = store.everything().values()
    assert len(server.taken) == COUNT
    assert Counter(fields["status"] for fields in stored) == {"delivered": COUNT}
    assert all(len(each) == 1 for each in server.bytes_of.values())
    assert {json.loads(each[0])["data"]["userId"] for each in server.taken.values()} == {
        f"user{number}" for number in range(COUNT)
    }
    taken = sum(map(len, server.taken.values()))
    assert server.counts["refused forgeries"] == 2 * taken
    assert {"gone", "fails", "takes"} <= {*server.counts}
    print(
        f"\n{COUNT} deliveries: {server.seen} attempts, {dict(server.counts)}, {taken - COUNT} taken twice, "
        f"{sweeps} sweeps for lost tasks, {time.monotonic() - began:.1f} s"
    )
