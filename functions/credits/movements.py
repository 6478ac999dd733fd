"""Turns changes of a balance into writes: the balance once, and one ledger entry for each change.

A grant, a revocation and sign-up credits also have a record: a document in grants/ or revocations/. One commit writes
the record and its entry, so there is never one without the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from credits import documents
from credits.documents import GRANT, REVOCATION, SIGNS
from credits.orders import Order
from errors import BrokenDocument
from store import COMMIT_TIME, Document, Write

# Firestore's integers have 64 bits.
MAX_CREDITS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Record:
    """The document in grants/ or revocations/ for an entry, with the fields that only it has."""

    path: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Movement:
    """One change of a balance. `origin` has the fields of its ledger entry that say why."""

    entry_id: str
    type: str
    credits: int
    origin: Mapping[str, Any]
    record: Record | None = None


def of_request(request_id: str, entry_type: str, credits: int) -> Movement:
    """A deduction or refund that belongs to a generation request."""
    entry_id = documents.entry_id_of(request_id, entry_type)
    return Movement(entry_id, entry_type, credits, {"generationRequestId": request_id})


def grant(order: Order, attempt_id: str) -> Movement:
    """Credits given. If the commit's answer is lost, `attempt_id` shows whether this attempt wrote the record."""
    record = Record(documents.grant_path(order.id), _record_fields(order, attempt_id))
    origin = {"reason": order.reason, "grantedBy": order.admin_id}
    return Movement(documents.entry_id_of(order.id, GRANT), GRANT, order.credits, origin, record)


def revocation(order: Order, taken_credits: int, attempt_id: str) -> Movement:
    """Credits taken back: `taken_credits` of those ordered."""
    fields = {**_record_fields(order, attempt_id), "missing": order.credits - taken_credits}
    record = Record(documents.revocation_path(order.id), fields)
    origin = {"reason": order.reason, "revokedBy": order.admin_id}
    return Movement(documents.entry_id_of(order.id, REVOCATION), REVOCATION, taken_credits, origin, record)


def balance_after(before_credits: int, movements: Sequence[Movement]) -> int:
    """The balance in credits after all of these changes."""
    return before_credits + sum(SIGNS[each.type] * each.credits for each in movements)


def writes(user: Document, before_credits: int, movements: Sequence[Movement]) -> list[Write]:
    """The writes of these changes, in this order: the balance over the version read, each entry and each record.

    A change of 0 credits has no entry, only its record. `before_credits` is the ledger's last balance: the user's
    balance, unless that document was deleted.

    Raises:
        BrokenDocument: the balance has no room for the credits.
    """
    entries = []
    balance = before_credits
    for movement in movements:
        balance = balance_after(balance, [movement])
        assert movement.credits > 0 or movement.record, "a movement has a size"
        assert balance >= 0, "a movement leaves no debt"
        if balance > MAX_CREDITS:
            raise BrokenDocument(user.path, "credits has no room for a refund")
        effect = {
            "credits": movement.credits,
            **movement.origin,
            "balanceAfter": balance,
            # Instances' clocks differ; the server's time keeps entries in the order of their commits.
            "timestamp": COMMIT_TIME,
        }
        if movement.credits:
            entry_path = documents.entry_path(user.id, movement.entry_id)
            entries.append(Write(entry_path, {"type": movement.type, **effect}))
        if movement.record is not None:
            entries.append(Write(movement.record.path, {**movement.record.fields, **effect}))
    return [Write(user.path, {"credits": balance}, user.version), *entries]


def _record_fields(order: Order, attempt_id: str) -> dict[str, Any]:
    return {"userId": order.user_id, "attemptId": attempt_id, "fingerprint": order.fingerprint}
