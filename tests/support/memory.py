"""Firestore in this process: the same preconditions, versions and queries, without a round trip."""

import copy
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from google.api_core import exceptions

from database import Database, Document, Query, RetryPolicy, Write, document_id

_TICK = timedelta(microseconds=1)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda value, wanted: bool(value == wanted),
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
        self._last_commit: datetime | None = None
        self.before_rpc: Callable[[str], None] = _nothing
        self.after_rpc: Callable[[str], None] = _nothing
        self.queries: list[Query] = []

    def put(self, path: str, data: dict[str, Any]) -> None:
        """Stores a document as somebody with the console would, without a precondition."""
        with self._lock:
            self._documents[path] = (copy.deepcopy(data), self._commit_time())

    def remove(self, path: str) -> None:
        with self._lock:
            del self._documents[path]

    def everything(self) -> dict[str, dict[str, Any]]:
        """Every document, by path."""
        with self._lock:
            return {path: copy.deepcopy(data) for path, (data, _) in self._documents.items()}

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

    def _commit_once(self, writes: Sequence[Write], attempts: Any) -> dict[str, datetime]:
        self.before_rpc("Commit")
        with self._lock:
            for write in writes:
                self._check(write)
            time = self._commit_time()
            for write in writes:
                old = self._documents.get(write.path, ({}, time))[0]
                self._documents[write.path] = ({**old, **copy.deepcopy(dict(write.data))}, time)
        self.after_rpc("Commit")
        return {write.path: time for write in writes}

    def _check(self, write: Write) -> None:
        stored = self._documents.get(write.path)
        if write.replaces is None and stored is not None:
            raise exceptions.AlreadyExists(write.path)
        if write.replaces is not None and stored is None:
            raise exceptions.NotFound(write.path)
        if write.replaces is not None and stored is not None and stored[1] != write.replaces:
            raise exceptions.FailedPrecondition(write.path)

    def _commit_time(self) -> datetime:
        earliest = self._clock() if self._last_commit is None else self._last_commit + _TICK
        self._last_commit = max(earliest, self._clock())
        return self._last_commit

    def _document(self, path: str) -> Document:
        stored = self._documents.get(path)
        if stored is None:
            return Document(path, None, None)
        return Document(path, copy.deepcopy(stored[0]), stored[1])


def _page(query: Query, documents: list[Document]) -> list[Document]:
    name = query.order_by
    if name is not None:
        key = _sort_key(name)
        documents = sorted((document for document in documents if name in (document.data or {})), key=key)
        if query.descending:
            documents.reverse()
        if query.after is not None:
            last = key(query.after)
            documents = [
                document
                for document in documents
                if (key(document) < last if query.descending else key(document) > last)
            ]
    return documents[: query.limit]


def _sort_key(name: str) -> Callable[[Document], Any]:
    return lambda document: ((document.data or {})[name], document.id)


def _matches(query: Query, document: Document) -> bool:
    data = document.data or {}
    return all(name in data and _OPERATORS[operator](data[name], value) for name, operator, value in query.where)


def _parent(path: str) -> str:
    return path.removesuffix(f"/{document_id(path)}")


def _nothing(name: str) -> None:
    pass


def _no_connection() -> NoReturn:
    raise AssertionError("nothing here needs a connection")
