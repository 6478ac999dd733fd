"""Checks that the ledger is consistent. Reads every document about credits, and writes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from credits import documents
from credits.checks import violations
from credits.documents import GENERATION_REQUESTS, GRANTS, IN_FLIGHT, REVOCATIONS, TRANSACTIONS, USERS
from store import Document, Query, Store

PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class Audited:
    """The result for one user. A document that belongs to no user is reported with an empty id.

    `exists`: the user has at least one document. `is_deleted`: but not users/{uid}, so the credits are gone.
    """

    user_id: str
    violations: list[str]
    exists: bool = True
    is_deleted: bool = False


class Audit:
    """Checks users against the ledger's rules.

    A request may be pending for `grace_seconds` past its lease, since the sweep comes every minute.
    """

    def __init__(self, store: Store, grace_seconds: float = 0.0) -> None:
        self._store = store
        self._grace = timedelta(seconds=grace_seconds)

    def of_user(self, user_id: str) -> Audited:
        """Audits a user's documents as of one moment.

        Raises:
            Unavailable: Firestore did not answer in time.
        """
        paths = [documents.user_path(user_id), documents.in_flight_path(user_id)]
        read = self._store.read(paths)
        user, in_flight = (read[path] for path in paths)
        entries = self._all(Query(documents.entries_path(user_id), limit=PAGE_SIZE), user)
        requests, grants, revocations = (self._of(user, name) for name in (GENERATION_REQUESTS, GRANTS, REVOCATIONS))
        overdue_before = user.read_at - self._grace
        found = violations(user, entries, requests, [*grants, *revocations], in_flight, overdue_before)
        has_others = any((entries, requests, grants, revocations, in_flight.exists))
        return Audited(user_id, found, exists=user.exists or has_others, is_deleted=has_others and not user.exists)

    def of_all_users(self) -> Iterator[Audited]:
        """Audits every user who has at least one document.

        Raises:
            Unavailable: Firestore did not answer in time.
        """
        audited: set[str] = set()
        for document in self._everything():
            user_id = _owner(document)
            if user_id is None:
                yield Audited("", [f"{document.path}: belongs to no user"], exists=False)
            elif user_id not in audited:
                audited.add(user_id)
                yield self.of_user(user_id)

    def _everything(self) -> Iterator[Document]:
        for name in (USERS, GENERATION_REQUESTS, GRANTS, REVOCATIONS, IN_FLIGHT):
            for page in self._store.pages(Query(name, limit=PAGE_SIZE)):
                yield from page
        # Last, for users who have nothing left but their ledger.
        for page in self._store.pages(Query(TRANSACTIONS, limit=PAGE_SIZE, everywhere=True)):
            yield from (entry for entry in page if entry.path.startswith(f"{USERS}/"))

    def _of(self, user: Document, collection: str) -> list[Document]:
        return self._all(Query(collection, where=(("userId", "==", user.id),), limit=PAGE_SIZE), user)

    def _all(self, query: Query, as_of: Document) -> list[Document]:
        return [document for page in self._store.pages(query, read_time=as_of.read_time) for document in page]


def _owner(document: Document) -> str | None:
    """The user that a document belongs to; None if there is none."""
    collection, user_id, *_ = document.path.split("/")
    if collection not in (USERS, IN_FLIGHT):
        user_id = document.fields.get("userId", "")
    return user_id if documents.is_user_id(user_id) else None
