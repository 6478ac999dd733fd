"""Ledgers, services, callers and clocks for tests that need no emulator."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Request
from grpc import StatusCode
from werkzeug.test import EnvironBuilder

import config
import services
from credits import documents
from credits.audit import Audit
from credits.grants import MAX_GRANTED_CREDITS, Grants
from credits.history import History
from credits.keys import id_for_key
from credits.ledger import Ledger
from credits.orders import Order
from credits.reservations import Purchase, Reservation
from credits.revocations import Revocations
from errors import ApiError, Unauthenticated
from images.keeping import FileStore
from images.model import ImageModel, ImageOrder, Picture, PictureUrl
from store import NO_DEADLINE, Commit, Deadline, RetryPolicy, Store, StoreError, Write
from task_queue import TaskQueue
from tests.support.memory import Hook, MemoryStore

LEASE_SECONDS = 600.0
OPENING_REASON = "Opening balance."
IMAGE_URL = "https://images.example.com/1.png"
PURCHASE = Purchase("ann", "model-a", "anime", "neon", "1024x1024", None)
# What Backend sells; it costs 1 credit.
ORDER = {"userId": "ann", "model": "model-a", "style": "realistic", "color": "vibrant", "size": "512x512"}


@dataclass
class Clock:
    """A clock that goes only when told to."""

    now: datetime = datetime(2026, 3, 2, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Stopwatch:
    """A monotonic clock that goes only when told to."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        self.seconds += seconds


def impatient(stopwatch: Stopwatch | None = None, max_seconds: float = 15.0) -> RetryPolicy:
    """A policy whose pauses move a stopwatch instead of taking time."""
    stopwatch = stopwatch or Stopwatch()
    return RetryPolicy(
        max_seconds=max_seconds, uniform=lambda low, high: high, sleep=stopwatch.forward, monotonic=stopwatch
    )


def counter_ids(prefix: str = "id") -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"{prefix}{next(numbers)}"


def failing(code: StatusCode, rpc: str = "Commit", times: float = 1) -> Hook:
    """A hook that fails the next round trips of this name."""
    failed = itertools.count(1)

    def fail(name: str) -> None:
        if name == rpc and next(failed) <= times:
            raise StoreError(code)

    return fail


def quiet(name: str) -> None:
    """The hook that does nothing."""


def expired(stopwatch: Stopwatch | None = None) -> Deadline:
    """A deadline that has passed."""
    return Deadline.after(0, stopwatch or Stopwatch())


@dataclass
class Books:
    """The ledger and its neighbours on an in-process store, with a clock to move."""

    clock: Clock = field(default_factory=Clock)
    policy: RetryPolicy = field(default_factory=impatient)
    max_pending: int = 1_000
    store: MemoryStore = field(init=False)
    ledger: Ledger = field(init=False)
    grants: Grants = field(init=False)
    history: History = field(init=False)
    revocations: Revocations = field(init=False)
    audit: Audit = field(init=False)
    new_key: Callable[[], str] = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock, self.policy)
        self.ledger = Ledger(self.store, counter_ids("attempt"), LEASE_SECONDS, self.max_pending)
        self.grants = Grants(self.store, counter_ids("grant-attempt"))
        self.revocations = Revocations(self.store, counter_ids("revocation-attempt"))
        self.history = History(self.store)
        self.audit = Audit(self.store)
        self.new_key = counter_ids("key")

    def rival(self) -> Ledger:
        """The ledger of another process on the same documents."""
        return Ledger(self.store.beside(), counter_ids("rival-attempt"), LEASE_SECONDS, self.max_pending)

    def add_user(self, user_id: str = "ann", credits: Any = 10) -> str:
        """A user with this balance: good ones by a grant, bad ones as somebody with the console would store them."""
        add_user(self.store, user_id, credits)
        return user_id

    def balance(self, user_id: str = "ann") -> Any:
        return self.fields(documents.user_path(user_id)).get("credits")

    def fields(self, path: str) -> Mapping[str, Any]:
        """What a document holds."""
        return self.store.everything()[path]

    def change(self, path: str, **fields: Any) -> None:
        """Changes a document as somebody with the console would."""
        self.store.put(path, {**self.store.everything().get(path, {}), **fields})

    def reserve(
        self,
        key: str | None = None,
        price: int | ApiError = 3,
        signup_credits: int = 0,
        deadline: Deadline = NO_DEADLINE,
        **fields: Any,
    ) -> Reservation:
        """A new reservation of PURCHASE with these fields changed; without a key under one of its own."""
        purchase = replace(PURCHASE, **fields)
        outcome = self.ledger.reserve(purchase, key or self.new_key(), price, signup_credits, deadline)
        assert isinstance(outcome, Reservation)
        return outcome

    def order(self, key: str = "k1") -> Reservation:
        """A new reservation of PURCHASE for 3 credits that waits for a worker."""
        outcome = self.ledger.reserve(PURCHASE, key, price_or_error=3, is_async=True)
        assert isinstance(outcome, Reservation)
        return outcome

    def cancel(self, reservation: Reservation) -> None:
        """Cancels a pending purchase: its credits are back."""
        self.ledger.cancel(reservation.request_id, reservation.user_id)


