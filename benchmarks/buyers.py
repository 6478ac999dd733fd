"""Clients that buy images as good clients do: a new Idempotency-Key per purchase, the same one when they try again."""

import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.clients import LOST, Answer, Client, image_order

SIZES = ("512x512", "1024x1024", "1024x1792")
BOUGHT, FAILED, POOR = "200", "500 GENERATION_FAILED", "400 INSUFFICIENT_CREDITS"
IN_FLIGHT, AWAY = "409 IDEMPOTENCY_IN_FLIGHT", "503 UNAVAILABLE"
TRY_AGAIN = (IN_FLIGHT, AWAY)
CONTRACT = (BOUGHT, FAILED, POOR, *TRY_AGAIN)
LOST_PAUSE_SECONDS = 0.25
# Lease, sweep and the server's own retry budgets, with room: a purchase without a final answer by then hangs.
PATIENCE_SECONDS = 120.0


@dataclass(slots=True)
class Purchase:
    """One Idempotency-Key and all that its client saw; `ended_at_seconds` counts from the start of the run."""

    user_id: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    answers: list[Answer] = field(default_factory=list)
    lost_connections: int = 0
    hangs: int = 0
    seconds: float = 0.0
    ended_at_seconds: float = 0.0

    @property
    def outcome(self) -> str | None:
        """The final answer's kind; None if the client gave up waiting for one."""
        return self.answers[-1].kind if self.answers and self.answers[-1].kind not in TRY_AGAIN else None

    @property
    def request_id(self) -> str | None:
        last = self.answers[-1]
        request_id = last.body.get("generationRequestId") or last.details.get("generationRequestId")
        return request_id if isinstance(request_id, str) else None


class Buyer:
    """One client: buys for users drawn at random for `seconds` from `started` (monotonic); for one thread."""

    def __init__(self, ports: Sequence[int], user_ids: Sequence[str], started: float, seconds: float) -> None:
        self._servers = [Client(port) for port in ports]
        self._user_ids = user_ids
        self._started = started
        self._until = started + seconds
        self._random = random.Random()

    def buy_on(self) -> list[Purchase]:
        purchases = []
        while time.monotonic() < self._until:
            purchases.append(self._buy())
        for server in self._servers:
            server.close()
        return purchases

    def _buy(self) -> Purchase:
        purchase = Purchase(self._random.choice(self._user_ids))
        order = image_order(purchase.user_id, self._random.choice(SIZES))
        started = time.monotonic()
        while time.monotonic() < started + PATIENCE_SECONDS:
            pause_seconds = self._attempt(purchase, order)
            if pause_seconds is None:
                break
            time.sleep(pause_seconds * self._random.uniform(1, 1.5))
        ended = time.monotonic()
        purchase.seconds, purchase.ended_at_seconds = ended - started, ended - self._started
        return purchase

    def _attempt(self, purchase: Purchase, order: Mapping[str, str]) -> float | None:
        """Posts once; the seconds to wait before the next attempt, None after a final answer."""
        server = self._random.choice(self._servers)
        try:
            answer = server.post(order, {"Idempotency-Key": purchase.key})
        except LOST as error:
            purchase.lost_connections += 1
            purchase.hangs += isinstance(error, TimeoutError)
            return LOST_PAUSE_SECONDS
        purchase.answers.append(answer)
        return float(answer.headers.get("Retry-After", 1)) if answer.kind in TRY_AGAIN else None
