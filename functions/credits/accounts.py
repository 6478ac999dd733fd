"""Accounts: opened once with sign-up credits; deleted; opened again by an admin's grant.

Removing users/{uid} deletes an account and its credits. A user's own call does not open it again, since sign-up credits
are given once. An admin's grant does; then the ledger first gets an entry for the lost credits.
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
    """Opens a new user's account with these credits. A user who has a balance keeps it.

    Raises:
        UserNotFound: the account was deleted.
        Unavailable: the outcome is not known; the next call shows it.
    """
    paths = [documents.user_path(user_id), signup_path(user_id)]

    def plan(read: Mapping[str, Document]) -> Answer[bool] | QueryFirst[bool]:
        user, record = (read[path] for path in paths)
        if user.data is not None:
            return Answer(False)
        refuse_deleted_account([record])

        def decide(history: Sequence[Document]) -> Commit[bool]:
            refuse_deleted_account(history)
            return Commit(movements.writes(user, 0, [signup(user_id, signup_credits)]), lambda versions: True)

        return QueryFirst(history_query(user_id), decide)

    if store.transact(paths, plan, deadline, turn=user_id):
        log_opened(user_id, signup_credits)


def signup(user_id: str, credits: int) -> Movement:
    """The grant of sign-up credits at a user's first call."""
    order = Order(_signup_id(user_id), user_id, credits, SIGNUP_REASON)
    return movements.grant(order, attempt_id=order.id)


def signup_path(user_id: str) -> str:
    """The record of a user's sign-up credits. It stays if the account is deleted with its ledger."""
    return documents.grant_path(_signup_id(user_id))


def history_query(user_id: str) -> Query:
    """Finds one of the user's ledger entries, if there are any."""
    return Query(documents.entries_path(user_id), limit=1)


def last_entry_query(user_id: str) -> Query:
    """Finds the user's last ledger entry, if there is any."""
    return Query(documents.entries_path(user_id), order_by="timestamp", descending=True, limit=1)


def refuse_deleted_account(history: Sequence[Document]) -> None:
    """Refuses sign-up credits for an account that was deleted; `history` may hold documents that do not exist.

    Raises:
        UserNotFound: the user without a balance had one before.
    """
    if any(document.exists for document in history):
        raise UserNotFound()


def lost_credits(last_entry: Sequence[Document]) -> int:
    """A deleted account's last balance in credits; 0 for a new user, who has no entry.

    Raises:
        BrokenDocument: the last entry has no valid balance.
    """
    return documents.balance_after(last_entry[0]) if last_entry else 0


def closing(user_id: str, credits: int, grant_id: str) -> Movement:
    """Takes a deleted account's last balance, so that the grant with this id starts from zero."""
    # The id sorts before that of the grant's entry, which has the same commit time.
    order = Order(f"{grant_id}-closing", user_id, credits, DELETED_REASON)
    return movements.revocation(order, taken_credits=credits, attempt_id=order.id)


def _signup_id(user_id: str) -> str:
    # It sorts before all others (hexadecimal), since the first purchase may have the same commit time.
    return f"0-signup-{user_id}"


def log_opened(user_id: str, credits: int) -> None:
    """One event for each account that is opened."""
    logs.info("account opened", userId=user_id, credits=credits)
