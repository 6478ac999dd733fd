"""What an admin orders: credits for a user, or credits back from one, once for each key of that user.

A key belongs to the user whose credits change, whoever sends it: a payment that two service accounts report is one.
"""

from dataclasses import dataclass

from credits import keys
from store import Document


@dataclass(frozen=True, slots=True)
class Order:
    """Credits to give or to take back, and why. `admin_id` is None if nobody ordered it, or callers need no identity.

    The id derives from the user and the key, so the same order finds what it did before.
    """

    id: str
    user_id: str
    credits: int
    reason: str
    admin_id: str | None = None

    @classmethod
    def with_key(cls, key: str, user_id: str, credits: int, reason: str, admin_id: str | None = None) -> "Order":
        """The order that this Idempotency-Key stands for."""
        return cls(keys.id_for_key(user_id, key), user_id, credits, reason, admin_id)

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of what is ordered for whom and why."""
        return keys.digest([self.user_id, self.credits, self.reason])

    def is_replay(self, record: Document, attempt_id: str) -> bool:
        """Whether an existing record of this order was made by another call, and not by this attempt itself.

        Raises:
            IdempotencyMismatch: the key was used for another order.
        """
        keys.must_match(record, self.fingerprint)
        return record.fields.get("attemptId") != attempt_id
