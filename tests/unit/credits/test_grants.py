"""Credits in, by an admin."""

import pytest
from grpc import StatusCode

from credits.documents import PROVIDER_FAILED
from credits.grants import MAX_GRANTED_CREDITS, Granted
from credits.keys import id_for_key
from credits.orders import Order
from errors import BrokenDocument, IdempotencyMismatch, InvalidRequest, Unavailable
from tests.support.builders import Books, expired, failing

GRANT = Order.with_key("key", "ann", 25, "Order 1", "root")


def test_a_grant_adds_credits_with_its_entry_and_its_own_document(books: Books) -> None:
    """One commit has the balance, the ledger entry and grants/{id}, which says who gave how much and why."""
    granted = books.grants.grant(GRANT)
    assert granted == Granted(f"{id_for_key('ann', 'key')}-grant", 35, is_replay=False)
    entry = books.fields(f"users/ann/transactions/{granted.entry_id}")
    assert (entry["type"], entry["credits"], entry["balanceAfter"], entry["reason"], entry["grantedBy"]) == (
        "grant",
        25,
        35,
        "Order 1",
        "root",
    )
    stored = books.fields(f"grants/{id_for_key('ann', 'key')}")
    assert (stored["userId"], stored["credits"], stored["reason"], stored["grantedBy"], stored["balanceAfter"]) == (
        "ann",
        25,
        "Order 1",
        "root",
        35,
    )
    assert books.balance() == 35
    assert entry["timestamp"] == stored["timestamp"]


def test_a_key_grants_once(books: Books) -> None:
    """The same key gives the first answer again, with its balance, and writes nothing."""
    first = books.grants.grant(GRANT)
    books.grants.grant(Order.with_key("other key", "ann", 25, "Order 1", "root"))
    before = books.store.everything()
    again = books.grants.grant(GRANT)
    assert again == Granted(first.entry_id, 35, is_replay=True)
    assert books.store.everything() == before


@pytest.mark.parametrize(("credits", "reason"), [(26, "Order 1"), (25, "Order 2")])
def test_a_key_with_another_grant_is_refused(books: Books, credits: int, reason: str) -> None:
    """Another amount or reason under the same key is a mismatch."""
    books.grants.grant(GRANT)
    with pytest.raises(IdempotencyMismatch):
        books.grants.grant(Order.with_key("key", "ann", credits, reason, "root"))
    assert books.balance() == 35


def test_a_key_belongs_to_the_user_who_gets_the_credits(books: Books) -> None:
    """If two service accounts report one payment, it is granted once; another user may have the same key."""
    books.grants.grant(GRANT)
    for admin in ("chief", None):
        assert books.grants.grant(Order.with_key("key", "ann", 25, "Order 1", admin)).is_replay
    assert not books.grants.grant(Order.with_key("key", "bob", 25, "Order 1", "root")).is_replay
    assert (books.balance("ann"), books.balance("bob")) == (35, 25)


def test_the_parts_of_an_id_cannot_be_confused() -> None:
    """The hashed text separates the user and the key."""
    assert id_for_key("ann", "b") != id_for_key("an", "nb")
    assert id_for_key("ann", "b") == id_for_key("ann", "b")


def test_a_grant_opens_the_account_of_a_new_user(books: Books) -> None:
    """Its balance begins with the grant, and the audit finds nothing wrong."""
    assert books.grants.grant(Order.with_key("key", "new", 5, "because", "root")).balance_after_credits == 5
    assert books.balance("new") == 5
    assert books.audit.of_user("new").violations == []


def test_a_grant_opens_a_deleted_account_anew(books: Books) -> None:
    """It starts from zero: one commit writes the lost credits and the grant, and the audit finds nothing wrong."""
    books.reserve()
    books.store.remove("users/ann")
    books.clock.forward(1)
    assert books.grants.grant(GRANT).balance_after_credits == 25
    granted, closed, _, _ = books.history.statement("ann", 10).found
    assert (closed.type, closed.credits, closed.balance_after, closed.reason) == (
        "revocation",
        7,
        0,
        "The account was deleted.",
    )
    assert (granted.balance_after, granted.timestamp) == (25, closed.timestamp)
    assert books.audit.of_user("ann").violations == []
    assert books.grants.grant(GRANT) == Granted(granted.id, 25, is_replay=True)


def test_an_account_that_was_deleted_with_nothing_in_it_lost_nothing(books: Books) -> None:
    """Its ledger goes on without a revocation."""
    books.reserve(price=10)
    books.store.remove("users/ann")
    assert books.grants.grant(GRANT).balance_after_credits == 25
    assert [entry.type for entry in books.history.statement("ann", 10).found] == ["grant", "deduction", "grant"]
    assert books.audit.of_user("ann").violations == []


def test_a_balance_has_an_upper_end(books: Books) -> None:
    """A grant above it is refused with the field's name; one that just fits is accepted."""
    books.add_user("rich", MAX_GRANTED_CREDITS - 1)
    with pytest.raises(InvalidRequest) as caught:
        books.grants.grant(Order.with_key("key", "rich", 2, "because", "root"))
    assert caught.value.details["fields"][0]["field"] == "credits"
    assert (
        books.grants.grant(Order.with_key("key", "rich", 1, "because", "root")).balance_after_credits
        == MAX_GRANTED_CREDITS
    )


def test_a_refund_still_fits_above_the_upper_end_of_grants(books: Books) -> None:
    """Credits that were reserved before the grant can be refunded."""
    reservation = books.reserve()
    books.grants.grant(Order.with_key("key", "ann", MAX_GRANTED_CREDITS - 7, "because", "root"))
    books.ledger.refund(reservation, PROVIDER_FAILED)
    assert books.balance() == MAX_GRANTED_CREDITS + 3


@pytest.mark.parametrize("credits", [None, -1, "10", True])
def test_nothing_is_granted_to_a_broken_balance(books: Books, credits: object) -> None:
    """A balance that is not an integer of at least 0 stays as it is."""
    books.add_user("ann", credits)
    with pytest.raises(BrokenDocument):
        books.grants.grant(GRANT)
    assert f"grants/{GRANT.id}" not in books.store.everything()


@pytest.mark.parametrize("is_applied", [True, False])
def test_a_grant_whose_answer_was_lost_stands_once(books: Books, is_applied: bool) -> None:
    """The caller's own write is recognised and is not a replay."""
    if is_applied:
        books.store.after_rpc = failing(StatusCode.UNAVAILABLE)
    else:
        books.store.before_rpc = failing(StatusCode.UNAVAILABLE)
    granted = books.grants.grant(GRANT)
    assert (granted.balance_after_credits, granted.is_replay, books.balance()) == (35, False, 35)


def test_an_entry_without_its_grant_is_an_error(books: Books) -> None:
    """If somebody deleted grants/{id} alone, the credits are not given a second time."""
    books.grants.grant(GRANT)
    books.store.remove(f"grants/{id_for_key('ann', 'key')}")
    with pytest.raises(BrokenDocument):
        books.grants.grant(GRANT)
    assert books.balance() == 35


def test_a_passed_deadline_grants_nothing(books: Books) -> None:
    """The call is refused before anything is read or written."""
    before = books.store.everything()
    with pytest.raises(Unavailable):
        books.grants.grant(GRANT, expired())
    assert books.store.everything() == before
