"""Ids and fingerprints derived from a client's request, so that a repeated request finds its first result."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from errors import IdempotencyMismatch
from store import Document


def id_for_key(user_id: str, idempotency_key: str) -> str:
    """The id of the document for this user and key."""
    # A user id has no control character, so two different pairs never make the same text.
    return hashlib.sha256(f"{user_id}\0{idempotency_key}".encode()).hexdigest()[:40]


def digest(asked: Sequence[Any]) -> str:
    """SHA-256, in hex, of a client's request."""
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def must_match(earlier: Document, fingerprint: str) -> None:
    """Refuses a key that was used for a different request.

    Raises:
        IdempotencyMismatch: the document belongs to a different request.
    """
    if earlier.fields.get("fingerprint") != fingerprint:
        raise IdempotencyMismatch()
