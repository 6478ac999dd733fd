"""Reads and queries, repeated until Firestore answers or no time is left."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from threading import Lock
from typing import TypeVar

from google.auth.exceptions import DefaultCredentialsError
from grpc import StatusCode

import logs
from errors import BrokenDocument
from store import refusals
from store.budget import NO_DEADLINE, Deadline
from store.client import Connection, Row, StoreError
from store.documents import Document, Query, Version
from store.retries import DEFAULT_POLICY, Attempts, RetryPolicy, retry_read

T = TypeVar("T")

WORK_THREADS = 4
# It is read only to get the server's time.
_ANY_DOCUMENT = "clock/now"


def readable(documents: Iterable[Document], read: Callable[[Document], T]) -> list[T]:
    """Reads each document. A broken one is named in the log and left out."""
    found = []
    for document in documents:
        try:
            found.append(read(document))
        except BrokenDocument as error:
            logs.error("broken document", **error.log_fields)
    return found


class Reader:
    """Reads from Firestore. Connects at the first call; safe to share between threads.

    Each method raises Unavailable if Firestore did not answer within the deadline and the policy's limit, and
    StoreError if it refuses: no permission, no database, no index, no credentials.
    """

    def __init__(self, connect: Callable[[], Connection], policy: RetryPolicy = DEFAULT_POLICY) -> None:
        self._connect = connect
        self._policy = policy
        self._guard = Lock()
        self._connected: Connection | None = None

    def read(self, paths: Sequence[str], deadline: Deadline = NO_DEADLINE) -> dict[str, Document]:
        """Reads documents in one round trip, by path, all as of one moment."""
        return self._read(paths, self._attempts(deadline))

    def read_one(self, path: str, deadline: Deadline = NO_DEADLINE) -> Document:
        """Reads one document in one round trip."""
        return self.read([path], deadline)[path]

    def now(self, deadline: Deadline = NO_DEADLINE) -> datetime:
        """The server's time, just after every commit so far; one round trip."""
        return self.read_one(_ANY_DOCUMENT, deadline).read_at + timedelta(microseconds=1)

    def query(self, query: Query, deadline: Deadline = NO_DEADLINE, read_time: Version | None = None) -> list[Document]:
        """Runs a query in one round trip, as of `read_time` if given."""
        return self._query([query], self._attempts(deadline), read_time)[0]

    def query_all(self, queries: Sequence[Query], deadline: Deadline = NO_DEADLINE) -> list[list[Document]]:
        """Runs several queries side by side, in the time of the slowest."""
        return self._query(queries, self._attempts(deadline))

    def page(
        self, query: Query, size: int, deadline: Deadline = NO_DEADLINE, read_time: Version | None = None
    ) -> tuple[list[Document], str | None]:
        """At most `size` of the query's documents, and the id of the last one if there are more; one round trip."""
        # One more than asked for tells whether there is another page.
        found = self.query(replace(query, limit=size + 1), deadline, read_time)
        shown = found[:size]
        return shown, shown[-1].id if len(found) > size else None

    def pages(
        self, query: Query, deadline: Deadline = NO_DEADLINE, read_time: Version | None = None
    ) -> Iterator[list[Document]]:
        """The query's documents in pages of its `limit`, one round trip each. The last page has fewer, if any."""
        assert query.limit, "a page has a size"
        while page := self.query(query, deadline, read_time):
            yield page
            if len(page) < query.limit:
                return
            query = replace(query, after=page[-1])

    def for_each(self, query: Query, work: Callable[[Document], T], deadline: Deadline = NO_DEADLINE) -> list[T]:
        """Does the work on each of the query's documents, some side by side, and gives what it returned, in order.

        Each page starts after the one before, so a document that the work could not change is not met again. No page
        begins after the deadline.
        """
        results: list[T] = []
        with ThreadPoolExecutor(WORK_THREADS) as threads:
            for page in self.pages(query):
                # A thread starts without the request's context, and so without its trace.
                runs = [partial(copy_context().run, work, document) for document in page]
                results += threads.map(lambda run: run(), runs)
                if deadline.passed:
                    break
        return results

    def fold(
        self,
        query: Query,
        fields: Sequence[str],
        start: Callable[[], T],
        add: Callable[[T, Row], None],
        deadline: Deadline = NO_DEADLINE,
    ) -> T:
        """Adds each of the query's documents, with these fields only, to a value. Holds one document at a time.

        If the stream breaks, it starts again with a new value.
        """
        attempts = self._attempts(deadline)

        def attempt() -> T:
            value = start()
            with closing(self._connection().stream(query, fields, attempts.rpc_timeout_seconds)) as rows:
                for row in rows:
                    add(value, row)
            return value

        return retry_read(attempt, attempts)

    def sum(self, query: Query, field: str, deadline: Deadline = NO_DEADLINE) -> float:
        """The sum of a field over the query's documents, in one round trip; what is not a number counts as 0.

        Firestore adds it up from an index that holds the query's fields and this one, and charges one document read for
        each 1,000 entries: https://firebase.google.com/docs/firestore/query-data/aggregation-queries
        """
        attempts = self._attempts(deadline)
        return retry_read(lambda: self._connection().run_sum(query, field, attempts.rpc_timeout_seconds), attempts)

    def _attempts(self, deadline: Deadline) -> Attempts:
        return Attempts(self._policy, deadline)

    def _connection(self) -> Connection:
        with self._guard:
            if self._connected is None:
                try:
                    self._connected = self._connect()
                except DefaultCredentialsError as error:
                    code = StatusCode.UNAUTHENTICATED
                    raise StoreError(code, refusals.advice(code)) from error
            return self._connected

    def _read(self, paths: Sequence[str], attempts: Attempts) -> dict[str, Document]:
        return retry_read(lambda: self._connection().batch_get(paths, attempts.rpc_timeout_seconds), attempts)

    def _query(
        self, queries: Sequence[Query], attempts: Attempts, read_time: Version | None = None
    ) -> list[list[Document]]:
        return retry_read(
            lambda: self._connection().run_queries(queries, attempts.rpc_timeout_seconds, read_time), attempts
        )
