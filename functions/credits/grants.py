"""Credits given by an admin."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import logs
from credits import accounts, documents, movements
from credits.movements import Movement
from credits.orders import Order
from errors import InvalidRequest
from events import CREDITS_GRANTED, SILENT, Event, Outbox
from store import NO_DEADLINE, Answer, Commit, Deadline, Document, QueryFirst, Store

# Most languages read JSON numbers exactly up to here. Refunds may go above it.
MAX_GRANTED_CREDITS = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Granted:
    """A stored grant and the balance right after it; `is_replay` if an earlier call made it."""

    entry_id: str
    balance_after_credits: int
    is_replay: bool


class Grants:
    """Adds credits to balances; `new_id` gives unique ids that nobody can guess."""

    def __init__(self, store: Store, new_id: Callable[[], str], outbox: Outbox = SILENT) -> None:
        self._store = store
        self._new_id = new_id
        self._outbox = outbox

    def grant(self, order: Order, deadline: Deadline = NO_DEADLINE) -> Granted:
        """Adds credits once for the order's key. Opens the account if it is new or was deleted.

        Raises:
            IdempotencyMismatch: the user's key was used for another grant.
            InvalidRequest: the balance has no room for so many credits.
            BrokenDocument: the balance is not an integer of at least 0.
            Unavailable: the outcome is not known; the same key shows it later.
        """
        attempt_id = self._new_id()
        movement = movements.grant(order, attempt_id)
        paths = [
            documents.user_path(order.user_id),
            documents.grant_path(order.id),
            documents.entry_path(order.user_id, movement.entry_id),
        ]

        def plan(read: Mapping[str, Document]) -> Commit[Granted] | Answer[Granted] | QueryFirst[Granted]:
            user, record, entry = (read[path] for path in paths)
            if record.data is not None:
                is_replay = order.is_replay(record, attempt_id)
                return Answer(Granted(movement.entry_id, documents.balance_after(record), is_replay))
            documents.must_not_exist(entry)
            if user.data is not None:
                return self._commit(order, user, documents.balance(user), [movement])
            last = accounts.last_entry_query(order.user_id)
            return QueryFirst(last, lambda last_entry: self._opening(order, user, last_entry, movement))

        granted = self._store.transact(paths, plan, deadline, turn=order.user_id)
        if not granted.is_replay:
            logs.info("credits granted", userId=order.user_id, credits=order.credits, grantedBy=order.admin_id)
            self._outbox.send(_event(order, granted), deadline)
        return granted

    def _opening(
        self, order: Order, user: Document, last_entry: Sequence[Document], movement: Movement
    ) -> Commit[Granted]:
        """Opens an account. If it was deleted, the ledger first gets an entry for the lost credits."""
        lost_credits = accounts.lost_credits(last_entry)
        closing = [accounts.closing(user.id, lost_credits, order.id)] if lost_credits else []
        return self._commit(order, user, lost_credits, [*closing, movement])

    def _commit(
        self, order: Order, user: Document, before_credits: int, changes: Sequence[Movement]
    ) -> Commit[Granted]:
        balance_after_credits = movements.balance_after(before_credits, changes)
        if balance_after_credits > MAX_GRANTED_CREDITS:
            raise InvalidRequest.of_field("credits", "The balance has no room for so many credits.")
        granted = Granted(changes[-1].entry_id, balance_after_credits, is_replay=False)
        telling = self._outbox.writes(_event(order, granted))
        return Commit([*movements.writes(user, before_credits, changes), *telling], lambda versions: granted)


def _event(order: Order, granted: Granted) -> Event:
    data = {
        "userId": order.user_id,
        "credits": order.credits,
        "reason": order.reason,
        "currentCredits": granted.balance_after_credits,
        "transactionId": granted.entry_id,
    }
    return Event(f"{order.id}-granted", CREDITS_GRANTED, data)
