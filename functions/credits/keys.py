"""Ids and fingerprints that derive from what a client sent, so that the same request finds what it made before."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any


def id_for_key(owner_id: str, idempotency_key: str) -> str:
    """The id of the document that this owner's key made, or will make."""
    # A user id holds no control character, so the separator keeps two pairs apart.
    return hashlib.sha256(f"{owner_id}\0{idempotency_key}".encode()).hexdigest()[:40]


def digest(asked: Sequence[Any]) -> str:
    """SHA-256, in hex, of what a client asked for."""
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()
