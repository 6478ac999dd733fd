"""The audit notices every change by hand of a field that decides what a user owns or owes."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest

from credits.documents import PROVIDER_FAILED
from credits.orders import Order
from tests.support.budget import AUDIT_STRIDE
from tests.support.builders import IMAGE_URL, LEASE_SECONDS, Books

# Changes of these fields do not change what anybody owns or owes, and cannot be noticed: the image may be anywhere, the
# time of a request's end is only a time, the ids of attempts and claims are random, when to claim is free, and a
# picture that was to be deleted may be gone.
FREE = {
    "generationRequests": {
        "imageUrl",
        "failure",
        "updatedAt",
        "attemptId",
        "leaseExpiresAt",
        "claimableAt",
        "claims",
        "pictureToDelete",
    },
    "grants": {"attemptId"},
    "revocations": {"attemptId"},
}
OTHER_WORDS = {
    "type": ("deduction", "refund", "grant", "revocation"),
    "status": ("pending", "completed", "failed", "canceled"),
    "failure": ("GENERATION_FAILED", "LEASE_EXPIRED", "ACCOUNT_DELETED"),
}


class Change(NamedTuple):
    """One change by hand of one document; without a field, the document is deleted."""

    path: str
    field: str | None = None
    value: Any = None
    is_removed: bool = False


def history() -> Books:
    """Everything that can happen to credits: sign-up, every outcome of a purchase, grant, revocations, a new start."""
    books = Books()
    for user_id in ("ann", "bob"):
        books.reserve("first", price=1, user_id=user_id, signup_credits=20)
        books.ledger.complete(books.reserve("done", user_id=user_id), IMAGE_URL)
        books.ledger.refund(books.reserve("failed", user_id=user_id, prompt="a boat"), PROVIDER_FAILED)
        books.cancel(books.reserve("canceled", user_id=user_id))
        claimed = books.reserve("claimed", user_id=user_id)
        books.ledger.complete(claimed, IMAGE_URL)
        books.change(claimed.document.path, claimableAt=books.clock(), claims=["lost", "last"], pictureToDelete=True)
        books.clock.forward(LEASE_SECONDS + 1)
        books.ledger.release_expired()
        books.grants.grant(Order.with_key("order", user_id, 5, "Order 1", "root"))
        books.revocations.revoke(Order.with_key("order", user_id, 2, "Chargeback", "root"))
        books.reserve("lost", user_id=user_id)
    books.store.remove("users/bob")
    books.clock.forward(LEASE_SECONDS + 1)
    books.ledger.release_expired()
    books.grants.grant(Order.with_key("again", "bob", 7, "Order 2", "root"))
    books.revocations.revoke(Order.with_key("again", "bob", 70, "Chargeback", "root"))
    books.revocations.revoke(Order.with_key("nothing", "bob", 7, "Chargeback", "root"))
    books.reserve("pending")
    books.change(books.reserve("waiting").document.path, claimableAt=books.clock(), claims=[])
    return books


def changes(stored: Mapping[str, Mapping[str, Any]]) -> Iterator[Change]:
    """Deletes each document, removes each field, and sets it to other values of its own and of every other type."""
    for path, fields in stored.items():
        if path.partition("/")[0] != "inFlight":
            yield Change(path)
        for field, value in fields.items():
            # A null or empty field means the same as a missing one.
            if value not in (None, {}):
                yield Change(path, field, is_removed=True)
            for other in _others(field, value):
                if type(other) is not type(value) or other != value:
                    yield Change(path, field, other)


def _others(field: str, value: Any) -> Iterator[Any]:
    yield from (None, True, 0, -1, 1, 3, 10**6, 1.0, float("nan"), "", "x", [], [value], {}, {"credits": value})
    yield from OTHER_WORDS.get(field, ())
    if type(value) is int:
        yield from (value + 1, value - 1, -value, float(value), str(value))
    if isinstance(value, str):
        yield from (value + "x", value[:-1], value.upper())
    if isinstance(value, datetime):
        yield from (value + timedelta(seconds=by) for by in (-1, 1, -86_400, 86_400))
    if field == "userId":
        yield from ("ann", "bob", "nobody")
    if field == "leases" and isinstance(value, Mapping):
        yield from ({**value, "another": None}, dict.fromkeys(value), dict.fromkeys(value, "noon"))


def must_be_noticed(change: Change, fields: Mapping[str, Any]) -> bool:
    """Whether the change alters what somebody owns or owes."""
    collection = change.path.partition("/")[0]
    # A revocation of an empty balance has moved no credits.
    is_empty = collection == "revocations" and fields["credits"] == 0
    # Both have their credits back, and older failed requests do not say why they failed.
    is_same_outcome = (change.field, change.value, fields.get("status")) == ("status", "failed", "canceled")
    return not is_empty and not is_same_outcome and change.field not in FREE.get(collection, ())


def is_noticed(books: Books, stored: Mapping[str, Mapping[str, Any]], change: Change) -> bool:
    """Makes the change, audits users until something is found, and undoes it."""
    fields = dict(stored[change.path])
    if change.field is None:
        books.store.remove(change.path)
    else:
        changed = {**fields, change.field: change.value}
        if change.is_removed:
            del changed[change.field]
        books.store.put(change.path, changed)
    found = any(each.violations or each.is_deleted for each in books.audit.of_all_users())
    books.store.put(change.path, fields)
    return found


def test_every_change_of_what_somebody_owns_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    """The audit notices all of these, and of the other changes those that break a rule."""
    books = history()
    stored = books.store.everything()
    assert not any(each.violations or each.is_deleted for each in books.audit.of_all_users())
    kinds = {path.split("/")[-2] for path in stored}
    assert kinds == {"users", "transactions", "generationRequests", "inFlight", "grants", "revocations"}
    owning, others = [0, 0], [0, 0]
    missed = []
    for change in list(changes(stored))[::AUDIT_STRIDE]:
        must_be = must_be_noticed(change, stored[change.path])
        counts = owning if must_be else others
        counts[0] += 1
        if is_noticed(books, stored, change):
            counts[1] += 1
        elif must_be:
            missed.append(change)
    assert missed == []
    assert owning[0] > 5_000 / AUDIT_STRIDE
    with capsys.disabled():
        print(
            f"\naudit: noticed {owning[1]} of {owning[0]} changes of what is owned, {others[1]} of {others[0]} others"
        )
