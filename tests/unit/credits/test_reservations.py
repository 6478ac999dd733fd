"""What reserving credits decides: replay, opening an account, or taking the credits."""

from dataclasses import replace

import pytest
from grpc import StatusCode

from credits.documents import PROVIDER_FAILED
from credits.keys import id_for_key
from credits.reservations import Completed, Failed, Reservation
from errors import (
    BrokenDocument,
    IdempotencyInFlight,
    IdempotencyMismatch,
    InsufficientCredits,
    InvalidRequest,
    Unavailable,
    UserNotFound,
)
from tests.support.builders import (
    IMAGE_URL,
    LEASE_SECONDS,
    PURCHASE,
    Books,
    failing,
    key_with_id_before,
    quiet,
)

SIGNUP = 12
WITHDRAWN = InvalidRequest("withdrawn")


@pytest.fixture
def empty() -> Books:
    """A store without users."""
    return Books()


def test_a_reservation_takes_the_credits_and_leaves_the_request_pending(books: Books) -> None:
    """One commit has the balance, its entry, the pending request and its lease."""
    reservation = books.reserve()
    assert (reservation.cost_credits, reservation.balance_after_credits, books.balance()) == (3, 7, 7)
    entry = books.fields(f"users/ann/transactions/{reservation.request_id}-deduction")
    assert (entry["type"], entry["credits"], entry["balanceAfter"]) == ("deduction", 3, 7)
    assert entry["generationRequestId"] == reservation.request_id
    stored = books.fields(f"generationRequests/{reservation.request_id}")
    assert (stored["status"], stored["cost"], stored["userId"]) == ("pending", 3, "ann")
    # The lease starts at the read; createdAt is the time of the commit right after it.
    assert (stored["leaseExpiresAt"] - stored["createdAt"]).total_seconds() == pytest.approx(LEASE_SECONDS, abs=0.001)
    assert books.fields("inFlight/ann")["leases"] == {reservation.request_id: stored["leaseExpiresAt"]}


def test_a_reservation_makes_two_round_trips(books: Books) -> None:
    """All documents are read at once, and all writes are one commit."""
    sent: list[str] = []
    books.store.before_rpc = sent.append
    books.reserve()
    assert sent == ["BatchGetDocuments", "Commit"]


@pytest.mark.parametrize("ends", ["completed", "failed"])
def test_a_key_replays_how_its_first_request_ended(books: Books, ends: str) -> None:
    """The same key and request give the first answer again, with its balance, and write nothing."""
    first = books.reserve("key")
    if ends == "completed":
        books.ledger.complete(first, IMAGE_URL)
    else:
        books.ledger.refund(first, PROVIDER_FAILED)
    books.reserve()
    before = books.store.everything()
    again = books.ledger.reserve(PURCHASE, "key", 3)
    if ends == "completed":
        assert again == Completed(first.request_id, 3, 7, IMAGE_URL)
    else:
        assert again == Failed(first.request_id, 3, PROVIDER_FAILED)
    assert books.store.everything() == before


@pytest.mark.parametrize("price", [WITHDRAWN, Unavailable("The catalog is empty."), 9])
def test_a_replay_needs_no_price(books: Books, price: int | InvalidRequest | Unavailable) -> None:
    """The answer stays the same if the option was withdrawn, the catalog is empty, or the price has changed."""
    books.ledger.complete(books.reserve("key"), IMAGE_URL)
    again = books.ledger.reserve(PURCHASE, "key", price)
    assert isinstance(again, Completed)
    assert (again.cost_credits, again.image_url) == (3, IMAGE_URL)


def test_a_key_is_checked_before_the_price(books: Books) -> None:
    """A key in flight, or of another request, gets its own error even if there is no price."""
    books.reserve("key")
    with pytest.raises(IdempotencyInFlight):
        books.ledger.reserve(PURCHASE, "key", WITHDRAWN)
    with pytest.raises(IdempotencyMismatch):
        books.ledger.reserve(replace(PURCHASE, prompt="other"), "key", WITHDRAWN)


def test_a_new_key_without_a_price_gets_the_prices_error(books: Books) -> None:
    """An option that is not for sale is refused, with or without a balance, and nothing is written."""
    before = books.store.everything()
    for user_id in ("ann", "nobody"):
        with pytest.raises(InvalidRequest, match="withdrawn"):
            books.ledger.reserve(replace(PURCHASE, user_id=user_id), "key", WITHDRAWN, SIGNUP)
    assert books.store.everything() == before


def test_a_replay_needs_no_balance(books: Books) -> None:
    """The first answer comes again even if the balance was deleted or broken since."""
    books.ledger.complete(books.reserve("key"), IMAGE_URL)
    books.add_user("ann", "many")
    assert isinstance(books.ledger.reserve(PURCHASE, "key", 3), Completed)
    books.store.remove("users/ann")
    assert isinstance(books.ledger.reserve(PURCHASE, "key", 3), Completed)


