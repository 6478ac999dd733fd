"""Firestore in this process: the same preconditions, versions and queries, without a round trip."""

import itertools
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from grpc import StatusCode

from store import (
    COMMIT_TIME,
    REMOVED,
    Connection,
    Document,
    Query,
    RetryPolicy,
    Row,
    Store,
    StoreError,
    Version,
    Write,
)
from store.values import encode
from tests.support.memory_queries import matcher, page

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What nobody can change, so that it needs no copy.
_ATOMS = frozenset((str, int, float, bool, type(None), datetime, bytes))
Data = dict[str, Any]
Hook = Callable[[str], None]


class MemoryStore(Store):
    """A Store whose round trips are answered from a dictionary; everything else is the real code.

    `before_rpc` runs before each round trip and `after_rpc` after it, with its name; either may raise a StoreError.
    """

    def __init__(
        self, clock: Callable[[], datetime], policy: RetryPolicy | None = None, shared: "_Documents | None" = None
    ) -> None:
        policy = policy or RetryPolicy()
        super().__init__(self.connect, policy)
        self.documents = shared or _Documents(clock)
        self.policy = policy
        self.before_rpc: Hook = _nothing
        self.after_rpc: Hook = _nothing
        self.queries: list[Query] = []

    def connect(self) -> Connection:
        """A connection to these documents, for a Store that is built elsewhere."""
        return _MemoryConnection(self)

    def beside(self) -> "MemoryStore":
        """The same documents as another process sees them: with turns and hooks of its own."""
        return MemoryStore(self.documents.clock, self.policy, self.documents)

    def put(self, path: str, data: Mapping[str, Any]) -> None:
        """Stores a document as somebody with the console would, without a precondition."""
        self.documents.put(path, dict(data))

    def remove(self, path: str) -> None:
        """Deletes a document as somebody with the console would."""
        assert self.documents.read(path).exists, path
        self.documents.put(path, None)

    def everything(self) -> dict[str, Data]:
        """Every document, by path."""
        return {document.path: dict(document.fields) for document in self.documents.all() if document.exists}


@dataclass
class _Documents:
    """What each document held since when; None is a document that was deleted."""

    clock: Callable[[], datetime]
    lock: threading.RLock = field(default_factory=threading.RLock)
    history: dict[str, list[tuple[Version, Data | None]]] = field(default_factory=dict)
    # The paths of each collection's documents, also of deleted ones.
    collections: dict[str, list[str]] = field(default_factory=dict)
    now: datetime = _EPOCH

    def read(self, path: str) -> Document:
        with self.lock:
            return _own(self._stored(path, self._read_time()))

    def all(self) -> list[Document]:
        with self.lock:
            now = self._read_time()
            return [_own(self._stored(path, now)) for path in self.history]

    def find(self, query: Query, as_of: Version | None = None) -> list[Document]:
        matches = matcher(query)
        with self.lock:
            moment = self._read_time() if as_of is None else as_of
            matching = []
            for path in self._paths(query):
                version, data = self._state(path, moment)
                # Before a document is made or copied, since most do not match.
                if data is not None and matches(data):
                    matching.append(Document(path, data, version, moment))
            return [_own(document) for document in page(query, matching)]

    def put(self, path: str, data: Data | None) -> None:
        with self.lock:
            self._add(path, _version(self._commit_time()), _copied(data))

    def commit(self, writes: Sequence[Write]) -> dict[str, Version]:
        with self.lock:
            for write in writes:
                _check(self._stored(write.path, self._read_time()), write)
            time = self._commit_time()
            return {write.path: self._apply(write, time) for write in writes}

    def _apply(self, write: Write, time: datetime) -> Version:
        old = self._stored(write.path, self._read_time())
        new = _over(old.fields, write.data, time, write.merges)
        # As in Firestore, a write that changes nothing leaves the version.
        if encode(new) == encode(old.fields) and old.version is not None:
            return old.version
        version = _version(time)
        self._add(write.path, version, new)
        return version

    def _add(self, path: str, version: Version, data: Data | None) -> None:
        if path not in self.history:
            self.collections.setdefault(path.rpartition("/")[0], []).append(path)
        self.history.setdefault(path, []).append((version, data))

    def _state(self, path: str, moment: Version) -> tuple[Version | None, Data | None]:
        for state in reversed(self.history.get(path, ())):
            if state[0] <= moment:
                return state
        return None, None

    def _stored(self, path: str, moment: Version) -> Document:
        """The document with the stored data itself, which nobody may change."""
        version, data = self._state(path, moment)
        return Document(path, data, None if data is None else version, moment)

    def _paths(self, query: Query) -> Iterator[str]:
        """Every document of the query's collections."""
        names = [query.collection]
        if query.everywhere:
            names = [name for name in self.collections if name.rpartition("/")[2] == query.collection]
        return itertools.chain.from_iterable(self.collections.get(name, ()) for name in names)

    def _read_time(self) -> Version:
        self.now = max(self.now, self.clock())
        return _version(self.now)

    def _commit_time(self) -> datetime:
        # After everything that was read or committed.
        self.now = max(self.now + _MICROSECOND, self.clock())
        return self.now


