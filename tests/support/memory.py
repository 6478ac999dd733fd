"""Firestore in this process: the same preconditions, versions and queries, without a round trip."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from google.api_core import exceptions

import database
from database import Database, Document, Query, RetryPolicy, Row, Write, document_id

_TICK = timedelta(microseconds=1)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda value, wanted: bool(value == wanted),
    "<": lambda value, wanted: bool(value < wanted),
    ">=": lambda value, wanted: bool(value >= wanted),
    "<=": lambda value, wanted: bool(value <= wanted),
}


class MemoryDatabase(Database):
    """A Database whose three round trips are answered from a dictionary; everything else is the real code.

    `before_rpc` runs before each round trip and `after_rpc` after it, with its name; either may raise.
    """

    def __init__(self, clock: Callable[[], datetime], policy: RetryPolicy | None = None) -> None:
        super().__init__(_no_connection, policy)
        self._clock = clock
        self._lock = threading.Lock()
        self._documents: dict[str, tuple[dict[str, Any], datetime]] = {}
        self._last_commit = [clock()]
        self.before_rpc: Callable[[str], None] = _nothing
        self.after_rpc: Callable[[str], None] = _nothing
        self.queries: list[Query] = []

    def beside(self) -> "MemoryDatabase":
        """The same documents as another process sees them: with turns and hooks of its own."""
        other = MemoryDatabase(self._clock, self._policy)
        other._documents, other._lock, other._last_commit = self._documents, self._lock, self._last_commit
        return other

    def put(self, path: str, data: dict[str, Any]) -> None:
        """Stores a document as somebody with the console would, without a precondition."""
        with self._lock:
            self._documents[path] = (dict(data), self._commit_time())

    def remove(self, path: str) -> None:
        with self._lock:
            del self._documents[path]

    def everything(self) -> dict[str, dict[str, Any]]:
        """Every document, by path."""
        with self._lock:
            return {path: dict(data) for path, (data, _) in self._documents.items()}

    def _read_once(self, paths: Sequence[str], attempts: Any) -> dict[str, Document]:
        self.before_rpc("BatchGetDocuments")
        with self._lock:
            found = {path: self._document(path) for path in paths}
        self.after_rpc("BatchGetDocuments")
        return found

    def _query_once(self, query: Query, read_time: datetime | None, attempts: Any) -> list[Document]:
        self.before_rpc("RunQuery")
        self.queries.append(query)
        with self._lock:
            found = [self._document(path) for path in self._documents if _parent(path) == query.collection]
        self.after_rpc("RunQuery")
        return _page(query, [document for document in found if _matches(query, document)])

    def _rows_once(self, query: Query, fields: Sequence[str], attempts: Any) -> Iterator[Row]:
        for document in self._query_once(query, None, attempts):
            yield {name: value for name, value in (document.data or {}).items() if name in fields}

    def _commit_once(self, writes: Sequence[Write], attempts: Any) -> dict[str, datetime]:
        self.before_rpc("Commit")
        with self._lock:
            for write in writes:
                self._check(write)
            time = self._commit_time()
            for write in writes:
                old = self._documents.get(write.path, ({}, time))[0]
                self._documents[write.path] = (_over(old, write.data, time, nested=write.merges), time)
        self.after_rpc("Commit")
        return {write.path: time for write in writes}

    def _check(self, write: Write) -> None:
        stored = self._documents.get(write.path)
        if write.merges:
            return
        if write.replaces is None and stored is not None:
            raise exceptions.AlreadyExists(write.path)
        if write.replaces is not None and stored is None:
            raise exceptions.NotFound(write.path)
        if write.replaces is not None and stored is not None and stored[1] != write.replaces:
            raise exceptions.FailedPrecondition(write.path)

    def _commit_time(self) -> datetime:
        # Shared with those beside, so that their commits are in one order.
        self._last_commit[0] = max(self._last_commit[0] + _TICK, self._clock())
        return self._last_commit[0]

    def _document(self, path: str) -> Document:
        stored = self._documents.get(path)
        if stored is None:
            return Document(path, None, None)
        return Document(path, dict(stored[0]), stored[1])


def _over(old: Mapping[str, Any], data: Mapping[str, Any], time: datetime, nested: bool) -> dict[str, Any]:
    """The old fields with the new ones over them; in maps too, if nested."""
    new = dict(old)
    for name, value in data.items():
        if value is database.REMOVED:
            new.pop(name, None)
        elif nested and isinstance(value, Mapping):
            there = old.get(name)
            new[name] = _over(there if isinstance(there, Mapping) else {}, value, time, nested)
        else:
            new[name] = time if value is database.COMMIT_TIME else value
    return new


def _page(query: Query, documents: list[Document]) -> list[Document]:
    name = query.order_by
    key = _sort_key(name)
    documents = [document for document in documents if name is None or name in (document.data or {})]
    documents.sort(key=key, reverse=query.descending)
    if query.after is not None:
        last = key(query.after)
        documents = [found for found in documents if (key(found) < last if query.descending else key(found) > last)]
    return documents[: query.limit]


def _sort_key(name: str | None) -> Callable[[Document], Any]:
    return lambda document: ((document.data or {})[name], document.id) if name else (document.id,)


def _matches(query: Query, document: Document) -> bool:
    data = document.data or {}
    return all(name in data and _holds(data[name], operator, value) for name, operator, value in query.where)


def _holds(value: Any, operator: str, wanted: Any) -> bool:
    try:
        return _OPERATORS[operator](value, wanted)
    except TypeError:
        # Firestore compares within a type only.
        return False


def _parent(path: str) -> str:
    return path.removesuffix(f"/{document_id(path)}")


def _nothing(name: str) -> None:
    pass


def _no_connection() -> NoReturn:
    raise AssertionError("nothing here needs a connection")