def test_a_key_in_flight_is_refused(books: Books) -> None:
    """While the first request is pending, the second gets a time to wait and takes no credits."""
    books.reserve("key")
    with pytest.raises(IdempotencyInFlight) as caught:
        books.ledger.reserve(PURCHASE, "key", 3)
    assert int(caught.value.headers["Retry-After"]) > 0
    assert books.balance() == 7


@pytest.mark.parametrize("field", ["model", "style", "color", "size", "prompt"])
def test_a_key_with_another_request_is_refused(books: Books, field: str) -> None:
    """Any other field under the same key is a mismatch, while it is pending and after."""
    first = books.reserve("key")
    other = replace(PURCHASE, **{field: "other"})
    with pytest.raises(IdempotencyMismatch):
        books.ledger.reserve(other, "key", 3)
    books.ledger.complete(first, IMAGE_URL)
    with pytest.raises(IdempotencyMismatch):
        books.ledger.reserve(other, "key", 3)
    assert books.balance() == 7


def test_two_users_may_use_the_same_key(books: Books) -> None:
    """A key belongs to its user."""
    books.add_user("bob")
    assert books.reserve("key").request_id != books.reserve("key", user_id="bob").request_id


def test_the_last_credit_can_be_spent(books: Books) -> None:
    """A balance equal to the price is enough."""
    assert books.reserve(price=10).balance_after_credits == 0
    assert books.balance() == 0


def test_nothing_is_taken_from_a_balance_that_is_too_small(books: Books) -> None:
    """If the balance is too small or there is no such user, nothing is written."""
    before = books.store.everything()
    with pytest.raises(InsufficientCredits) as caught:
        books.reserve(price=11)
    assert (caught.value.details["required"], caught.value.details["available"]) == (11, 10)
    with pytest.raises(UserNotFound):
        books.reserve(user_id="nobody")
    assert books.store.everything() == before


@pytest.mark.parametrize("credits", [None, -1, "10", 9.5, True, float("nan"), float("inf")])
def test_a_broken_balance_is_not_spent(books: Books, credits: object) -> None:
    """A balance that is not an integer of at least 0 is an error that names the document, and does not change."""
    books.add_user("broken", credits)
    before = books.store.everything()
    with pytest.raises(BrokenDocument) as caught:
        books.reserve(user_id="broken")
    assert caught.value.log_fields["document"] == "users/broken"
    assert books.store.everything() == before


def test_a_request_that_was_deleted_is_not_sold_again(books: Books) -> None:
    """If a key has an entry but no request, it is an error and not an endless conflict."""
    reservation = books.reserve("key")
    books.store.remove(reservation.document.path)
    before = books.store.everything()
    with pytest.raises(BrokenDocument):
        books.reserve("key")
    assert books.store.everything() == before


@pytest.mark.parametrize("fields", [{"status": "done"}, {"status": "completed", "imageUrl": None}, {"cost": "3"}])
def test_a_broken_request_is_not_replayed(books: Books, fields: dict[str, object]) -> None:
    """A request with an unknown status, no image or no cost is an error, never a claim of a refund."""
    reservation = books.reserve("key")
    books.change(reservation.document.path, **fields)
    with pytest.raises(BrokenDocument):
        books.ledger.reserve(PURCHASE, "key", 3)


def test_a_replay_without_its_entry_finds_no_user(books: Books) -> None:
    """The account was deleted with its ledger, which had the first answer's balance; it may be open again."""
    reservation = books.reserve("key")
    books.ledger.complete(reservation, IMAGE_URL)
    books.store.remove(f"users/ann/transactions/{reservation.request_id}-deduction")
    with pytest.raises(UserNotFound):
        books.ledger.reserve(PURCHASE, "key", 3)


@pytest.mark.parametrize("id_begins_with", ["0", "f"])
def test_the_first_purchase_opens_the_account_in_the_same_commit(empty: Books, id_begins_with: str) -> None:
    """Both entries have the same time; lists and the audit keep their order for any request id."""
    sent: list[str] = []
    empty.store.before_rpc = sent.append
    reservation = empty.reserve(key_with_id_before(id_begins_with), signup_credits=SIGNUP)
    assert sent == ["BatchGetDocuments", "RunQuery", "Commit"]
    assert (reservation.balance_after_credits, empty.balance()) == (SIGNUP - 3, SIGNUP - 3)
    entries = empty.history.statement("ann", 10).found
    assert [entry.id for entry in entries] == [f"{reservation.request_id}-deduction", "0-signup-ann-grant"]
    assert entries[0].timestamp == entries[1].timestamp
    assert [(entry.type, entry.balance_after) for entry in entries] == [("deduction", SIGNUP - 3), ("grant", SIGNUP)]
    assert empty.audit.of_user("ann").violations == []


