"""The Firestore client (lazy), the collections' names, and transactions in their optimistic form.

A transaction here reads documents, lets a pure `plan` decide, and sends one Commit whose writes carry preconditions:
the version read, or that the document must not exist. On a conflict, and where the outcome of a Commit is unknown, it
reads again and lets the plan decide on what is there now; so a plan must recognise its own earlier attempt. It is how
Firestore's mobile and web clients run transactions: https://firebase.google.com/docs/firestore/transaction-data-contention
"""

import math
import random
import re
import threading
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NoReturn, TypeVar

import grpc
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.cloud import firestore
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.cloud.firestore_v1.types import RunQueryResponse

from errors import Unavailable

USERS = "users"
TRANSACTIONS = "transactions"
GENERATION_REQUESTS = "generationRequests"
IN_FLIGHT = "inFlight"
GRANTS = "grants"
REPORTS = "reports"
STYLES = "styles"
COLORS = "colors"
SIZES = "sizes"

_PLAIN_KINDS = ("integer_value", "boolean_value", "double_value")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# As a field's value: the time at which the server writes it, whatever this machine's clock says.
COMMIT_TIME = firestore.SERVER_TIMESTAMP
# As a field's value: the field is removed.
REMOVED = firestore.DELETE_FIELD

# gRPC waits up to two minutes before it connects again, and a new channel to the same host shares that wait:
# https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md
_CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.min_reconnect_backoff_ms", 3000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]

# Not None: a query whose stream breaks off asks its retry for advice, and fails on None.
_NEVER = Retry(predicate=lambda error: False)
# Firestore reserves these as document ids: https://firebase.google.com/docs/firestore/quotas#limits
_RESERVED_ID = re.compile(r"\.\.?|__.*__", re.DOTALL)

T = TypeVar("T")

# Others changed a document first, or created it: nothing was written, and reading again tells what is there now.
_CONFLICTS = (exceptions.Conflict, exceptions.FailedPrecondition, exceptions.NotFound)
# Firestore did not answer, or not clearly: the write may have been applied.
_UNCLEAR = (exceptions.ServerError, exceptions.TooManyRequests, exceptions.Cancelled, exceptions.RetryError)
# A read has no preconditions: NOT_FOUND or FAILED_PRECONDITION there means no database, or no index.
_RETRIED_READS = (exceptions.Aborted, *_UNCLEAR)
_RETRIED_TRANSACTIONS = (*_CONFLICTS, *_UNCLEAR)


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read: `data` and `version` (its update time) are None where it does not exist."""

    path: str
    data: Mapping[str, Any] | None
    version: datetime | None
    read_time: datetime | None = None

    @property
    def id(self) -> str:
        return document_id(self.path)

    @property
    def fields(self) -> Mapping[str, Any]:
        """The document's fields; none where it does not exist."""
        return self.data or {}


@dataclass(frozen=True, slots=True)
class Query:
    """Documents of one collection that match every (field, operator, value), ordered by a field, if any, then the id.

    `after` is the last document of the page before. A query with both an equality and an order needs a composite index
    in firestore.indexes.json, which the emulator does not insist on.
    """

    collection: str
    where: Sequence[tuple[str, str, Any]] = ()
    order_by: str | None = None
    descending: bool = False
    after: Document | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """Fields to write to one document: a new one where `replaces` is None, else over that version of it.

    One that `merges` goes, nested fields too, into whatever is there, be it nothing.
    """

    path: str
    data: Mapping[str, Any]
    replaces: datetime | None = None
    merges: bool = False


@dataclass(frozen=True, slots=True)
class Commit(Generic[T]):
    """A plan's decision to write; `answer` gets the documents' new versions by path once the writes stand."""

    writes: Sequence[Write]
    answer: Callable[[Mapping[str, datetime]], T]


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A plan's decision that there is nothing to write."""

    value: T


Row = Mapping[str, Any]
Plan = Callable[[Mapping[str, Document]], Commit[T] | Answer[T]]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to try, and how long to wait between tries: full jitter under a doubling ceiling.

    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    budget_seconds: float = 15.0
    rpc_share: float = 1 / 3
    first_pause_seconds: float = 0.01
    longest_pause_seconds: float = 0.5
    uniform: Callable[[float, float], float] = random.SystemRandom().uniform
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic


def connect(project: str | None) -> firestore.Client:
    """A Firestore client that reconnects within a second of Firestore's return; sends nothing yet."""
    client = firestore.Client(project=project)
    # The client takes no channel options, so its channel is made here as it would make it, with ours.
    host = client._target
    if client._emulator_host:
        channel = grpc.insecure_channel(host, options=_CHANNEL_OPTIONS)
    else:
        channel = FirestoreGrpcTransport.create_channel(host, credentials=client._credentials, options=_CHANNEL_OPTIONS)
    client._firestore_api_internal = FirestoreClient(transport=FirestoreGrpcTransport(host=host, channel=channel))
    return client


