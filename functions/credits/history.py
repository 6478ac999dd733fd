"""Reads a balance, a page of its ledger, one generation request, or a page of a user's requests.

A page costs two round trips: the balance (with the document that the page starts after), and the page as of the same
moment. New documents come before that document, so the pages after it stay the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from credits import accounts, documents
from credits.documents import Entry, Generation
from errors import GenerationNotFound, InvalidRequest
from store import NO_DEADLINE, Deadline, Document, Query, Store

OpenAccount = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Statement:
    """A balance and one page of its ledger, newest first; `last_id` is None on the last page."""

    balance_credits: int
    entries: Sequence[Entry]
    last_id: str | None


@dataclass(frozen=True, slots=True)
class GenerationPage:
    """One page of a user's requests, newest first; `last_id` is None on the last page."""

    generations: Sequence[Generation]
    last_id: str | None


class History:
    """Reads a user's stored credits and requests. A broken document in a page is logged and left out."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def balance(self, user_id: str, deadline: Deadline = NO_DEADLINE) -> int | None:
        """The balance in credits, None if the user does not exist; one round trip.

        Raises:
            BrokenDocument: it is not an integer of at least 0.
        """
        user = self._store.read_one(documents.user_path(user_id), deadline)
        return None if user.data is None else documents.balance(user)

    def has_entries(self, user_id: str, deadline: Deadline = NO_DEADLINE) -> bool:
        """Whether the user has any ledger entry; one round trip."""
        return bool(self._store.query(accounts.history_query(user_id), deadline))

    def statement(
        self,
        user_id: str,
        page_size: int,
        after_id: str | None = None,
        open_account: OpenAccount | None = None,
        deadline: Deadline = NO_DEADLINE,
    ) -> Statement:
        """The balance and a page of the ledger, newest first, as of one moment.

        Args:
            user_id: the ledger's user.
            page_size: how many entries at most.
            after_id: the last entry of the previous page.
            open_account: called if the user does not exist; None if this call must not open an account.
            deadline: gives up then.

        Raises:
            UserNotFound: the user does not exist.
            InvalidRequest: the user has no entry `after_id`.
            BrokenDocument: the balance is not an integer of at least 0.
        """
        entries = Query(documents.entries_path(user_id), order_by="timestamp", descending=True)
        after_path = documents.entry_path(user_id, after_id) if after_id else None
        page = self._page(user_id, entries, page_size, after_path, open_account, deadline)
        return Statement(page.balance_credits, documents.readable(page.found, documents.entry), page.last_id)

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

    def generations(
        self,
        user_id: str,
        status: str | None,
        page_size: int,
        after_id: str | None = None,
        open_account: OpenAccount | None = None,
        deadline: Deadline = NO_DEADLINE,
    ) -> GenerationPage:
        """A page of a user's requests, newest first; of one status, or of all if None.

        The arguments are those of `statement`.

        Raises:
            UserNotFound: the user does not exist.
            InvalidRequest: the user has no request `after_id`.
        """
        wanted = [("userId", "==", user_id), *([("status", "==", status)] if status else [])]
        requests = Query(documents.GENERATION_REQUESTS, where=wanted, order_by="createdAt", descending=True)
        after_path = documents.request_path(after_id) if after_id else None
        page = self._page(user_id, requests, page_size, after_path, open_account, deadline)
        return GenerationPage(documents.readable(page.found, documents.generation), page.last_id)

    def _page(
        self,
        user_id: str,
        query: Query,
        page_size: int,
        after_path: str | None,
        open_account: OpenAccount | None,
        deadline: Deadline,
    ) -> "_UserPage":
        user_path = documents.user_path(user_id)
        paths = [user_path, *([after_path] if after_path else [])]
        read = self._store.read(paths, deadline)
        if read[user_path].data is None and open_account is not None:
            open_account()
            read = self._store.read(paths, deadline)
        user, after = read[user_path], read[after_path] if after_path else None
        balance_credits = documents.balance(user)
        if after is not None and not _belongs(after, user):
            raise InvalidRequest.of_field("pageToken", "pageToken is not one that this endpoint gave.")
        # One more than asked for tells whether there is another page.
        found = self._store.query(replace(query, after=after, limit=page_size + 1), deadline, read_time=user.read_time)
        shown = found[:page_size]
        return _UserPage(balance_credits, shown, shown[-1].id if len(found) > page_size else None)


@dataclass(frozen=True, slots=True)
class _UserPage:
    balance_credits: int
    found: Sequence[Document]
    last_id: str | None


def _belongs(document: Document, user: Document) -> bool:
    """Whether a document is in the user's ledger, or names the user as its own."""
    if document.data is None:
        return False
    return document.path.startswith(f"{user.path}/") or document.data.get("userId") == user.id