class _MemoryConnection(Connection):
    def __init__(self, store: MemoryStore) -> None:
        # Not the base class's: there is no channel.
        self._store = store

    def batch_get(self, paths: Sequence[str], timeout_seconds: float) -> dict[str, Document]:
        self._before("BatchGetDocuments", timeout_seconds)
        with self._store.documents.lock:
            found = {path: self._store.documents.read(path) for path in paths}
        self._store.after_rpc("BatchGetDocuments")
        return found

    def run_queries(
        self, queries: Sequence[Query], timeout_seconds: float, read_time: Version | None = None
    ) -> list[list[Document]]:
        return [list(self._run_query(query, read_time, timeout_seconds)) for query in queries]

    def stream(self, query: Query, fields: Sequence[str], timeout_seconds: float) -> Generator[Row, None, None]:
        for document in self._run_query(query, None, timeout_seconds):
            yield {name: value for name, value in document.fields.items() if name in fields}

    def run_sum(self, query: Query, field: str, timeout_seconds: float) -> float:
        found = [
            document.fields.get(field)
            for document in self._run_query(query, None, timeout_seconds, rpc="RunAggregationQuery")
        ]
        return sum(value for value in found if isinstance(value, int | float) and not isinstance(value, bool))

    def commit(self, writes: Sequence[Write], timeout_seconds: float) -> dict[str, Version]:
        self._before("Commit", timeout_seconds)
        versions = self._store.documents.commit(writes)
        self._store.after_rpc("Commit")
        return versions

    def _run_query(
        self, query: Query, read_time: Version | None, timeout_seconds: float, rpc: str = "RunQuery"
    ) -> Iterator[Document]:
        """Breaks, if `after_rpc` breaks it, when its documents have arrived."""
        self._before(rpc, timeout_seconds)
        self._store.queries.append(query)
        yield from self._store.documents.find(query, read_time)
        self._store.after_rpc(rpc)

    def _before(self, name: str, timeout_seconds: float) -> None:
        assert timeout_seconds > 0, "gRPC would not send it"
        self._store.before_rpc(name)


def _own(document: Document) -> Document:
    """The document for a caller who may change what it holds."""
    data = None if document.data is None else _copied(document.data)
    return Document(document.path, data, document.version, document.read_time)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        # Most fields are atoms, and a call for each is most of the time that a copy takes.
        return {name: inner if type(inner) in _ATOMS else _copied(inner) for name, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list | tuple) else value


def _check(stored: Document, write: Write) -> None:
    if write.merges:
        return
    if write.replaces is None and stored.exists:
        raise StoreError(StatusCode.ALREADY_EXISTS)
    if write.replaces is not None and not stored.exists:
        raise StoreError(StatusCode.NOT_FOUND)
    if write.replaces is not None and stored.version != write.replaces:
        raise StoreError(StatusCode.FAILED_PRECONDITION)


def _over(old: Mapping[str, Any], data: Mapping[str, Any], time: datetime, merges: bool) -> Data:
    """The old fields with the new ones over them; in maps too, if they are merged."""
    new = dict(old)
    for name, value in data.items():
        if value is REMOVED:
            new.pop(name, None)
        elif value is COMMIT_TIME:
            new[name] = time
        elif not isinstance(value, Mapping):
            new[name] = _copied(value)
        elif not (merges and value):
            new[name] = _over({}, value, time, merges=False)
        elif isinstance(there := old.get(name), Mapping):
            new[name] = _over(there, value, time, merges)
        elif not _only_removes(value):
            new[name] = _over({}, value, time, merges)
    return new


def _only_removes(data: Any) -> bool:
    """Whether a merge of it, if nothing is there, changes nothing."""
    return data is REMOVED or (isinstance(data, Mapping) and bool(data) and all(map(_only_removes, data.values())))


def _version(time: datetime) -> Version:
    since = time - _EPOCH
    return Version((since // _MICROSECOND) * 1000)


def _nothing(name: str) -> None:
    pass
