"""Changes of a balance as the writes that make them."""

import pytest

from credits import movements
from credits.documents import DEDUCTION, GRANT, REFUND
from credits.movements import MAX_CREDITS, Movement
from errors import BrokenDocument, UserNotFound
from store import Document, Version

USER = Document("users/ann", {"credits": 10}, Version(7))
NOBODY = Document("users/ann", None, None)
GIVEN = Movement("g-grant", GRANT, 5, {"reason": "because", "grantedBy": None})
TAKEN = movements.of_request("r1", DEDUCTION, 3)
GIVEN_BACK = movements.of_request("r1", REFUND, 3)


def test_each_change_has_an_entry_with_the_balance_right_after_it() -> None:
    """The balance is written once, over the version read, and each entry must be new."""
    balance, *entries = movements.writes(USER, [TAKEN, GIVEN_BACK, GIVEN])
    assert (balance.path, balance.data, balance.replaces) == ("users/ann", {"credits": 15}, Version(7))
    assert [entry.path for entry in entries] == [
        "users/ann/transactions/r1-deduction",
        "users/ann/transactions/r1-refund",
        "users/ann/transactions/g-grant",
    ]
    assert [entry.data["balanceAfter"] for entry in entries] == [7, 10, 15]
    assert [entry.replaces for entry in entries] == [None, None, None]
    assert entries[0].data["generationRequestId"] == "r1"
    assert entries[2].data["reason"] == "because"


def test_only_a_grant_begins_a_balance() -> None:
    """A deduction or a refund without a balance belongs to a user who does not exist."""
    balance, *_ = movements.writes(NOBODY, [GIVEN, TAKEN])
    assert (balance.data, balance.replaces) == ({"credits": 2}, None)
    for first in (TAKEN, GIVEN_BACK):
        with pytest.raises(UserNotFound):
            movements.writes(NOBODY, [first])


def test_a_balance_without_room_for_a_refund_is_an_error() -> None:
    """Firestore's integers have 64 bits; a sum beyond them is not written."""
    full = Document("users/ann", {"credits": MAX_CREDITS - 2}, Version(7))
    with pytest.raises(BrokenDocument):
        movements.writes(full, [GIVEN_BACK])


def test_a_movement_that_leaves_a_debt_is_a_programming_error() -> None:
    """The callers check the cover; this is the last line of defence."""
    with pytest.raises(AssertionError):
        movements.writes(Document("users/ann", {"credits": 2}, Version(7)), [TAKEN])
    with pytest.raises(AssertionError):
        movements.writes(USER, [Movement("x", GRANT, 0, {})])
