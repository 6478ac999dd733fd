"""How many reservations a user may have in flight, on an in-process database with a clock to move."""

from datetime import UTC, datetime, timedelta

import pytest

from builders import Books, request
from errors import TooManyPending
from ledger import FORGOTTEN_AFTER, Ledger, Reservation

LIMIT = 2


@pytest.fixture
def books() -> Books:
    books = Books(most_pending=LIMIT)
    books.add_user("ann", 100)
    return books


def reserve(books: Books, user_id: str = "ann") -> Reservation:
    outcome = books.ledger.reserve(request(user_id))
    assert isinstance(outcome, Reservation)
    return outcome


def test_one_more_than_the_limit_is_refused_and_writes_nothing(books: Books) -> None:
    """Another user's reservations do not count, and a replay of one in flight is told so as before."""
    books.add_user("bob", 100)
    for _ in range(LIMIT):
        reserve(books)
    before = books.db.everything()
    with pytest.raises(TooManyPending):
        reserve(books)
    assert books.db.everything() == before
    reserve(books, "bob")


@pytest.mark.parametrize("end", ["complete", "refund", "release"])
def test_each_end_makes_room(books: Books, end: str) -> None:
    """An image, a refund, or the sweep."""
    first, _ = reserve(books), reserve(books)
    if end == "complete":
        books.ledger.complete(first, "https://image")
    elif end == "refund":
        books.ledger.refund(first)
    else:
        books.clock.forward(601)
        books.ledger.release_expired()
    reserve(books)
    assert books.audits.of_user("ann") == []


def test_two_processes_do_not_share_the_last_place(books: Books) -> None:
    """A rival's commit between read and write takes it: the count is checked again on what is there now."""
    reserve(books)
    rival = Ledger(books.db.beside(), books.clock, lambda: "rival", 600, LIMIT)
    won: list[object] = []

    def interfere(name: str) -> None:
        if name == "Commit" and not won:
            won.append(rival.reserve(request()))

    books.db.before_rpc = interfere
    with pytest.raises(TooManyPending):
        reserve(books)
    assert isinstance(won[0], Reservation)
    assert len(books.db.everything()["inFlight/ann"]["leases"]) == LIMIT


def test_what_was_deleted_by_hand_does_not_lock_its_user_out_for_ever(books: Books) -> None:
    """The audit names it, and a day after its lease it does not count any more."""
    for _ in range(LIMIT):
        books.db.remove(reserve(books).document.path)
    assert sum("is not pending" in problem for problem in books.audits.of_user("ann")) == LIMIT
    with pytest.raises(TooManyPending):
        reserve(books)
    books.clock.forward((timedelta(seconds=601) + FORGOTTEN_AFTER).total_seconds())
    reserve(books)


@pytest.mark.parametrize("lease", ["soon", None, 5, datetime(9999, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)])
def test_a_lease_that_is_none_locks_nobody_out(books: Books, lease: object) -> None:
    """What no reservation writes does not count."""
    books.db.put("inFlight/ann", {"leases": {str(number): lease for number in range(LIMIT)}})
    reserve(books)


@pytest.mark.parametrize("leases", [None, "many", [1]])
def test_leases_that_are_no_map_count_as_none(books: Books, leases: object) -> None:
    """It is a limit and no money: whatever somebody stored there does not stop a purchase, and the audit names it."""
    books.db.put("inFlight/ann", {"leases": leases})
    assert any("leases is no map" in problem for problem in books.audits.of_user("ann"))
    reserve(books)
    assert books.audits.of_user("ann") == []
