"""Changes of a balance become writes."""

import pytest

from credits import movements
from credits.documents import DEDUCTION, GRANT, REFUND
from credits.movements import MAX_CREDITS, Movement
from credits.orders import Order
from errors import BrokenDocument
from store import Document, Version

USER = Document("users/ann", {"credits": 10}, Version(7))
NOBODY = Document("users/ann", None, None)
GIVEN = movements.grant(Order("g", "ann", 5, "because"), "attempt")
TAKEN = movements.of_request("r1", DEDUCTION, 3)
GIVEN_BACK = movements.of_request("r1", REFUND, 3)


def test_each_change_has_an_entry_with_the_balance_right_after_it() -> None:
    """The balance is written once, over the version read, and each entry must be new."""
    balance, *entries = movements.writes(USER, 10, [TAKEN, GIVEN_BACK, GIVEN])
    assert (balance.path, balance.data, balance.replaces) == ("users/ann", {"credits": 15}, Version(7))
    assert [entry.path for entry in entries] == [
        "users/ann/transactions/r1-deduction",
        "users/ann/transactions/r1-refund",
        "users/ann/transactions/g-grant",
        "grants/g",
    ]
    assert [entry.data["balanceAfter"] for entry in entries] == [7, 10, 15, 15]
    assert [entry.replaces for entry in entries] == [None, None, None, None]
    assert entries[0].data["generationRequestId"] == "r1"
    assert entries[2].data["reason"] == "because"


def test_a_new_balance_begins_at_zero() -> None:
    """The user's document must not exist yet."""
    balance, *_ = movements.writes(NOBODY, 0, [GIVEN, TAKEN])
    assert (balance.data, balance.replaces) == ({"credits": 2}, None)


def test_an_order_is_written_beside_its_entry() -> None:
    """The record and the entry agree; a revocation of 0 credits has no entry."""
    _, entry, record = movements.writes(USER, 10, [GIVEN])
    assert record.data == {
        "userId": "ann",
        "attemptId": "attempt",
        "fingerprint": Order("g", "ann", 5, "because").fingerprint,
        **{name: value for name, value in entry.data.items() if name != "type"},
    }
    nothing = movements.revocation(Order("r", "ann", 4, "because", "root"), 0, "attempt")
    balance, record = movements.writes(NOBODY, 0, [nothing])
    assert (balance.data, record.path) == ({"credits": 0}, "revocations/r")
    assert (record.data["credits"], record.data["missing"], record.data["revokedBy"]) == (0, 4, "root")


def test_a_balance_without_room_for_a_refund_is_an_error() -> None:
    """Firestore's integers have 64 bits; a sum beyond them is not written."""
    with pytest.raises(BrokenDocument):
        movements.writes(USER, MAX_CREDITS - 2, [GIVEN_BACK])


def test_a_movement_that_leaves_a_debt_is_a_programming_error() -> None:
    """The callers check that the balance is enough; this assertion is the last check."""
    with pytest.raises(AssertionError):
        movements.writes(USER, 2, [TAKEN])
    with pytest.raises(AssertionError):
        movements.writes(USER, 10, [Movement("x", GRANT, 0, {})])
