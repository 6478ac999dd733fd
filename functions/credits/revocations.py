"""Credits taken back by an admin, after a chargeback or a mistake. A balance never falls below zero."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import logs
from credits import documents, movements
from credits.documents import REVOCATION
from credits.orders import Order
from store import NO_DEADLINE, Answer, Commit, Deadline, Document, Store


@dataclass(frozen=True, slots=True)
class Revoked:
    """A stored revocation and the balance right after it; `is_replay` if an earlier call made it.

    Taken and missing credits together are the ordered ones. If nothing was taken, there is no ledger entry.
    """

    entry_id: str | None
    taken_credits: int
    missing_credits: int
    balance_after_credits: int
    is_replay: bool


class Revocations:
    """Takes credits back; `new_id` gives unique ids that nobody can guess."""

    def __init__(self, store: Store, new_id: Callable[[], str]) -> None:
        self._store = store
        self._new_id = new_id

    def revoke(self, order: Order, deadline: Deadline = NO_DEADLINE) -> Revoked:
        """Takes credits back once for the order's key, at most the whole balance.

        Raises:
            UserNotFound: the user does not exist.
            IdempotencyMismatch: the user's key was used for another revocation.
            BrokenDocument: the balance is not an integer of at least 0.
            Unavailable: the outcome is not known; the same key shows it later.
        """
        attempt_id = self._new_id()
        user_path, record_path = documents.user_path(order.user_id), documents.revocation_path(order.id)
        entry_path = documents.entry_path(order.user_id, documents.entry_id_of(order.id, REVOCATION))

        def plan(read: Mapping[str, Document]) -> Commit[Revoked] | Answer[Revoked]:
            user, record = read[user_path], read[record_path]
            if record.data is not None:
                taken, missing = (documents.count(record, name, minimum=0) for name in ("credits", "missing"))
                is_replay = order.is_replay(record, attempt_id)
                return Answer(_revoked(order, taken, missing, documents.balance_after(record), is_replay))
            documents.must_not_exist(read[entry_path])
            balance = documents.balance(user)
            taken = min(balance, order.credits)
            movement = movements.revocation(order, taken, attempt_id)
            writes = movements.writes(user, balance, [movement])
            revoked = _revoked(order, taken, order.credits - taken, balance - taken)
            return Commit(writes, lambda versions: revoked)

        revoked = self._store.transact([user_path, record_path, entry_path], plan, deadline, turn=order.user_id)
        if not revoked.is_replay:
            logs.info(
                "credits revoked",
                userId=order.user_id,
                credits=revoked.taken_credits,
                missingCredits=revoked.missing_credits,
                revokedBy=order.admin_id,
            )
        return revoked


def _revoked(
    order: Order, taken_credits: int, missing_credits: int, balance_after_credits: int, is_replay: bool = False
) -> Revoked:
    entry_id = documents.entry_id_of(order.id, REVOCATION) if taken_credits else None
    return Revoked(entry_id, taken_credits, missing_credits, balance_after_credits, is_replay)
