"""Opening the account of a new user with sign-up credits: once for all time."""

from collections.abc import Mapping, Sequence

import logs
from credits import documents, movements
from credits.movements import Movement
from errors import UserNotFound
from store import NO_DEADLINE, Answer, Commit, Deadline, Document, Look, Query, Store

# Sorts before every other entry id (hexadecimal), since the first purchase may have the same commit time.
SIGNUP_ENTRY_ID = "0-signup-grant"
SIGNUP_REASON = "Sign-up credits."


def open_account(store: Store, user_id: str, signup_credits: int, deadline: Deadline = NO_DEADLINE) -> None:
    """Gives a new user the first balance. A user who has a balance keeps it.

    Raises:
        UserNotFound: the user had a balance before, and somebody deleted it.
        Unavailable: the outcome is not known; the next call tells.
    """
    path = documents.user_path(user_id)

    def plan(read: Mapping[str, Document]) -> Answer[bool] | Look[bool]:
        user = read[path]
        if user.data is not None:
            return Answer(False)

        def decide(history: Sequence[Document]) -> Commit[bool]:
            must_be_new(history)
            return Commit(movements.writes(user, [signup(signup_credits)]), lambda versions: True)

        return Look(history_query(user_id), decide)

    if store.transact([path], plan, deadline, turn=user_id):
        log_opened(user_id, signup_credits)


def signup(credits: int) -> Movement:
    """The grant that begins a balance at the user's first call."""
    return movements.grant(SIGNUP_ENTRY_ID, credits, SIGNUP_REASON, granted_by=None)


def history_query(user_id: str) -> Query:
    """Finds one ledger entry of the user, if there is any."""
    return Query(documents.entries_path(user_id), limit=1)


def must_be_new(history: Sequence[Document]) -> None:
    """Refuses to open an account again after somebody deleted its balance.

    Raises:
        UserNotFound: there is a history.
    """
    if history:
        raise UserNotFound()


def log_opened(user_id: str, credits: int) -> None:
    """One event for each account that is opened."""
    logs.info("account opened", userId=user_id, credits=credits)
