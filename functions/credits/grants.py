"""Credits in, by an admin."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import logs
from credits import accounts, documents, keys, movements
from credits.documents import GRANT
from credits.movements import Movement
from errors import BrokenDocument, IdempotencyMismatch, InvalidRequest
from store import COMMIT_TIME, NO_DEADLINE, Answer, Commit, Deadline, Document, Look, Store, Write

# JSON's numbers are exact up to here in most languages, and a refund still finds room above.
MAX_GRANTED_CREDITS = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Grant:
    """Credits for a user; `granted_by` is the admin's id, None if callers need no identity."""

    user_id: str
    credits: int
    reason: str
    granted_by: str | None

    def fingerprint(self) -> str:
        """SHA-256, in hex, of what is given to whom and why."""
        return keys.digest([self.user_id, self.credits, self.reason])


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant that stands, and the balance right after it; `is_replay` if an earlier call made it."""

    entry_id: str
    balance_after_credits: int
    is_replay: bool


class Grants:
    """Adds credits to balances; `new_id` gives unique ids that nobody can guess."""

    def __init__(self, store: Store, new_id: Callable[[], str]) -> None:
        self._store = store
        self._new_id = new_id

    def grant(self, grant: Grant, idempotency_key: str, deadline: Deadline = NO_DEADLINE) -> Granted:
        """Adds credits once for an admin's key, and opens the account of a new user.

        Raises:
            IdempotencyMismatch: the admin's key was used for another grant.
            InvalidRequest: the balance has no room for so many credits.
            BrokenDocument: the balance is not an integer of at least 0, or is gone although its ledger exists.
            Unavailable: the outcome is not known; the same key tells later.
        """
        attempt_id = self._new_id()
        grant_id = keys.id_for_key(grant.granted_by or "", idempotency_key)
        movement = movements.grant(f"{grant_id}-{GRANT}", grant.credits, grant.reason, grant.granted_by)
        paths = [
            documents.user_path(grant.user_id),
            documents.grant_path(grant_id),
            documents.entry_path(grant.user_id, movement.entry_id),
        ]

        def plan(read: Mapping[str, Document]) -> Commit[Granted] | Answer[Granted] | Look[Granted]:
            user, earlier, entry = (read[path] for path in paths)
            if earlier.data is not None:
                return Answer(_earlier(earlier, grant, movement.entry_id, attempt_id))
            documents.must_not_exist(entry)

            def decide(history: Sequence[Document]) -> Commit[Granted]:
                if history:
                    raise BrokenDocument(user.path, "is gone although its ledger exists")
                return _granting(user, earlier.path, grant, movement, attempt_id)

            return Look(accounts.history_query(grant.user_id), decide) if user.data is None else decide([])

        granted = self._store.transact(paths, plan, deadline, turn=grant.user_id)
        if not granted.is_replay:
            logs.info("credits granted", userId=grant.user_id, credits=grant.credits, grantedBy=grant.granted_by)
        return granted


def _earlier(document: Document, grant: Grant, entry_id: str, attempt_id: str) -> Granted:
    """What an existing grant means to this attempt: its own, an answer to replay, or a conflict."""
    data = documents.existing(document)
    if data.get("fingerprint") != grant.fingerprint():
        raise IdempotencyMismatch()
    balance_after_credits = documents.balance_after(document)
    return Granted(entry_id, balance_after_credits, is_replay=data.get("attemptId") != attempt_id)


def _granting(user: Document, grant_path: str, grant: Grant, movement: Movement, attempt_id: str) -> Commit[Granted]:
    balance_after_credits = movements.balance_after(user, [movement])
    if balance_after_credits > MAX_GRANTED_CREDITS:
        raise InvalidRequest.of_field("credits", "The balance has no room for so many credits.")
    fields = {
        "userId": grant.user_id,
        "credits": grant.credits,
        "reason": grant.reason,
        "grantedBy": grant.granted_by,
        "balanceAfter": balance_after_credits,
        "timestamp": COMMIT_TIME,
        # Tells this attempt's own write from another's after the answer to the commit was lost.
        "attemptId": attempt_id,
        "fingerprint": grant.fingerprint(),
    }
    writes = [Write(grant_path, fields), *movements.writes(user, [movement])]
    return Commit(writes, lambda versions: Granted(movement.entry_id, balance_after_credits, is_replay=False))
