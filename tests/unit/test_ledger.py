"""The ledger's rules, on an in-process database with a clock to move."""

from datetime import timedelta

import pytest
from google.api_core import exceptions

from builders import LEASE_SECONDS, Books, request
from errors import (
    BrokenDocument,
    GenerationFailed,
    IdempotencyInFlight,
    IdempotencyMismatch,
    InsufficientCredits,
    Unavailable,
    UserNotFound,
)
from ledger import Ledger, Reservation, Settled


@pytest.fixture
def books() -> Books:
    books = Books()
    books.add_user()
    return books


def reserve(books: Books, key: str | None = None, **fields: object) -> Reservation:
    outcome = books.ledger.reserve(request(**fields), key)  # type: ignore[arg-type]
    assert isinstance(outcome, Reservation)
    return outcome


def test_a_reservation_takes_the_credits_and_leaves_the_request_pending(books: Books) -> None:
    """One commit: balance, entry and pending request with its lease."""
    reservation = reserve(books)
    documents = books.db.everything()
    assert books.balance() == 7
    entry = documents[f"users/ann/transactions/{reservation.request_id}-deduction"]
    assert (entry["type"], entry["credits"], entry["balanceAfter"]) == ("deduction", 3, 7)
    stored = documents[f"generationRequests/{reservation.request_id}"]
    assert (stored["status"], stored["cost"]) == ("pending", 3)
    assert (stored["leaseExpiresAt"] - stored["createdAt"]).total_seconds() == LEASE_SECONDS


def test_a_completed_request_keeps_its_price(books: Books) -> None:
    """Completing stores the image and moves no credits."""
    reservation = reserve(books)
    books.ledger.complete(reservation, "https://image")
    stored = books.db.everything()[reservation.document.path]
    assert (stored["status"], stored["imageUrl"], books.balance()) == ("completed", "https://image", 7)


def test_a_refund_happens_once(books: Books) -> None:
    """A second refund of the same reservation changes nothing."""
    reservation = reserve(books)
    books.ledger.refund(reservation)
    once = books.db.everything()
    books.ledger.refund(reservation)
    assert books.db.everything() == once
    assert books.balance() == 10


def test_a_completed_request_is_not_refunded(books: Books) -> None:
    """Whoever ends a request first wins: completed stays completed."""
    reservation = reserve(books)
    books.ledger.complete(reservation, "https://image")
    before = books.db.everything()
    books.ledger.refund(reservation)
    assert books.db.everything() == before


def test_a_late_finisher_learns_that_the_credits_are_back(books: Books) -> None:
    """After the release, completing raises, and the request stays failed."""
    reservation = reserve(books)
    books.clock.forward(LEASE_SECONDS + 1)
    assert books.ledger.release_expired().refunded == 1
    with pytest.raises(GenerationFailed):
        books.ledger.complete(reservation, "https://image")
    stored = books.db.everything()[reservation.document.path]
    assert (stored["status"], stored["failure"], books.balance()) == ("failed", "LEASE_EXPIRED", 10)


def test_a_running_lease_is_left_alone(books: Books) -> None:
    """The sweep refunds nothing whose lease runs, and finds what it did not refund later."""
    reservation = reserve(books)
    books.clock.forward(LEASE_SECONDS - 1)
    assert books.ledger.release_expired().refunded == 0
    books.ledger.complete(reservation, "https://image")
    books.clock.forward(2)
    assert books.ledger.release_expired().refunded == 0


def test_the_sweep_goes_past_a_document_that_it_cannot_refund(books: Books) -> None:
    """One broken balance is skipped; more than a page of others are refunded."""
    books.add_user("broken", 10)
    reserve(books, user_id="broken")
    books.db.put("users/broken", {"credits": "many"})
    books.add_user("rich", 1000)
    for _ in range(205):
        reserve(books, user_id="rich", cost_credits=1)
    books.clock.forward(LEASE_SECONDS + 1)
    release = books.ledger.release_expired()
    assert (release.refunded, release.skipped) == (205, 1)
    assert books.balance("rich") == 1000


@pytest.mark.parametrize("ends", ["completed", "failed"])
def test_a_key_replays_how_its_first_request_ended(books: Books, ends: str) -> None:
    """The same key and request give the first answer again and write nothing."""
    first = reserve(books, "key")
    if ends == "completed":
        books.ledger.complete(first, "https://image")
    else:
        books.ledger.refund(first)
    before = books.db.everything()
    again = books.ledger.reserve(request(), "key")
    assert again == Settled(first.request_id, 3, "https://image" if ends == "completed" else None)
    assert books.db.everything() == before


