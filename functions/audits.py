"""Everybody's books, read from Firestore and held against the rules of consistency.py. Writes nothing."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import consistency
import database
import records
from database import Database, Document, Query

AUDIT_PAGE_SIZE = 500


class Audits:
    """Audits of users; `clock` gives aware UTC datetimes.

    A request may be pending for `grace_seconds` past its lease, since the sweep comes every few minutes.
    """

    def __init__(self, db: Database, clock: Callable[[], datetime], grace_seconds: float = 0.0) -> None:
        self._db = db
        self._clock = clock
        self._grace = timedelta(seconds=grace_seconds)

    def of_user(self, user_id: str) -> list[str]:
        """Everything that is wrong in a user's books, in words, as of one moment.

        Raises:
            Unavailable: Firestore did not answer in time.
        """
        paths = [records.user_path(user_id), records.in_flight_path(user_id)]
        documents = self._db.read(paths)
        user, in_flight = (documents[path] for path in paths)
        entries = self._all(Query(records.entries_path(user_id), limit=AUDIT_PAGE_SIZE), user)
        mine = (("userId", "==", user_id),)
        requests = self._all(Query(database.GENERATION_REQUESTS, where=mine, limit=AUDIT_PAGE_SIZE), user)
        return consistency.violations(user, entries, requests, in_flight, self._clock() - self._grace)

    def of_everybody(self) -> Iterator[tuple[str, list[str]]]:
        """Each user's id with what is wrong in their books, then whatever belongs to no user, under no id.

        Raises:
            Unavailable: Firestore did not answer in time.
        """
        known: set[str] = set()
        for page in self._db.pages(Query(database.USERS, limit=AUDIT_PAGE_SIZE)):
            for user in page:
                known.add(user.id)
                yield user.id, self.of_user(user.id)
        for page in self._db.pages(Query(database.GENERATION_REQUESTS, limit=AUDIT_PAGE_SIZE)):
            for request in page:
                user_id = records.existing(request).get("userId")
                # Read once more: a user may have come since the users were walked.
                if not isinstance(user_id, str) or (user_id not in known and not self._exists(user_id)):
                    yield "", [f"{request.path} belongs to no user"]

    def _exists(self, user_id: str) -> bool:
        return records.is_user_id(user_id) and self._db.read_one(records.user_path(user_id)).data is not None

    def _all(self, query: Query, as_of: Document) -> list[Document]:
        return [document for page in self._db.pages(query, as_of.read_time) for document in page]
