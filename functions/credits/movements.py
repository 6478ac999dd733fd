"""Changes of a balance as the writes that make them: the balance once, and one ledger entry for each change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from credits import documents
from credits.documents import GRANT, SIGNS
from errors import BrokenDocument
from store import COMMIT_TIME, Document, Write

# Firestore's integers have 64 bits.
MAX_CREDITS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Movement:
    """One change of a balance. `origin`: the fields of its ledger entry that say why."""

    entry_id: str
    type: str
    credits: int
    origin: Mapping[str, Any]


def of_request(request_id: str, entry_type: str, credits: int) -> Movement:
    """A deduction or refund that belongs to a generation request."""
    entry_id = documents.entry_id_of(request_id, entry_type)
    return Movement(entry_id, entry_type, credits, {"generationRequestId": request_id})


def grant(entry_id: str, credits: int, reason: str, granted_by: str | None) -> Movement:
    """Credits that an admin gives, or (None) the sign-up credits."""
    return Movement(entry_id, GRANT, credits, {"reason": reason, "grantedBy": granted_by})


def balance_after(user: Document, movements: Sequence[Movement]) -> int:
    """The balance in credits after all of these changes. Only a grant can create a balance."""
    is_new = user.data is None and movements[0].type == GRANT
    return (0 if is_new else documents.balance(user)) + sum(SIGNS[each.type] * each.credits for each in movements)


def writes(user: Document, movements: Sequence[Movement]) -> list[Write]:
    """The writes of these changes, in this order: the balance over the version read, and each entry.

    Raises:
        UserNotFound: the user does not exist, and the first change is not a grant.
        BrokenDocument: the balance is not an integer of at least 0, or has no room for the credits.
    """
    entries = []
    for number, movement in enumerate(movements, 1):
        balance = balance_after(user, movements[:number])
        assert movement.credits > 0, "a movement has a size"
        assert balance >= 0, "a movement leaves no debt"
        if balance > MAX_CREDITS:
            raise BrokenDocument(user.path, "credits has no room for a refund")
        entry = {
            "type": movement.type,
            "credits": movement.credits,
            **movement.origin,
            "balanceAfter": balance,
            # The clocks of instances differ; the server's time keeps a history in the order of its commits.
            "timestamp": COMMIT_TIME,
        }
        entries.append(Write(documents.entry_path(user.id, movement.entry_id), entry))
    return [Write(user.path, {"credits": balance}, user.version), *entries]
