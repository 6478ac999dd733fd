"""An admin's order to give credits to a user or to take them back, carried out once for each key of that user.

A key belongs to the user whose credits change, not to its sender: two reports of one payment are one order.
"""

from dataclasses import dataclass

from credits import keys
from store import Document


@dataclass(frozen=True, slots=True)
class Order:
    """Credits to give or to take back, and why. `admin_id` is None for sign-ups, scripts and callers without a token.

    The id derives from the user and the key, so a repeated order finds its first result.
    """

    id: str
    user_id: str
    credits: int
    reason: str
    admin_id: str | None = None

    @classmethod
    def with_key(cls, key: str, user_id: str, credits: int, reason: str, admin_id: str | None = None) -> "Order":
        """The order with this Idempotency-Key."""
        return cls(keys.id_for_key(user_id, key), user_id, credits, reason, admin_id)

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of the user, the credits and the reason."""
        return keys.digest([self.user_id, self.credits, self.reason])

    def is_replay(self, record: Document, attempt_id: str) -> bool:
        """Whether another call made this record of the order, and not this attempt itself.

        Raises:
            IdempotencyMismatch: the key was used for a different order.
        """
        keys.must_match(record, self.fingerprint)
        return record.fields.get("attemptId") != attempt_id