class Turns:
    """First come, first served per key within this process, so that one user's requests do not fight each other."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._queues: dict[str, deque[threading.Event]] = {}

    @contextmanager
    def taken(self, key: str, timeout_seconds: float) -> Iterator[None]:
        """Waits for the key's turn and holds it.

        Raises:
            Unavailable: the turn did not come in time.
        """
        turn = threading.Event()
        with self._guard:
            queue = self._queues.setdefault(key, deque())
            queue.append(turn)
            queue[0].set()
        try:
            if not turn.wait(timeout_seconds):
                raise Unavailable("Too many requests of this user at once. Try again.")
            yield
        finally:
            with self._guard:
                queue.remove(turn)
                if queue:
                    queue[0].set()
                else:
                    del self._queues[key]


@dataclass(slots=True)
class _Attempts:
    """The time left for one call, and the pauses between its attempts."""

    policy: RetryPolicy
    deadline: float = field(init=False)
    ceiling_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        self.deadline = self.policy.monotonic() + self.policy.budget_seconds
        self.ceiling_seconds = self.policy.first_pause_seconds

    @property
    def left_seconds(self) -> float:
        return max(0.0, self.deadline - self.policy.monotonic())

    @property
    def rpc_timeout_seconds(self) -> float:
        # A share of the budget, so that one silent call leaves time to find out; never zero, which gRPC does not send.
        return max(0.05, min(self.policy.budget_seconds * self.policy.rpc_share, self.left_seconds))

    def pause(self) -> bool:
        """Waits before the next attempt; False where no time is left for one."""
        pause_seconds = self.policy.uniform(0, self.ceiling_seconds)
        self.ceiling_seconds = min(self.ceiling_seconds * 2, self.policy.longest_pause_seconds)
        if pause_seconds >= self.left_seconds:
            return False
        self.policy.sleep(pause_seconds)
        return True


class Database:
    """Firestore as the other modules see it. Connects at the first call; safe to share between threads."""

    def __init__(self, connect: Callable[[], firestore.Client], policy: RetryPolicy | None = None) -> None:
        self._connect = connect
        self._policy = policy or RetryPolicy()
        self._client: firestore.Client | None = None
        self._guard = threading.Lock()
        self._turns = Turns()

    def read(self, paths: Sequence[str]) -> dict[str, Document]:
        """Reads documents in one round trip, by path.

        Raises:
            Unavailable: Firestore did not answer in time.
        """
        return self._persist(lambda attempts: self._read_once(paths, attempts), _RETRIED_READS)

    def read_one(self, path: str) -> Document:
        """Reads one document in one round trip.

        Raises:
            Unavailable: Firestore did not answer in time.
        """
        return self.read([path])[path]

    def query(self, query: Query, read_time: datetime | None = None) -> list[Document]:
        """Runs a query in one round trip; as of `read_time` where that is given.

        Raises:
            Unavailable: Firestore did not answer in time.
        """
        return self._persist(lambda attempts: self._query_once(query, read_time, attempts), _RETRIED_READS)

    def pages(self, query: Query, read_time: datetime | None = None) -> Iterator[list[Document]]:
        """The query's documents in pages of its `limit`, one round trip each; goes on behind the last one seen.

        Raises:
            Unavailable: Firestore did not answer in time.
        """
        while page := self.query(query, read_time):
            yield page
            query = replace(query, after=page[-1])

    def fold(self, query: Query, fields: Sequence[str], start: Callable[[], T], add: Callable[[T, Row], None]) -> T:
        """Adds each of the query's documents, cut to these fields, to a value; holds one document at a time.

        Where the stream breaks off it begins again with a new value.

        Raises:
            Unavailable: Firestore did not answer in time.
        """

        def attempt(attempts: _Attempts) -> T:
            value = start()
            for row in self._rows_once(query, fields, attempts):
                add(value, row)
            return value

        return self._persist(attempt, _RETRIED_READS)

    def run_transaction(
        self,
        paths: Sequence[str],
        plan: Plan[T],
        known: Mapping[str, Document] | None = None,
        turn: str | None = None,
        within_seconds: float = math.inf,
    ) -> T:
        """Reads `paths`, lets `plan` decide on them, and commits what it decides; again until it stands.

        Args:
            paths: the documents that the plan reads.
            plan: pure; called again with fresh documents after a conflict or an unknown outcome.
            known: the documents' last known state, in place of the first read.
            turn: callers of one process with the same turn go one after the other.
            within_seconds: gives up after this, where it is less than the policy's budget.

        Raises:
            Unavailable: conflicts or silence lasted for the whole budget.
        """
        policy = replace(self._policy, budget_seconds=min(within_seconds, self._policy.budget_seconds))
        if turn is None:
            return self._transact(paths, plan, known, policy)
        with self._turns.taken(turn, policy.budget_seconds):
            return self._transact(paths, plan, known, policy)

    def client(self) -> firestore.Client:
        """The Firestore client, connected at the first call."""
        with self._guard:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _transact(
        self, paths: Sequence[str], plan: Plan[T], known: Mapping[str, Document] | None, policy: RetryPolicy
    ) -> T:
        def attempt(attempts: _Attempts) -> T:
            nonlocal known
            documents, known = known or self._read_once(paths, attempts), None
            step = plan(documents)
            if isinstance(step, Answer):
                return step.value
            try:
                return step.answer(self._commit_once(step.writes, attempts))
            except _RETRIED_TRANSACTIONS:
                raise
            except exceptions.GoogleAPICallError:
                # Final, it seems; but what stands between us and Firestore may have said it after the write.
                step = plan(self._read_once(paths, attempts))
                if isinstance(step, Answer):
                    return step.value
                raise

        return self._persist(attempt, _RETRIED_TRANSACTIONS, policy)

    def _persist(
        self,
        attempt: Callable[[_Attempts], T],
        retried: tuple[type[Exception], ...],
        policy: RetryPolicy | None = None,
    ) -> T:
        attempts = _Attempts(policy or self._policy)
        while True:
            try:
                return attempt(attempts)
            except retried as error:
                if not attempts.pause():
                    self._give_up(error)

    def _give_up(self, error: Exception) -> NoReturn:
        if isinstance(error, _CONFLICTS):
            raise Unavailable("Too many changes at once. Try again.") from error
        raise Unavailable("The database is not available. Try again.") from error

    def _read_once(self, paths: Sequence[str], attempts: _Attempts) -> dict[str, Document]:
        client = self.client()
        references = [client.document(path) for path in paths]
        snapshots = client.get_all(references, retry=None, timeout=attempts.rpc_timeout_seconds)
        return {document.path: document for document in map(_document, snapshots)}

    def _query_once(self, query: Query, read_time: datetime | None, attempts: _Attempts) -> list[Document]:
        built = _built(self.client(), query)
        snapshots = built.stream(retry=_NEVER, timeout=attempts.rpc_timeout_seconds, read_time=read_time)
        return [_document(snapshot) for snapshot in snapshots]

    def _rows_once(self, query: Query, fields: Sequence[str], attempts: _Attempts) -> Iterator[Row]:
        """Decoded from the protobuf messages, since the client's own wrapping is most of what a document costs."""
        client = self.client()
        built = _built(client, query).select(fields)
        parent, _ = built._parent._parent_info()
        responses = client._firestore_api.run_query(
            request={"parent": parent, "structured_query": built._to_protobuf()},
            retry=None,
            timeout=attempts.rpc_timeout_seconds,
            metadata=client._rpc_metadata,
        )
        for response in responses:
            message = RunQueryResponse.pb(response)
            if message.HasField("document"):
                yield {name: _decoded(value) for name, value in message.document.fields.items()}

    def _commit_once(self, writes: Sequence[Write], attempts: _Attempts) -> dict[str, datetime]:
        client = self.client()
        batch = client.batch()
        for write in writes:
            reference = client.document(write.path)
            if write.merges:
                batch.set(reference, dict(write.data), merge=True)
            elif write.replaces is None:
                batch.create(reference, dict(write.data))
            else:
                batch.update(reference, dict(write.data), client.write_option(last_update_time=write.replaces))
        # No retry here: one that follows an applied write would read as a conflict and hide the answer.
        results = batch.commit(retry=None, timeout=attempts.rpc_timeout_seconds)
        return {write.path: result.update_time for write, result in zip(writes, results, strict=True)}