def test_sign_up_credits_come_once(empty: Books) -> None:
    """The second purchase uses the rest of them."""
    empty.reserve(signup_credits=SIGNUP)
    assert empty.reserve(signup_credits=SIGNUP).balance_after_credits == SIGNUP - 6
    assert empty.audit.of_user("ann").violations == []


def test_a_user_with_a_balance_gets_no_sign_up_credits(books: Books) -> None:
    """Even a balance of 0 is a balance."""
    books.reserve(price=10)
    before = books.store.everything()
    with pytest.raises(InsufficientCredits):
        books.reserve(signup_credits=SIGNUP)
    assert books.store.everything() == before


def test_sign_up_credits_that_do_not_cover_the_price_are_not_written(empty: Books) -> None:
    """The account is not opened for a purchase that is refused."""
    with pytest.raises(InsufficientCredits) as caught:
        empty.reserve(price=SIGNUP + 1, signup_credits=SIGNUP)
    assert (caught.value.details["required"], caught.value.details["available"]) == (SIGNUP + 1, SIGNUP)
    assert empty.store.everything() == {}


def test_a_deleted_account_is_not_opened_again(empty: Books) -> None:
    """A ledger without a balance belongs to a deleted user."""
    empty.reserve(signup_credits=SIGNUP)
    empty.store.remove("users/ann")
    before = empty.store.everything()
    with pytest.raises(UserNotFound):
        empty.reserve(signup_credits=SIGNUP)
    assert empty.store.everything() == before


def test_the_opening_purchase_is_replayed_with_its_balance(empty: Books) -> None:
    """The replay needs no sign-up credits and opens nothing."""
    empty.ledger.complete(empty.reserve("key", signup_credits=SIGNUP), IMAGE_URL)
    again = empty.ledger.reserve(PURCHASE, "key", 3, SIGNUP)
    assert again == Completed(id_for_key("ann", "key"), 3, SIGNUP - 3, IMAGE_URL)


@pytest.mark.parametrize("code", [StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.UNKNOWN])
@pytest.mark.parametrize("is_applied", [True, False])
def test_an_opening_commit_whose_answer_was_lost_stands_once(empty: Books, code: StatusCode, is_applied: bool) -> None:
    """Applied or not, the account is opened once and the price is taken once."""
    if is_applied:
        empty.store.after_rpc = failing(code)
    else:
        empty.store.before_rpc = failing(code)
    reservation = empty.reserve(signup_credits=SIGNUP)
    assert (reservation.balance_after_credits, empty.balance()) == (SIGNUP - 3, SIGNUP - 3)
    assert empty.audit.of_user("ann").violations == []
    empty.ledger.complete(reservation, IMAGE_URL)
    assert empty.audit.of_user("ann").violations == []


@pytest.mark.parametrize("rival_key", ["key", "other"])
def test_two_processes_open_an_account_once(empty: Books, rival_key: str) -> None:
    """Another process buys for the same new user between this process's read and commit."""
    rival = empty.rival()

    def interfere(name: str) -> None:
        if name == "Commit":
            empty.store.before_rpc = quiet
            assert isinstance(rival.reserve(PURCHASE, rival_key, 3, SIGNUP), Reservation)

    empty.store.before_rpc = interfere
    if rival_key == "key":
        with pytest.raises(IdempotencyInFlight):
            empty.reserve("key", signup_credits=SIGNUP)
    else:
        empty.reserve("key", signup_credits=SIGNUP)
    assert empty.balance() == SIGNUP - (3 if rival_key == "key" else 6)
    assert empty.audit.of_user("ann").violations == []


def test_opening_is_logged_once_and_without_the_prompt(empty: Books, capsys: pytest.CaptureFixture[str]) -> None:
    """There is one event for the account and one for the credits, both without the prompt."""
    empty.reserve(signup_credits=SIGNUP, prompt="a secret garden")
    empty.reserve(signup_credits=SIGNUP, prompt="a secret garden")
    logged = capsys.readouterr().out
    assert logged.count("account opened") == 1
    assert logged.count("credits reserved") == 2
    assert "secret" not in logged


def test_a_failed_request_is_replayed_although_its_deduction_is_broken() -> None:
    """The answer of a failed request has no balance."""
    books = Books()
    books.add_user()
    reservation = books.reserve("k")
    books.ledger.refund(reservation, PROVIDER_FAILED)
    books.change(f"users/ann/transactions/{reservation.request_id}-deduction", balanceAfter=None)
    outcome = books.ledger.reserve(PURCHASE, "k", 3)
    assert outcome == Failed(reservation.request_id, 3, PROVIDER_FAILED)