def test_a_key_in_flight_is_told_so(books: Books) -> None:
    """While the first request is pending, the second is refused and takes nothing."""
    reserve(books, "key")
    with pytest.raises(IdempotencyInFlight):
        books.ledger.reserve(request(), "key")
    assert books.balance() == 7


def test_a_key_with_another_request_is_refused(books: Books) -> None:
    """Any other field under the same key is a mismatch, pending or ended."""
    first = reserve(books, "key")
    with pytest.raises(IdempotencyMismatch):
        books.ledger.reserve(request(prompt="other"), "key")
    books.ledger.complete(first, "https://image")
    with pytest.raises(IdempotencyMismatch):
        books.ledger.reserve(request(prompt="other"), "key")


def test_two_users_may_use_the_same_key(books: Books) -> None:
    """A key belongs to its user."""
    books.add_user("bob")
    assert reserve(books, "key").request_id != reserve(books, "key", user_id="bob").request_id


def test_a_changed_price_does_not_break_a_replay(books: Books) -> None:
    """The price is the catalog's business, so a retry after a price change still finds its answer."""
    books.ledger.complete(reserve(books, "key"), "https://image")
    assert isinstance(books.ledger.reserve(request(cost_credits=9), "key"), Settled)


def test_nothing_is_taken_without_cover(books: Books) -> None:
    """Too small a balance or no user: an error and no write."""
    before = books.db.everything()
    with pytest.raises(InsufficientCredits):
        books.ledger.reserve(request(cost_credits=11))
    with pytest.raises(UserNotFound):
        books.ledger.reserve(request(user_id="nobody"))
    assert books.db.everything() == before


@pytest.mark.parametrize("credits", [None, -1, "10", 9.5, True, float("nan"), float("inf")])
def test_a_broken_balance_moves_nothing(books: Books, credits: object) -> None:
    """Whatever is no integer of at least 0 is neither spent nor added to."""
    reservation = reserve(books)
    books.add_user("ann", credits)
    for act in (lambda: books.ledger.reserve(request()), lambda: books.ledger.refund(reservation)):
        with pytest.raises(BrokenDocument):
            act()
    assert books.db.everything()[reservation.document.path]["status"] == "pending"


def test_a_conflict_is_tried_again_on_what_is_there_now(books: Books) -> None:
    """Another's commit between read and write makes the plan run again on the new balance."""
    rival = iter([lambda: books.add_user("ann", 4)])

    def interfere(name: str) -> None:
        if name == "Commit":
            next(rival, lambda: "")()

    books.db.before_rpc = interfere
    reserve(books)
    assert books.balance() == 1


@pytest.mark.parametrize("error", [exceptions.DeadlineExceeded, exceptions.ServiceUnavailable, exceptions.Unknown])
def test_a_commit_whose_answer_was_lost_is_found(books: Books, error: type[Exception]) -> None:
    """The write was applied and its answer lost: the reservation stands once, and so do its end and a refund."""
    lose = {"next": True}

    def lose_answer(name: str) -> None:
        if name == "Commit" and lose["next"]:
            lose["next"] = False
            raise error("lost")

    books.db.after_rpc = lose_answer
    reservation = reserve(books)
    assert books.balance() == 7
    lose["next"] = True
    books.ledger.complete(reservation, "https://image")
    other = reserve(books)
    lose["next"] = True
    books.ledger.refund(other)
    assert books.balance() == 7


def test_lasting_silence_is_unavailable(books: Books) -> None:
    """Firestore away for the whole budget: Unavailable, and nothing written."""

    def away(name: str) -> None:
        raise exceptions.ServiceUnavailable("away")

    before = books.db.everything()
    books.db.before_rpc = away
    with pytest.raises(Unavailable):
        books.ledger.reserve(request())
    assert books.db.everything() == before


@pytest.mark.parametrize("skew_seconds", [-30, 30])
def test_a_skewed_clock_does_not_reorder_a_history(books: Books, skew_seconds: float) -> None:
    """An entry's time is the database's, so instances whose clocks differ write one order."""
    other = Ledger(
        books.db.beside(), lambda: books.clock() + timedelta(seconds=skew_seconds), lambda: "other", 600, 1_000
    )
    first = reserve(books, cost_credits=1)
    other.reserve(request(cost_credits=1))
    third = reserve(books, cost_credits=1)
    written = [entry.generation_request_id for entry in books.ledger.statement("ann", 10).entries]
    assert written == [third.request_id, "other", first.request_id]
    assert books.audits.of_user("ann") == []


