"""Reads of a balance, pages of its ledger, generation requests."""

from typing import Any

import pytest

from credits.documents import PROVIDER_FAILED, entries_path, entry_path, request_path
from credits.reservations import Reservation
from errors import BrokenDocument, GenerationNotFound, InvalidRequest, Unavailable, UserNotFound
from tests.support.builders import IMAGE_URL, Books, expired, quiet


@pytest.fixture
def books() -> Books:
    """A user, ann, with 10 credits and an empty ledger."""
    books = Books()
    books.store.put("users/ann", {"credits": 10})
    return books


def bought(books: Books, count: int, **fields: Any) -> list[Reservation]:
    """Reservations of 1 credit, a second apart, the oldest first."""
    reservations = []
    for _ in range(count):
        reservations.append(books.reserve(price=1, **fields))
        books.clock.forward(1)
    return reservations


def test_a_statement_has_the_balance_and_the_newest_entries_first(books: Books) -> None:
    """A short ledger fits on one page."""
    reservations = bought(books, 3)
    statement = books.history.statement("ann", 10)
    assert statement.balance_credits == 7
    expected = [reservation.request_id for reservation in reversed(reservations)]
    assert [entry.generation_request_id for entry in statement.found] == expected
    assert statement.last_id is None


def test_pages_cover_the_ledger_once(books: Books) -> None:
    """All pages together have the same entries as one big page; only the last has no next page."""
    bought(books, 6)
    whole = [entry.id for entry in books.history.statement("ann", 10).found]
    first = books.history.statement("ann", 3)
    second = books.history.statement("ann", 3, first.last_id)
    assert [entry.id for entry in (*first.found, *second.found)] == whole
    assert (len(whole), first.last_id, second.last_id) == (6, whole[2], None)


def test_a_page_costs_two_round_trips(books: Books) -> None:
    """The first reads the balance and the page's start, the second the page."""
    bought(books, 3)
    first = books.history.statement("ann", 2)
    sent: list[str] = []
    books.store.before_rpc = sent.append
    books.history.statement("ann", 2, first.last_id)
    assert sent == ["BatchGetDocuments", "RunQuery"]


def test_a_page_is_as_of_the_moment_of_its_balance(books: Books) -> None:
    """Neither the balance nor the page has a purchase that came between the two round trips."""
    bought(books, 1)

    def interfere(name: str) -> None:
        if name == "RunQuery":
            books.store.before_rpc = quiet
            books.reserve(price=1)

    books.store.before_rpc = interfere
    statement = books.history.statement("ann", 10)
    assert (statement.balance_credits, len(statement.found)) == (9, 1)
    assert len(books.history.statement("ann", 10).found) == 2


