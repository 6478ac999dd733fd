"""How many reservations a user may have in flight."""

from datetime import UTC, datetime, timedelta

import pytest

from credits.documents import PROVIDER_FAILED
from credits.reservations import FORGOTTEN_AFTER, Reservation
from errors import IdempotencyInFlight, TooManyPending
from tests.support.builders import IMAGE_URL, LEASE_SECONDS, PURCHASE, Books

LIMIT = 2


@pytest.fixture
def books() -> Books:
    books = Books(max_pending=LIMIT)
    books.add_user("ann", 100)
    return books


def test_one_more_than_the_limit_is_refused_and_writes_nothing(books: Books) -> None:
    """The error has the limit and a time to wait; another user's reservations do not count."""
    books.add_user("bob", 100)
    for number in range(LIMIT):
        books.reserve(f"key {number}")
    before = books.store.everything()
    with pytest.raises(TooManyPending) as caught:
        books.reserve()
    assert caught.value.details["maxPending"] == LIMIT
    assert int(caught.value.headers["Retry-After"]) > 0
    assert books.store.everything() == before
    books.reserve(user_id="bob")


def test_a_key_in_flight_is_in_flight_at_the_limit_too(books: Books) -> None:
    """A retry of a pending purchase does not count as another one."""
    for number in range(LIMIT):
        books.reserve(f"key {number}")
    with pytest.raises(IdempotencyInFlight):
        books.ledger.reserve(PURCHASE, "key 0", 3)


@pytest.mark.parametrize("end", ["complete", "refund", "release"])
def test_each_end_makes_room(books: Books, end: str) -> None:
    """A reservation ends with an image, a refund or the sweep; then it does not count."""
    first, _ = books.reserve(), books.reserve()
    if end == "complete":
        books.ledger.complete(first, IMAGE_URL)
    elif end == "refund":
        books.ledger.refund(first, PROVIDER_FAILED)
    else:
        books.clock.forward(LEASE_SECONDS + 1)
        books.ledger.release_expired()
    books.reserve()
    assert books.audit.of_user("ann").violations == []


def test_two_processes_do_not_share_the_last_place(books: Books) -> None:
    """Another process takes it between read and write: the count is checked again with the new state."""
    books.reserve()
    rival = books.rival()
    won: list[object] = []

    def interfere(name: str) -> None:
        if name == "Commit" and not won:
            won.append(rival.reserve(PURCHASE, "rival", 3))

    books.store.before_rpc = interfere
    with pytest.raises(TooManyPending):
        books.reserve()
    assert isinstance(won[0], Reservation)
    assert len(books.fields("inFlight/ann")["leases"]) == LIMIT


def test_the_first_purchase_counts_too(books: Books) -> None:
    """The commit that opens an account also counts as in flight."""
    for _ in range(LIMIT):
        books.reserve(user_id="new", signup_credits=10)
    with pytest.raises(TooManyPending):
        books.reserve(user_id="new", signup_credits=10)


def test_a_request_deleted_by_hand_does_not_lock_its_user_out_for_ever(books: Books) -> None:
    """The audit names its lease, which does not count any more a day after its end."""
    for _ in range(LIMIT):
        books.store.remove(books.reserve().document.path)
    assert sum("is not pending" in problem for problem in books.audit.of_user("ann").violations) == LIMIT
    with pytest.raises(TooManyPending):
        books.reserve()
    books.clock.forward((timedelta(seconds=LEASE_SECONDS + 1) + FORGOTTEN_AFTER).total_seconds())
    books.reserve()


@pytest.mark.parametrize("lease", ["soon", None, 5, datetime(9999, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)])
def test_a_lease_that_no_reservation_wrote_does_not_count(books: Books, lease: object) -> None:
    """A value that is not a time, or a time far from now, locks nobody out."""
    books.store.put("inFlight/ann", {"leases": {str(number): lease for number in range(LIMIT)}})
    books.reserve()


@pytest.mark.parametrize("leases", [None, "many", [1]])
def test_leases_that_are_not_a_map_do_not_count(books: Books, leases: object) -> None:
    """It is a limit and not money: a broken value does not stop a purchase, and the audit names it."""
    books.store.put("inFlight/ann", {"leases": leases})
    assert any("leases is not a map" in problem for problem in books.audit.of_user("ann").violations)
    books.reserve()
    assert books.audit.of_user("ann").violations == []
