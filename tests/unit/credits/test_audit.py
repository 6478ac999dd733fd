"""The audit finds everything that somebody breaks in a consistent ledger."""

from datetime import timedelta
from typing import Any

import pytest

from credits.audit import Audit
from credits.grants import Grant
from credits.keys import id_for_key
from tests.support.builders import IMAGE_URL, LEASE_SECONDS, Books, quiet

DONE, FAILED, PENDING = (id_for_key("ann", key) for key in ("done", "failed", "pending"))
GRANTED = f"{id_for_key('root', 'grant')}-grant"


@pytest.fixture
def books() -> Books:
    """A grant, a completed request, a failed one and a pending one."""
    books = Books()
    books.add_user()
    books.grants.grant(Grant("ann", 5, "because", "root"), "grant")
    books.ledger.complete(books.reserve("done", price=1), IMAGE_URL)
    books.ledger.refund(books.reserve("failed", price=1))
    books.reserve("pending", price=1)
    return books


def violations(books: Books) -> list[str]:
    return [violation for _, found in books.audit.of_all_users() for violation in found]


def test_a_consistent_ledger_has_no_violation(books: Books) -> None:
    """A grant, a completed, a failed and a pending request are all in order."""
    assert violations(books) == []
    assert dict(books.audit.of_all_users()) == {"ann": []}


def test_a_user_without_an_entry_is_in_order() -> None:
    """A balance that was made by hand has no ledger to contradict it."""
    books = Books()
    books.add_user()
    assert books.audit.of_user("ann") == []


def test_a_user_who_does_not_exist_is_named(books: Books) -> None:
    """Asked for by name, it is a violation and not an error."""
    assert books.audit.of_user("nobody") == ["users/nobody: does not exist"]


def test_pending_past_the_lease_is_a_violation_after_the_grace(books: Books) -> None:
    """A request is overdue once its lease and the grace have passed, and in order again once released."""
    books.clock.forward(LEASE_SECONDS + 10)
    assert Audit(books.store, books.clock, grace_seconds=60).of_user("ann") == []
    assert books.audit.of_user("ann") == [f"generationRequests/{PENDING}: is pending past its lease"]
    books.ledger.release_expired()
    assert violations(books) == []


ENTRY = "users/ann/transactions/{}"
REQUEST = "generationRequests/{}"
TAMPERINGS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "another balance": ("users/ann", {"credits": 99}),
    "a balance that is a string": ("users/ann", {"credits": "9"}),
    "a broken chain": (ENTRY.format(f"{DONE}-deduction"), {"balanceAfter": 8}),
    "a balance after that is missing": (ENTRY.format(f"{DONE}-deduction"), {"balanceAfter": None}),
    "another amount": (ENTRY.format(f"{FAILED}-refund"), {"credits": 2}),
    "another granted amount": (ENTRY.format(GRANTED), {"credits": 6, "balanceAfter": 16}),
    "no amount": (ENTRY.format(f"{FAILED}-refund"), {"credits": 0}),
    "an unknown type": (ENTRY.format(f"{FAILED}-refund"), {"type": "gift"}),
    "a type that is a list": (ENTRY.format(f"{FAILED}-refund"), {"type": ["refund"]}),
    "a time that is a string": (ENTRY.format(f"{FAILED}-refund"), {"timestamp": "noon"}),
    "a request id that is a map": (ENTRY.format(f"{FAILED}-refund"), {"generationRequestId": {"id": FAILED}}),
    "no deduction": (ENTRY.format(f"{PENDING}-deduction"), None),
    "no refund": (ENTRY.format(f"{FAILED}-refund"), None),
    "an image that is a number": (REQUEST.format(DONE), {"imageUrl": 5}),
    "a user id that is a list": (REQUEST.format(DONE), {"userId": ["ann"]}),
    "a cost that is a bool": (REQUEST.format(DONE), {"cost": True}),
    "a completed request that was refunded": (REQUEST.format(FAILED), {"status": "completed", "imageUrl": "x"}),
    "a failed request that was not refunded": (REQUEST.format(DONE), {"status": "failed", "imageUrl": None}),
    "an image without payment": (REQUEST.format(FAILED), {"imageUrl": "x"}),
    "a completed request without an image": (REQUEST.format(DONE), {"imageUrl": None}),
    "another cost": (REQUEST.format(DONE), {"cost": 3}),
    "an unknown status": (REQUEST.format(DONE), {"status": "done"}),
    "a pending request without a lease": (REQUEST.format(PENDING), {"leaseExpiresAt": None}),
    "an entry without its request": (REQUEST.format(DONE), None),
    "a request of a user who does not exist": (REQUEST.format(DONE), {"userId": "nobody"}),
    "a lease of a request that ended": ("inFlight/ann", {"leases": {DONE: None}}),
    "leases that are not a map": ("inFlight/ann", {"leases": "many"}),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_each_tampering_is_found(books: Books, name: str) -> None:
    """A changed or missing document is named."""
    path, fields = TAMPERINGS[name]
    if fields is None:
        books.store.remove(path)
    else:
        books.change(path, **fields)
    assert violations(books)


def test_a_second_refund_is_found(books: Books) -> None:
    """Two refunds of one request, even if every balanceAfter follows from the one before."""
    refund = books.fields(ENTRY.format(f"{FAILED}-refund"))
    last = books.fields(ENTRY.format(f"{PENDING}-deduction"))
    second = {**refund, "balanceAfter": 14, "timestamp": last["timestamp"] + timedelta(seconds=1)}
    books.store.put(ENTRY.format("again"), second)
    books.store.put("users/ann", {"credits": 14})
    assert violations(books) == [f"generationRequests/{FAILED}: has 2 refund entries, expected 1"]


def test_a_request_of_a_user_who_signed_up_meanwhile_is_in_order(books: Books) -> None:
    """The users are walked first; a user of an earlier id, who comes after that, is looked up again."""
    walk = books.audit.of_all_users()
    assert next(walk) == ("ann", [])
    books.reserve(user_id="aaa", signup_credits=5)
    assert list(walk) == []


def test_the_audit_reads_as_of_one_moment(books: Books) -> None:
    """A purchase while it reads is not a violation."""

    def interfere(name: str) -> None:
        if name == "RunQuery":
            books.store.before_rpc = quiet
            books.reserve(price=1)

    books.store.before_rpc = interfere
    assert books.audit.of_user("ann") == []