@pytest.mark.parametrize("fields", [{"credits": float("nan")}, {"type": 5}, {"timestamp": "noon"}])
def test_a_broken_entry_hides_no_other(
    books: Books, fields: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    """The broken entry is left out of its page and logged once; the audit finds it."""
    _, second, _ = bought(books, 3)
    path = entry_path("ann", f"{second.request_id}-deduction")
    books.change(path, **fields)
    statement = books.history.statement("ann", 10)
    assert len(statement.found) == 2
    assert second.request_id not in [entry.generation_request_id for entry in statement.found]
    [line] = capsys.readouterr().err.splitlines()
    assert path in line
    assert any(path in problem for problem in books.audit.of_user("ann").violations)


def test_a_page_that_ends_with_a_broken_entry_has_a_next_page(books: Books) -> None:
    """Pages count documents, broken or not."""
    first, second, third = bought(books, 3)
    books.change(entry_path("ann", f"{second.request_id}-deduction"), type="gift")
    page = books.history.statement("ann", 2)
    assert [entry.generation_request_id for entry in page.found] == [third.request_id]
    rest = books.history.statement("ann", 2, page.last_id)
    assert [entry.generation_request_id for entry in rest.found] == [first.request_id]


def test_a_page_starts_after_an_entry_of_the_same_user_only(books: Books) -> None:
    """Another user's entry, or one that does not exist, is refused; the error names the field."""
    books.add_user("bob")
    [of_bob] = bought(books, 1, user_id="bob")
    for after_id in (f"{of_bob.request_id}-deduction", "nothing"):
        with pytest.raises(InvalidRequest) as caught:
            books.history.statement("ann", 10, after_id)
        assert caught.value.details["fields"][0]["field"] == "pageToken"
    for after_id in (of_bob.request_id, "nothing"):
        with pytest.raises(InvalidRequest):
            books.history.generations("ann", None, 10, after_id)


def test_an_unknown_user_has_no_statement(books: Books) -> None:
    """The same holds for the list of requests."""
    with pytest.raises(UserNotFound):
        books.history.statement("nobody", 10)
    with pytest.raises(UserNotFound):
        books.history.generations("nobody", None, 10)
    with pytest.raises(UserNotFound):
        books.history.balance("nobody")


def test_a_broken_balance_is_an_error(books: Books) -> None:
    """It cannot be left out, since the answer needs it."""
    books.store.put("users/ann", {"credits": "many"})
    with pytest.raises(BrokenDocument):
        books.history.statement("ann", 10)
    with pytest.raises(BrokenDocument):
        books.history.balance("ann")


def test_reading_opens_the_account_of_a_new_user(books: Books) -> None:
    """It does so if the call has sign-up credits, and never for a user with a balance."""
    statement = books.history.statement("new", 10, signup_credits=5)
    assert (statement.balance_credits, [entry.type for entry in statement.found]) == (5, ["grant"])
    listed = books.history.generations("ann", None, 10, signup_credits=5)
    assert (listed.balance_credits, listed.found) == (10, [])


def test_the_balance_of_a_new_user_is_what_the_first_purchase_would_find(books: Books) -> None:
    """Nothing is opened; a user whose account was deleted is not a new one, and a balance stays what it is."""
    assert books.history.balance("new", signup_credits=5) == 5
    assert "users/new" not in books.store.everything()
    assert books.history.balance("ann", signup_credits=5) == 10
    books.reserve()
    books.store.remove("users/ann")
    with pytest.raises(UserNotFound):
        books.history.balance("ann", signup_credits=5)


def test_requests_are_listed_newest_first_and_by_status(books: Books) -> None:
    """The list has one status or all, and never another user's requests."""
    books.add_user("bob")
    bought(books, 1, user_id="bob")
    first, second, third = bought(books, 3)
    books.ledger.complete(first, IMAGE_URL)
    books.ledger.refund(second, PROVIDER_FAILED)

    def listed(status: str | None) -> list[str]:
        page = books.history.generations("ann", status, 10)
        return [generation.generation_request_id for generation in page.found]

    assert listed(None) == [third.request_id, second.request_id, first.request_id]
    assert listed("completed") == [first.request_id]
    assert listed("failed") == [second.request_id]
    assert listed("pending") == [third.request_id]


def test_pages_cover_the_requests_once(books: Books) -> None:
    """All pages together have each request once, as with the ledger."""
    bought(books, 5)
    whole = [found.generation_request_id for found in books.history.generations("ann", None, 10).found]
    first = books.history.generations("ann", None, 3)
    second = books.history.generations("ann", None, 3, first.last_id)
    found = [generation.generation_request_id for generation in (*first.found, *second.found)]
    assert (found, second.last_id) == (whole, None)


def test_a_broken_request_hides_no_other(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    """The broken request is left out of the list and logged; reading it by its id is an error."""
    first, second = bought(books, 2)
    path = request_path(first.request_id)
    books.change(path, status="done")
    page = books.history.generations("ann", None, 10)
    assert [found.generation_request_id for found in page.found] == [second.request_id]
    [line] = capsys.readouterr().err.splitlines()
    assert path in line
    with pytest.raises(BrokenDocument):
        books.history.generation(first.request_id)


def test_one_request_is_read_by_its_id(books: Books) -> None:
    """An unknown id is GenerationNotFound."""
    [reservation] = bought(books, 1, prompt="a lighthouse")
    found = books.history.generation(reservation.request_id)
    assert (found.user_id, found.status, found.cost, found.prompt) == ("ann", "pending", 1, "a lighthouse")
    with pytest.raises(GenerationNotFound):
        books.history.generation("nothing")


def test_a_passed_deadline_reads_nothing(books: Books) -> None:
    """Every read gives up at its deadline."""
    sent: list[str] = []
    books.store.before_rpc = sent.append
    for read in (
        lambda: books.history.balance("ann", deadline=expired()),
        lambda: books.history.generation("r1", expired()),
        lambda: books.history.statement("ann", 10, deadline=expired()),
        lambda: books.history.generations("ann", None, 10, deadline=expired()),
    ):
        with pytest.raises(Unavailable):
            read()
    assert sent == []


def test_a_ledger_is_read_by_index_in_one_order(books: Books) -> None:
    """The query uses the time only, which Firestore indexes by itself."""
    books.history.statement("ann", 10)
    [query] = books.store.queries
    assert (query.collection, query.order_by, query.where) == (entries_path("ann"), "timestamp", ())
