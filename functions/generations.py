"""Reading generation requests: one, or a user's page by page. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import database
import paging
import records
from database import Database, Query
from errors import GenerationNotFound
from records import Generation


@dataclass(frozen=True, slots=True)
class GenerationPage:
    """A page of a user's requests, newest first; `last_id` where there is more after it."""

    generations: Sequence[Generation]
    last_id: str | None


class Generations:
    """The stored generation requests."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, request_id: str) -> Generation:
        """One request; one round trip.

        Raises:
            GenerationNotFound: there is none of this id.
            BrokenDocument: it does not hold what it must.
        """
        document = self._db.read_one(records.request_path(request_id))
        if document.data is None:
            raise GenerationNotFound()
        return records.generation(document)

    def page(self, user_id: str, status: str | None, page_size: int, after_id: str | None = None) -> GenerationPage:
        """A user's requests by the time they were made, newest first; two round trips.

        Args:
            user_id: whose.
            status: only those that are pending, completed or failed; None for all.
            page_size: how many at most.
            after_id: the last request of the page before.

        Raises:
            UserNotFound: there is no such user.
            InvalidRequest: the user has no request `after_id`.
            BrokenDocument: a request does not hold what it must.
        """
        wanted = [("userId", "==", user_id), *([("status", "==", status)] if status else [])]
        mine = Query(database.GENERATION_REQUESTS, where=wanted, order_by="createdAt", descending=True)
        after_path = records.request_path(after_id) if after_id else None
        page = paging.page_of(self._db, user_id, mine, page_size, after_path)
        return GenerationPage([records.generation(found) for found in page.documents], page.last_id)
