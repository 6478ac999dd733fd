"""Optimistic transactions.

A transaction reads documents, lets a pure `plan` decide, and sends one Commit whose writes have preconditions: the
version read, or that the document must not exist. After a conflict or an unknown outcome it reads again and lets the
plan decide on the new state, so a plan must recognise its own earlier attempt. Firestore's mobile and web clients work
like this: https://firebase.google.com/docs/firestore/transaction-data-contention
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from store.budget import NO_DEADLINE, Deadline
from store.client import Connection, StoreError
from store.documents import Document, Query, Version, Write
from store.reads import Reader
from store.retries import DEFAULT_POLICY, RETRIED_COMMITS, Attempts, RetryPolicy, wait_after
from store.turns import Turns

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Commit(Generic[T]):
    """A plan's decision to write; `answer` gets the documents' new versions by path once the writes are applied."""

    writes: Sequence[Write]
    answer: Callable[[Mapping[str, Version]], T]


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A plan's decision that there is nothing to write."""

    value: T


@dataclass(frozen=True, slots=True)
class QueryFirst(Generic[T]):
    """A plan's decision to run a query and decide `then`. It runs as of the time of the reads; one more round trip.

    The commit checks the versions of the documents that it writes, but not whether the query's result has changed.
    """

    query: Query
    then: "Callable[[list[Document]], Decision[T]]"


Decision: TypeAlias = Commit[T] | Answer[T] | QueryFirst[T]
Plan: TypeAlias = Callable[[Mapping[str, Document]], Decision[T]]


class Store(Reader):
    """Firestore as the other packages see it."""

    def __init__(self, connect: Callable[[], Connection], policy: RetryPolicy = DEFAULT_POLICY) -> None:
        super().__init__(connect, policy)
        self._turns = Turns()

    def transact(
        self,
        paths: Sequence[str],
        plan: Plan[T],
        deadline: Deadline = NO_DEADLINE,
        known: Mapping[str, Document] | None = None,
        turn: str | None = None,
    ) -> T:
        """Reads `paths`, lets `plan` decide, and commits its decision. Repeats this until the commit is applied.

        Args:
            paths: the documents that the plan reads.
            plan: pure; called again with fresh documents after a conflict or an unknown outcome.
            deadline: gives up then, or earlier at the policy's limit.
            known: the documents' last known state; it replaces the first read.
            turn: calls with the same turn run one at a time in this process.

        Raises:
            Unavailable: conflicts or missing answers lasted until the time was up; the writes may have been applied.
            StoreError: Firestore refused, and the writes were not applied.
        """
        attempts = self._attempts(deadline)
        if turn is None:
            return self._transact(paths, plan, known, attempts)
        with self._turns.taken(turn, attempts.left_seconds):
            return self._transact(paths, plan, known, attempts)

    def _transact(
        self, paths: Sequence[str], plan: Plan[T], known: Mapping[str, Document] | None, attempts: Attempts
    ) -> T:
        documents = known or self._read(paths, attempts)
        while True:
            decision = self._decided(plan, documents, attempts)
            if isinstance(decision, Answer):
                return decision.value
            try:
                versions = self._connection().commit(decision.writes, attempts.rpc_timeout_seconds)
            except StoreError as error:
                if error.code not in RETRIED_COMMITS or error.advice:
                    return self._applied_after_all(error, paths, plan, attempts)
                wait_after(error, attempts)
            else:
                return decision.answer(versions)
            documents = self._read(paths, attempts)

    def _applied_after_all(self, error: StoreError, paths: Sequence[str], plan: Plan[T], attempts: Attempts) -> T:
        """Checks whether a refused commit was applied after all: a proxy may report an error after the write."""
        decision = self._decided(plan, self._read(paths, attempts), attempts)
        if isinstance(decision, Answer):
            return decision.value
        raise error

    def _decided(self, plan: Plan[T], documents: Mapping[str, Document], attempts: Attempts) -> Commit[T] | Answer[T]:
        decision = plan(documents)
        # As of the same moment, so that a later change by another process is a conflict and not a broken state.
        read_time = next((document.read_time for document in documents.values()), None)
        while isinstance(decision, QueryFirst):
            decision = decision.then(self._query([decision.query], attempts, read_time)[0])
        return decision
