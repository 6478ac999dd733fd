"""One page of what belongs to a user, with the user's balance as of the same moment, in two round trips."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import records
from database import Database, Document, Query
from errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class UserPage:
    """Documents of a user, and the id of the last one where there is more after it."""

    balance_credits: int
    documents: Sequence[Document]
    last_id: str | None


def page_of(db: Database, user_id: str, query: Query, page_size: int, after_path: str | None) -> UserPage:
    """At most `page_size` documents of the query, behind the one at `after_path`.

    What comes before that document may grow meanwhile: the pages after it stay the same.

    Raises:
        UserNotFound: there is no such user.
        InvalidRequest: there is no document at `after_path`, or it is another user's.
        BrokenDocument: the balance is no integer of at least 0.
    """
    user_path = records.user_path(user_id)
    documents = db.read([user_path, *([after_path] if after_path else [])])
    user, after = documents[user_path], documents[after_path] if after_path else None
    balance_credits = records.balance(user)
    if after is not None and not _belongs(after, user):
        raise InvalidRequest.of_field("pageToken", "pageToken is not one that this endpoint gave.")
    # One more than asked for tells whether there is more.
    found = db.query(replace(query, after=after, limit=page_size + 1), read_time=user.read_time)
    shown = found[:page_size]
    return UserPage(balance_credits, shown, shown[-1].id if len(found) > page_size else None)


def _belongs(document: Document, user: Document) -> bool:
    """Whether a document is below the user's own, or says that it is theirs."""
    if document.data is None:
        return False
    return document.path.startswith(f"{user.path}/") or document.data.get("userId") == user.id