def is_plain_id(text: str, max_length: int) -> bool:
    """Whether a text is one document's id and no path, without control characters, and not reserved."""
    return (
        1 <= len(text) <= max_length
        and "/" not in text
        and not _RESERVED_ID.fullmatch(text)
        # Cc: control characters. Cs: lone surrogates, which UTF-8 cannot carry.
        and not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
    )


def document_id(path: str) -> str:
    """The last part of a document's path."""
    return path.rpartition("/")[2]


def _built(client: firestore.Client, query: Query) -> firestore.Query:
    built = firestore.Query(client.collection(query.collection))
    for name, operator, value in query.where:
        built = built.where(filter=firestore.FieldFilter(name, operator, value))
    direction = firestore.Query.DESCENDING if query.descending else firestore.Query.ASCENDING
    order = [name for name in (query.order_by, "__name__") if name is not None]
    for name in order:
        built = built.order_by(name, direction=direction)
    if query.after is not None:
        last = {**query.after.fields, "__name__": query.after.id}
        built = built.start_after({name: last.get(name) for name in order})
    return built if query.limit is None else built.limit(query.limit)


def _decoded(value: Any) -> Any:
    """A value of a type that a folded field may have; None for any other."""
    kind = value.WhichOneof("value_type")
    if kind == "string_value":
        return value.string_value
    if kind == "timestamp_value":
        moment = value.timestamp_value
        return _EPOCH + timedelta(seconds=moment.seconds, microseconds=moment.nanos // 1000)
    return getattr(value, kind) if kind in _PLAIN_KINDS else None


def _document(snapshot: Any) -> Document:
    return Document(snapshot.reference.path, snapshot.to_dict(), snapshot.update_time, snapshot.read_time)
