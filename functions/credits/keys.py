"""Ids and fingerprints that derive from what a client sent, so that the same request finds what it made before."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from errors import IdempotencyMismatch
from store import Document


def id_for_key(user_id: str, idempotency_key: str) -> str:
    """The id of the document that this key made, or will make, for this user."""
    # A user id holds no control character, so the separator keeps two pairs apart.
    return hashlib.sha256(f"{user_id}\0{idempotency_key}".encode()).hexdigest()[:40]


def digest(asked: Sequence[Any]) -> str:
    """SHA-256, in hex, of what a client asked for."""
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def must_match(earlier: Document, fingerprint: str) -> None:
    """Refuses a key that stands for something else.

    Raises:
        IdempotencyMismatch: the document was made by another request.
    """
    if earlier.fields.get("fingerprint") != fingerprint:
        raise IdempotencyMismatch()
