"""Which failed round trips are worth another attempt, and the loop that makes it."""

from collections.abc import Callable, Set
from typing import TypeVar

from grpc import StatusCode

from errors import Unavailable
from store.budget import Attempts
from store.client import StoreError

T = TypeVar("T")

# Others changed or created a document first: nothing was written, and reading again tells what is there now.
CONFLICTS = frozenset(
    {StatusCode.ABORTED, StatusCode.ALREADY_EXISTS, StatusCode.FAILED_PRECONDITION, StatusCode.NOT_FOUND}
)
# Firestore did not answer, or not clearly: a write may have been applied.
UNCLEAR = frozenset(
    {
        StatusCode.UNAVAILABLE,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.INTERNAL,
        StatusCode.UNKNOWN,
        StatusCode.DATA_LOSS,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.CANCELLED,
    }
)
# A read has no preconditions: NOT_FOUND or FAILED_PRECONDITION there means no database, or no index.
RETRIED_READS: Set[StatusCode] = UNCLEAR | {StatusCode.ABORTED}
RETRIED_COMMITS: Set[StatusCode] = UNCLEAR | CONFLICTS


def persist(read: Callable[[], T], attempts: Attempts) -> T:
    """What `read` gives, called again while it fails in a way that may pass.

    Raises:
        Unavailable: it failed until no time was left.
        StoreError: it cannot succeed.
    """
    while True:
        try:
            return read()
        except StoreError as error:
            if error.code not in RETRIED_READS:
                raise
            wait_after(error, attempts)


def wait_after(error: StoreError, attempts: Attempts) -> None:
    """Pauses before the next attempt.

    Raises:
        Unavailable: no time is left for one.
    """
    if attempts.pause():
        return
    if error.code in CONFLICTS:
        raise Unavailable("Too many changes at once. Try again.") from error
    raise Unavailable("The database is not available. Try again.") from error
