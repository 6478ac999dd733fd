"""Credits out, by an admin: never more than are there."""

import pytest
from grpc import StatusCode

from credits.documents import PROVIDER_FAILED
from credits.keys import id_for_key
from credits.orders import Order
from credits.revocations import Revoked
from errors import BrokenDocument, IdempotencyMismatch, Unavailable, UserNotFound
from tests.support.builders import PURCHASE, Books, expired, failing

ID = id_for_key("ann", "key")


def revocation(credits: int = 4, reason: str = "Chargeback", user_id: str = "ann", admin: str | None = "root") -> Order:
    return Order.with_key("key", user_id, credits, reason, admin)


def test_credits_are_taken_back_with_an_entry_and_a_document_of_their_own(books: Books) -> None:
    """One commit has the balance, the ledger entry and revocations/{id}, which says who took how much and why."""
    assert books.revocations.revoke(revocation()) == Revoked(f"{ID}-revocation", 4, 0, 6, is_replay=False)
    entry, stored = books.fields(f"users/ann/transactions/{ID}-revocation"), books.fields(f"revocations/{ID}")
    assert (entry["type"], entry["credits"], entry["balanceAfter"]) == ("revocation", 4, 6)
    assert (entry["reason"], entry["revokedBy"]) == ("Chargeback", "root")
    assert (stored["userId"], stored["missing"], stored["timestamp"]) == ("ann", 0, entry["timestamp"])
    assert books.balance() == 6
    assert books.audit.of_user("ann").violations == []


@pytest.mark.parametrize("wanted", [11, 10**9])
def test_at_most_what_is_there_is_taken(books: Books, wanted: int) -> None:
    """The balance never falls below zero, and the answer says what is missing."""
    assert books.revocations.revoke(revocation(wanted)) == Revoked(
        f"{ID}-revocation", 10, wanted - 10, 0, is_replay=False
    )
    assert books.balance() == 0
    assert books.audit.of_user("ann").violations == []


def test_nothing_can_be_taken_from_an_empty_balance(books: Books) -> None:
    """No credits move, so there is no entry; the same key gives the same answer even after a grant."""
    books.reserve(price=10)
    first = books.revocations.revoke(revocation())
    assert first == Revoked(None, 0, 4, 0, is_replay=False)
    assert [entry.type for entry in books.history.statement("ann", 10).found] == ["deduction", "grant"]
    books.grants.grant(Order.with_key("key", "ann", 25, "Order 1", "root"))
    assert books.revocations.revoke(revocation()) == Revoked(None, 0, 4, 0, is_replay=True)
    assert books.balance() == 25
    assert books.audit.of_user("ann").violations == []


def test_credits_in_flight_are_not_taken(books: Books) -> None:
    """A pending request's credits go back to the user if it fails."""
    reservation = books.reserve()
    assert books.revocations.revoke(revocation(10)).missing_credits == 3
    books.ledger.refund(reservation, PROVIDER_FAILED)
    assert books.balance() == 3
    assert books.audit.of_user("ann").violations == []


def test_a_key_revokes_once(books: Books) -> None:
    """This holds for any sender; the first answer comes again, and nothing is written."""
    books.revocations.revoke(revocation())
    before = books.store.everything()
    for admin in ("root", "chief", None):
        again = books.revocations.revoke(revocation(admin=admin))
        assert again == Revoked(f"{ID}-revocation", 4, 0, 6, is_replay=True)
    assert books.store.everything() == before


def test_a_key_with_another_revocation_is_refused(books: Books) -> None:
    """Another amount or reason with the same key is a mismatch; a grant may have the same key."""
    books.grants.grant(Order.with_key("key", "ann", 5, "Order 1", "root"))
    books.revocations.revoke(revocation())
    for other in (revocation(5), revocation(reason="Mistake")):
        with pytest.raises(IdempotencyMismatch):
            books.revocations.revoke(other)
    assert books.balance() == 11


def test_an_unknown_or_deleted_user_has_nothing_to_take(books: Books) -> None:
    """A revocation from either raises UserNotFound and writes nothing."""
    books.store.remove("users/ann")
    before = books.store.everything()
    for user_id in ("ann", "nobody"):
        with pytest.raises(UserNotFound):
            books.revocations.revoke(revocation(user_id=user_id))
    assert books.store.everything() == before


@pytest.mark.parametrize("credits", [None, -1, "10", True])
def test_nothing_is_taken_from_a_broken_balance(books: Books, credits: object) -> None:
    """A balance that is not an integer of at least 0 stays as it is."""
    books.add_user("broken", credits)
    before = books.store.everything()
    with pytest.raises(BrokenDocument):
        books.revocations.revoke(revocation(user_id="broken"))
    assert books.store.everything() == before


@pytest.mark.parametrize("wanted", [4, 40])
@pytest.mark.parametrize("is_applied", [True, False])
def test_a_revocation_whose_answer_was_lost_stands_once(books: Books, wanted: int, is_applied: bool) -> None:
    """The caller's own write is recognised and is not a replay."""
    if is_applied:
        books.store.after_rpc = failing(StatusCode.UNAVAILABLE)
    else:
        books.store.before_rpc = failing(StatusCode.UNAVAILABLE)
    revoked = books.revocations.revoke(revocation(wanted))
    assert (revoked.taken_credits, revoked.is_replay, books.balance()) == (min(wanted, 10), False, max(0, 10 - wanted))


def test_a_revocation_beside_another_change_is_tried_again(books: Books) -> None:
    """A purchase between its read and its write leaves fewer credits to take."""
    bought: list[bool] = []

    def interfere(name: str) -> None:
        if name == "Commit" and not bought:
            bought.append(True)
            books.rival().reserve(PURCHASE, "theirs", 3)

    books.store.before_rpc = interfere
    assert books.revocations.revoke(revocation(9)) == Revoked(f"{ID}-revocation", 7, 2, 0, is_replay=False)
    assert books.audit.of_user("ann").violations == []


def test_an_entry_without_its_document_is_an_error(books: Books) -> None:
    """If somebody deleted revocations/{id} alone, the credits are not taken a second time."""
    books.revocations.revoke(revocation())
    books.store.remove(f"revocations/{ID}")
    with pytest.raises(BrokenDocument):
        books.revocations.revoke(revocation())
    assert books.balance() == 6


def test_a_passed_deadline_takes_nothing(books: Books) -> None:
    """The call is refused before anything is read or written."""
    before = books.store.everything()
    with pytest.raises(Unavailable):
        books.revocations.revoke(revocation(), expired())
    assert books.store.everything() == before