def test_pages_cover_the_history_once(books: Books) -> None:
    """Entries in pages are the entries in one, newest first."""
    for _ in range(5):
        reserve(books, cost_credits=1)
        books.clock.forward(1)
    whole = [entry.id for entry in books.ledger.statement("ann", 10).entries]
    first = books.ledger.statement("ann", 3)
    second = books.ledger.statement("ann", 3, first.last_entry_id)
    assert [entry.id for entry in (*first.entries, *second.entries)] == whole
    assert (len(whole), second.last_entry_id) == (5, None)


POISONS: dict[str, tuple[str, dict[str, object]]] = {
    "a user id that is a path": ("generationRequests/poison", {"userId": "a/b"}),
    "a user id that is reserved": ("generationRequests/poison", {"userId": "__x__"}),
    "a user id that is none": ("generationRequests/poison", {"userId": ["ann"]}),
    "a cost that is none": ("generationRequests/poison", {"cost": True}),
    "a cost beyond all numbers": ("generationRequests/poison", {"cost": 2**63 - 1}),
    "a refund that exists": ("users/ann/transactions/poison-refund", {"type": "refund"}),
    "a user who is gone": ("generationRequests/poison", {"userId": "nobody"}),
}


@pytest.mark.parametrize("name", POISONS)
def test_one_poisoned_document_does_not_stop_the_sweep(books: Books, name: str) -> None:
    """Whatever somebody broke by hand is skipped, and everybody else's credits come back."""
    good = reserve(books)
    pending = books.db.everything()[good.document.path]
    path, fields = POISONS[name]
    books.db.put("generationRequests/poison", {**pending, "leaseExpiresAt": books.clock()})
    books.db.put(path, {**(books.db.everything().get(path) or {}), **fields})
    books.clock.forward(LEASE_SECONDS + 1)
    release = books.ledger.release_expired()
    assert (release.refunded, release.skipped) == (1, 1)
    assert books.db.everything()[good.document.path]["status"] == "failed"


def test_a_lease_that_was_changed_by_hand_is_left_alone(books: Books) -> None:
    """A lease that is none by the time of the refund is not due, and does not stop the sweep."""
    reservation = reserve(books)
    books.clock.forward(LEASE_SECONDS + 1)

    def change(name: str) -> None:
        if name == "BatchGetDocuments":
            stored = books.db.everything()[reservation.document.path]
            books.db.put(reservation.document.path, {**stored, "leaseExpiresAt": "soon"})

    books.db.before_rpc = change
    assert books.ledger.release_expired().refunded == 0


def test_a_request_that_was_deleted_is_not_sold_again(books: Books) -> None:
    """A key whose entry is there and whose request is gone is an error at once, not a conflict for ever."""
    reservation = reserve(books, "key")
    books.db.remove(reservation.document.path)
    before = books.db.everything()
    with pytest.raises(BrokenDocument, match="Internal error"):
        books.ledger.reserve(request(), "key")
    assert books.db.everything() == before


@pytest.mark.parametrize("fields", [{"status": "done"}, {"status": "completed", "imageUrl": None}])
def test_a_broken_request_is_not_replayed(books: Books, fields: dict[str, object]) -> None:
    """A status or an image that is none is an error, never a claim of a refund."""
    reservation = reserve(books, "key")
    stored = books.db.everything()[reservation.document.path]
    books.db.put(reservation.document.path, {**stored, **fields})
    with pytest.raises(BrokenDocument):
        books.ledger.reserve(request(), "key")


@pytest.mark.parametrize("code", [exceptions.Unauthenticated, exceptions.PermissionDenied, exceptions.InvalidArgument])
def test_a_final_error_after_an_applied_commit_is_looked_up(books: Books, code: type[Exception]) -> None:
    """What stands between us and Firestore may refuse an answer that was applied: the reservation stands."""
    refused: list[str] = []

    def refuse(name: str) -> None:
        if name == "Commit" and not refused:
            refused.append(name)
            raise code("refused")

    books.db.after_rpc = refuse
    assert reserve(books).cost_credits == 3
    refused.clear()
    books.db.after_rpc, books.db.before_rpc = (lambda name: None), refuse
    with pytest.raises(code):
        reserve(books)
    assert books.balance() == 7


@pytest.mark.parametrize("fields", [{"credits": float("nan")}, {"type": 5}, {"timestamp": "noon"}])
def test_a_broken_entry_is_named(books: Books, fields: dict[str, object]) -> None:
    """A history with an entry of the wrong types is an error that names the entry, never bad JSON."""
    path = f"users/ann/transactions/{reserve(books).request_id}-deduction"
    books.db.put(path, {**books.db.everything()[path], **fields})
    with pytest.raises(BrokenDocument) as caught:
        books.ledger.statement("ann", 10)
    assert caught.value.log_fields["document"] == path
