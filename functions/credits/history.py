"""Reads a balance, a page of its ledger, one generation request, or a page of a user's requests.

A page costs two round trips: the balance (with the document that the page starts after), and the page as of the same
moment. New documents come before that document, so the pages after it stay the same.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from credits import accounts, documents
from credits.documents import PENDING, Entry, Generation
from errors import GenerationNotFound, InvalidRequest
from store import NO_DEADLINE, Deadline, Document, Query, Store, readable

# Between two looks at a request that somebody waits for.
FIRST_PAUSE_SECONDS, PAUSE_GROWTH, MAX_PAUSE_SECONDS = 0.1, 1.5, 1.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UserPage(Generic[T]):
    """A user's balance, and one page of entries or requests, newest first; `last_id` is None on the last page."""

    balance_credits: int
    found: Sequence[T]
    last_id: str | None


class History:
    """Reads a user's stored credits and requests. A broken document in a page is logged and left out."""

    def __init__(self, store: Store, sleep: Callable[[float], None] = time.sleep) -> None:
        self._store = store
        self._sleep = sleep

    def balance(self, user_id: str, signup_credits: int = 0, deadline: Deadline = NO_DEADLINE) -> int:
        """The balance in credits; for a new user the sign-up credits, although nothing is opened yet.

        Raises:
            UserNotFound: the user does not exist, and this call has no sign-up credits or the account was deleted.
            BrokenDocument: the balance is not an integer of at least 0.
        """
        path, signup_path = documents.user_path(user_id), accounts.signup_path(user_id)
        read = self._store.read([path, signup_path], deadline)
        user = read[path]
        if user.data is None and signup_credits:
            if not read[signup_path].exists and not self._store.query(accounts.history_query(user_id), deadline):
                return signup_credits
            # The account was deleted, or another call has just opened it.
            user = self._store.read_one(path, deadline)
        return documents.balance(user)

    def statement(
        self,
        user_id: str,
        page_size: int,
        after_id: str | None = None,
        signup_credits: int = 0,
        deadline: Deadline = NO_DEADLINE,
    ) -> UserPage[Entry]:
        """The balance and a page of the ledger, newest first, as of one moment.

        Args:
            user_id: the ledger's user.
            page_size: how many entries at most.
            after_id: the last entry of the previous page.
            signup_credits: above 0, a new user's account is opened with so many.
            deadline: gives up then.

        Raises:
            UserNotFound: the user does not exist.
            InvalidRequest: the user has no entry `after_id`.
            BrokenDocument: the balance is not an integer of at least 0.
        """
        entries = Query(documents.entries_path(user_id), order_by="timestamp", descending=True)
        after_path = documents.entry_path(user_id, after_id) if after_id else None
        return self._page(user_id, entries, documents.entry, page_size, after_path, signup_credits, deadline)

    def generation(self, request_id: str, deadline: Deadline = NO_DEADLINE) -> Generation:
        """One request; one round trip.

        Raises:
            GenerationNotFound: it does not exist.
            BrokenDocument: a field has a wrong value.
        """
        document = self._store.read_one(documents.request_path(request_id), deadline)
        if document.data is None:
            raise GenerationNotFound()
        return documents.generation(document)

    def ended(self, request_id: str, wait_seconds: float, deadline: Deadline) -> Generation | None:
        """One request as soon as it has ended; None if it is pending after so many seconds, or at the deadline.

        Looks again and again, one round trip each; with 0 seconds not at all. The errors are those of `generation`.
        """
        end_of_wait = deadline.at_most(wait_seconds)
        pause_seconds = FIRST_PAUSE_SECONDS
        while not end_of_wait.passed:
            self._sleep(min(pause_seconds, end_of_wait.left_seconds))
            found = self.generation(request_id, deadline)
            if found.status != PENDING:
                return found
            pause_seconds = min(pause_seconds * PAUSE_GROWTH, MAX_PAUSE_SECONDS)
        return None

    def generations(
        self,
        user_id: str,
        status: str | None,
        page_size: int,
        after_id: str | None = None,
        signup_credits: int = 0,
        deadline: Deadline = NO_DEADLINE,
    ) -> UserPage[Generation]:
        """A page of a user's requests, newest first; of one status, or of all if None.

        The arguments are those of `statement`.

        Raises:
            UserNotFound: the user does not exist.
            InvalidRequest: the user has no request `after_id`.
        """
        wanted = [("userId", "==", user_id), *([("status", "==", status)] if status else [])]
        requests = Query(documents.GENERATION_REQUESTS, where=wanted, order_by="createdAt", descending=True)
        after_path = documents.request_path(after_id) if after_id else None
        return self._page(user_id, requests, documents.generation, page_size, after_path, signup_credits, deadline)

    def _page(
        self,
        user_id: str,
        query: Query,
        reader: Callable[[Document], T],
        page_size: int,
        after_path: str | None,
        signup_credits: int,
        deadline: Deadline,
    ) -> UserPage[T]:
        user_path = documents.user_path(user_id)
        paths = [user_path, *([after_path] if after_path else [])]
        read = self._store.read(paths, deadline)
        if read[user_path].data is None and signup_credits:
            accounts.open_account(self._store, user_id, signup_credits, deadline)
            read = self._store.read(paths, deadline)
        user, after = read[user_path], read[after_path] if after_path else None
        balance_credits = documents.balance(user)
        if after is not None and not _belongs(after, user):
            raise InvalidRequest.of_page_token()
        shown, last_id = self._store.page(replace(query, after=after), page_size, deadline, user.read_time)
        return UserPage(balance_credits, readable(shown, reader), last_id)


def _belongs(document: Document, user: Document) -> bool:
    """Whether a document is in the user's ledger, or names the user as its own."""
    if document.data is None:
        return False
    return document.path.startswith(f"{user.path}/") or document.data.get("userId") == user.id
