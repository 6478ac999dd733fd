"""The audit finds whatever somebody breaks in good books."""

from datetime import timedelta
from typing import Any

import pytest

from audits import Audits
from builders import LEASE_SECONDS, Books, request
from ledger import Reservation


@pytest.fixture
def books() -> Books:
    """A completed request (id1), a failed one (id3) and a pending one (id5)."""
    books = Books()
    books.add_user()
    for end in (
        lambda bought: books.ledger.complete(bought, "https://image"),
        books.ledger.refund,
        lambda bought: None,
    ):
        reservation = books.ledger.reserve(request(cost_credits=1))
        assert isinstance(reservation, Reservation)
        end(reservation)
    return books


def violations(books: Books) -> list[str]:
    return [violation for _, found in books.audits.of_everybody() for violation in found]


def test_good_books_have_no_violation(books: Books) -> None:
    """A completed, a failed and a pending request are all in order."""
    assert violations(books) == []


def test_pending_past_the_lease_is_one_after_the_grace(books: Books) -> None:
    """A request is overdue once its lease and the grace have passed, and in order again once released."""
    books.clock.forward(LEASE_SECONDS + 10)
    assert Audits(books.db, books.clock, grace_seconds=60).of_user("ann") == []
    assert books.audits.of_user("ann") == ["generationRequests/id5: is pending past its lease"]
    books.ledger.release_expired()
    assert violations(books) == []


ENTRY = "users/ann/transactions/{}"
TAMPERINGS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "another balance": ("users/ann", {"credits": 99}),
    "a balance that is none": ("users/ann", {"credits": "9"}),
    "a broken chain": (ENTRY.format("id1-deduction"), {"balanceAfter": 8}),
    "another amount": (ENTRY.format("id3-refund"), {"credits": 2}),
    "an unknown type": (ENTRY.format("id3-refund"), {"type": "gift"}),
    "a time that is none": (ENTRY.format("id3-refund"), {"timestamp": "noon"}),
    "a type that is none": (ENTRY.format("id3-refund"), {"type": ["refund"]}),
    "a request that is none": (ENTRY.format("id3-refund"), {"generationRequestId": {"id": "id3"}}),
    "an image that is none": ("generationRequests/id1", {"imageUrl": 5}),
    "a user that is none": ("generationRequests/id1", {"userId": ["ann"]}),
    "a cost that is none": ("generationRequests/id1", {"cost": True}),
    "no deduction": (ENTRY.format("id5-deduction"), None),
    "no refund": (ENTRY.format("id3-refund"), None),
    "a completed request that was refunded": ("generationRequests/id3", {"status": "completed", "imageUrl": "x"}),
    "a failed request that was not": ("generationRequests/id1", {"status": "failed", "imageUrl": None}),
    "an image without payment": ("generationRequests/id3", {"imageUrl": "x"}),
    "a completed request without image": ("generationRequests/id1", {"imageUrl": None}),
    "another cost": ("generationRequests/id1", {"cost": 3}),
    "an unknown status": ("generationRequests/id1", {"status": "done"}),
    "no lease": ("generationRequests/id5", {"leaseExpiresAt": None}),
    "an entry without request": ("generationRequests/id1", None),
    "a request of nobody": ("generationRequests/id1", {"userId": "nobody"}),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_each_tampering_is_found(books: Books, name: str) -> None:
    """A changed or missing document is named."""
    path, fields = TAMPERINGS[name]
    if fields is None:
        books.db.remove(path)
    else:
        books.db.put(path, {**books.db.everything()[path], **fields})
    assert violations(books)


def test_a_second_refund_is_found(books: Books) -> None:
    """Two refunds of one request, even with the chain in order."""
    everything = books.db.everything()
    refund = everything[ENTRY.format("id3-refund")]
    last = everything[ENTRY.format("id5-deduction")]
    second = {**refund, "balanceAfter": 9, "timestamp": last["timestamp"] + timedelta(seconds=1)}
    books.db.put(ENTRY.format("again"), second)
    books.db.put("users/ann", {"credits": 9})
    assert violations(books) == ["generationRequests/id3: has 2 refund entries, expected 1"]