def add_user(store: Store, user_id: str, credits: Any) -> None:
    """Gives a new user these credits by a grant; stores what cannot be granted as somebody with the console would."""
    path = documents.user_path(user_id)
    if type(credits) is int and 0 < credits <= MAX_GRANTED_CREDITS:
        Grants(store, counter_ids("opening")).grant(Order.with_key("opening", user_id, credits, OPENING_REASON))
    else:
        write = Write(path, {"credits": credits}, merges=True)
        store.transact([path], lambda read: Commit([write], lambda versions: None))


def key_with_id_before(prefix: str, user_id: str = "ann") -> str:
    """A key of this user whose request id begins with `prefix`."""
    return next(key for key in map(str, itertools.count()) if id_for_key(user_id, key).startswith(prefix))


@dataclass(frozen=True)
class FakeModel:
    """A model that does what the test says; a text is the URL of its picture."""

    act: Callable[[ImageOrder, Deadline], Picture | str]

    def generate(self, order: ImageOrder, deadline: Deadline) -> Picture:
        made = self.act(order, deadline)
        return PictureUrl(made) if isinstance(made, str) else made


class Backend:
    """The services as they are built for deployment, on an in-process store, with clocks to move.

    The catalog sells one image, ORDER, for 1 credit.
    """

    def __init__(
        self,
        act: Callable[[ImageOrder, Deadline], Picture | str] | None = None,
        files: FileStore | None = None,
        queue: Callable[[str], TaskQueue] | None = None,
        sleep: Callable[[float], None] | None = None,
        **environ: str,
    ) -> None:
        self.clock = Clock()
        self.stopwatch = Stopwatch()
        self.store = MemoryStore(self.clock, impatient(self.stopwatch))
        self.store.put("styles/realistic", {})
        self.store.put("colors/vibrant", {})
        self.store.put("sizes/512x512", {"credits": 1})
        self.settings = config.load({config.FIRESTORE_HOST: "127.0.0.1:1", **environ})
        model: ImageModel = FakeModel(act or (lambda order, deadline: IMAGE_URL))
        self.services = services.build(
            self.settings,
            connect=self.store.connect,
            policy=impatient(self.stopwatch),
            models={"model-a": model},
            files=files,
            monotonic=self.stopwatch,
            queue=queue,
            sleep=sleep or self.stopwatch.forward,
        )

    def deadline(self, seconds: float = 57.0) -> Deadline:
        """The deadline of a request that arrives now, on the stopwatch."""
        return Deadline.after(seconds, self.stopwatch)

    def add_user(self, user_id: str = "ann", credits: Any = 10) -> str:
        add_user(self.store, user_id, credits)
        return user_id

    def balance(self, user_id: str = "ann") -> Any:
        return self.store.everything()[documents.user_path(user_id)].get("credits")

    def violations(self, user_id: str = "ann") -> list[str]:
        """What the audit finds in a user's documents."""
        return Audit(self.store).of_user(user_id).violations


class KnownTokens:
    """Tokens that are known by name; only `good` is an App Check token. Remembers the deadlines that it was given."""

    def __init__(self, **claims: Mapping[str, Any]) -> None:
        self._claims = claims
        self.deadlines: list[Deadline] = []

    def claims(self, id_token: str, deadline: Deadline) -> Mapping[str, Any]:
        self.deadlines.append(deadline)
        if id_token not in self._claims:
            raise Unauthenticated("unknown", "expired 5 s ago")
        return self._claims[id_token]

    def check_app(self, app_check_token: str, deadline: Deadline) -> None:
        self.deadlines.append(deadline)
        if app_check_token != "good":
            raise Unauthenticated("no app")


def http_request(method: str = "GET", **parts: Any) -> Request:
    """A request as Flask hands it to a function; the parts are those of werkzeug's EnvironBuilder."""
    return Request(EnvironBuilder(method=method, **parts).get_environ())
