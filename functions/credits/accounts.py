"""Accounts: opened with sign-up credits, once for all time; deleted; opened anew by an admin's grant.

An account is deleted when somebody removes users/{uid}. Its credits are gone with it. No call opens it again, since the
sign-up credits are given once; an admin's grant does, and its ledger first says what was lost.
"""

from collections.abc import Mapping, Sequence

import logs
from credits import documents, movements
from credits.movements import Movement
from credits.orders import Order
from errors import UserNotFound
from store import NO_DEADLINE, Answer, Commit, Deadline, Document, Query, QueryFirst, Store

SIGNUP_REASON = "Sign-up credits."
DELETED_REASON = "The account was deleted."


def open_account(store: Store, user_id: str, signup_credits: int, deadline: Deadline = NO_DEADLINE) -> None:
    """Gives a new user the first balance. A user who has a balance keeps it.

    Raises:
        UserNotFound: the account was deleted.
        Unavailable: the outcome is not known; the next call tells.
    """
    path = documents.user_path(user_id)

    def plan(read: Mapping[str, Document]) -> Answer[bool] | QueryFirst[bool]:
        user = read[path]
        if user.data is not None:
            return Answer(False)

        def decide(history: Sequence[Document]) -> Commit[bool]:
            must_be_new(history)
            return Commit(movements.writes(user, 0, [signup(user_id, signup_credits)]), lambda versions: True)

        return QueryFirst(history_query(user_id), decide)

    if store.transact([path], plan, deadline, turn=user_id):
        log_opened(user_id, signup_credits)


def signup(user_id: str, credits: int) -> Movement:
    """The grant that begins a balance at the user's first call."""
    # Sorts before every other entry id (hexadecimal), since the first purchase may have the same commit time.
    order = Order(f"0-signup-{user_id}", user_id, credits, SIGNUP_REASON)
    return movements.grant(order, attempt_id=order.id)


def history_query(user_id: str) -> Query:
    """Finds one ledger entry of the user, if there is any."""
    return Query(documents.entries_path(user_id), limit=1)


def last_entry_query(user_id: str) -> Query:
    """Finds the user's last ledger entry, if there is any."""
    return Query(documents.entries_path(user_id), order_by="timestamp", descending=True, limit=1)


def must_be_new(history: Sequence[Document]) -> None:
    """Refuses to give sign-up credits to an account that was deleted.

    Raises:
        UserNotFound: there is a history.
    """
    if history:
        raise UserNotFound()


def lost_credits(last_entry: Sequence[Document]) -> int:
    """What a deleted account held at the end of its ledger; 0 for a new user, who has no entry.

    Raises:
        BrokenDocument: the last entry does not say so.
    """
    return documents.balance_after(last_entry[0]) if last_entry else 0


def closing(user_id: str, credits: int, grant_id: str) -> Movement:
    """Takes what a deleted account held, so that the grant of this id opens it anew from zero."""
    # Sorts before the grant's own entry, which has the same commit time.
    order = Order(f"{grant_id}-closing", user_id, credits, DELETED_REASON)
    return movements.revocation(order, taken_credits=credits, attempt_id=order.id)


def log_opened(user_id: str, credits: int) -> None:
    """One event for each account that is opened."""
    logs.info("account opened", userId=user_id, credits=credits)
