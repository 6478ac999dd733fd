"""How a reservation ends: with its image, with a refund, or by the sweep; each exactly once."""

from datetime import timedelta

import pytest
from grpc import StatusCode

from credits import ledger as ledger_module
from credits.documents import PROVIDER_FAILED
from credits.endings import ClaimLost
from credits.ledger import Release
from credits.orders import Order
from errors import BrokenDocument, GenerationFailed, Unavailable, UserNotFound
from store import Deadline, StoreError
from tests.support.builders import (
    IMAGE_URL,
    LEASE_SECONDS,
    Books,
    Stopwatch,
    expired,
    failing,
    impatient,
    quiet,
)

# After one of these errors, only a read shows whether the commit was applied.
UNCLEAR = [StatusCode.DEADLINE_EXCEEDED, StatusCode.UNAVAILABLE, StatusCode.UNKNOWN, StatusCode.INTERNAL]
FINAL = [StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED, StatusCode.INVALID_ARGUMENT]


def test_a_completed_request_keeps_its_price(books: Books) -> None:
    """Completing stores the image's URL and moves no credits."""
    reservation = books.reserve()
    books.ledger.complete(reservation, IMAGE_URL)
    stored = books.fields(reservation.document.path)
    assert (stored["status"], stored["imageUrl"], books.balance()) == ("completed", IMAGE_URL, 7)
    assert books.fields("inFlight/ann") == {"leases": {}}


def test_completing_makes_one_round_trip(books: Books) -> None:
    """The reservation knows its own version, so nothing is read."""
    reservation = books.reserve()
    sent: list[str] = []
    books.store.before_rpc = sent.append
    books.ledger.complete(reservation, IMAGE_URL)
    assert sent == ["Commit"]


def test_a_refund_gives_the_credits_back(books: Books) -> None:
    """The entry, the balance and the request's status are one commit."""
    reservation = books.reserve()
    books.ledger.refund(reservation, PROVIDER_FAILED)
    stored = books.fields(reservation.document.path)
    assert (stored["status"], stored["failure"], books.balance()) == ("failed", "PROVIDER_FAILED", 10)
    entry = books.fields(f"users/ann/transactions/{reservation.request_id}-refund")
    assert (entry["type"], entry["credits"], entry["balanceAfter"]) == ("refund", 3, 10)
    assert books.fields("inFlight/ann") == {"leases": {}}


def test_a_refund_happens_once(books: Books) -> None:
    """A second refund of the same reservation changes nothing."""
    reservation = books.reserve()
    books.ledger.refund(reservation, PROVIDER_FAILED)
    once = books.store.everything()
    books.ledger.refund(reservation, PROVIDER_FAILED)
    assert books.store.everything() == once
    assert books.balance() == 10


def test_a_completed_request_is_not_refunded(books: Books) -> None:
    """The first commit that ends a request wins: completed stays completed."""
    reservation = books.reserve()
    books.ledger.complete(reservation, IMAGE_URL)
    before = books.store.everything()
    with pytest.raises(ClaimLost):
        books.ledger.refund(reservation, PROVIDER_FAILED)
    assert books.store.everything() == before


def test_completing_twice_changes_nothing(books: Books) -> None:
    """The second call finds the image of the first."""
    reservation = books.reserve()
    books.ledger.complete(reservation, IMAGE_URL)
    before = books.store.everything()
    books.ledger.complete(reservation, IMAGE_URL)
    assert books.store.everything() == before


def test_a_late_image_is_not_given_once_the_credits_are_back(books: Books) -> None:
    """After the release, completing raises, and the request stays failed."""
    reservation = books.reserve()
    books.clock.forward(LEASE_SECONDS + 1)
    assert books.ledger.release_expired().refunded == 1
    with pytest.raises(GenerationFailed) as caught:
        books.ledger.complete(reservation, IMAGE_URL)
    assert caught.value.details["refundedCredits"] == 3
    stored = books.fields(reservation.document.path)
    assert (stored["status"], stored["failure"], books.balance()) == ("failed", "LEASE_EXPIRED", 10)


def test_a_running_lease_is_left_alone(books: Books) -> None:
    """The sweep does not refund a request whose lease still runs or that was completed."""
    reservation = books.reserve()
    books.clock.forward(LEASE_SECONDS - 1)
    assert books.ledger.release_expired().refunded == 0
    books.ledger.complete(reservation, IMAGE_URL)
    books.clock.forward(2)
    assert books.ledger.release_expired().refunded == 0


def test_the_sweep_goes_past_a_document_that_it_cannot_refund(books: Books) -> None:
    """One broken balance is skipped, and more than two pages of other requests are refunded."""
    books.add_user("broken", 10)
    books.reserve(user_id="broken")
    books.store.put("users/broken", {"credits": "many"})
    books.add_user("rich", 1000)
    count = 2 * ledger_module.RELEASE_PAGE_SIZE + 5
    for _ in range(count):
        books.reserve(user_id="rich", price=1)
    books.clock.forward(LEASE_SECONDS + 1)
    release = books.ledger.release_expired()
    assert (release.refunded, release.skipped) == (count, 1)
    assert books.balance("rich") == 1000


POISONS: dict[str, tuple[str, dict[str, object]]] = {
    "a user id that is a path": ("generationRequests/poison", {"userId": "a/b"}),
    "a user id that is reserved": ("generationRequests/poison", {"userId": "__x__"}),
    "a user id that is a list": ("generationRequests/poison", {"userId": ["ann"]}),
    "a cost that is a bool": ("generationRequests/poison", {"cost": True}),
    "a cost that leaves no room in the balance": ("generationRequests/poison", {"cost": 2**63 - 1}),
    "a refund that exists": ("users/ann/transactions/poison-refund", {"type": "refund"}),
}


@pytest.mark.parametrize("name", POISONS)
def test_one_broken_request_does_not_stop_the_sweep(
    books: Books, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A request that was broken by hand is skipped and logged; the others are refunded."""
    good = books.reserve()
    path, fields = POISONS[name]
    books.change("generationRequests/poison", **{**books.fields(good.document.path), "leaseExpiresAt": books.clock()})
    books.change("users/ann/transactions/poison-deduction", type="deduction")
    books.change(path, **fields)
    books.clock.forward(LEASE_SECONDS + 1)
    release = books.ledger.release_expired()
    assert (release.refunded, release.skipped) == (1, 1)
    assert books.fields(good.document.path)["status"] == "failed"
    [line] = capsys.readouterr().err.splitlines()
    assert "reservation not released" in line
    assert '"poison"' in line


def test_a_lease_that_was_changed_by_hand_is_left_alone(books: Books) -> None:
    """A lease that is no longer a time at the refund is not due, and does not stop the sweep."""
    reservation = books.reserve()
    books.clock.forward(LEASE_SECONDS + 1)

    def change(name: str) -> None:
        if name == "RunQuery":
            books.change(reservation.document.path, leaseExpiresAt="soon")

    books.store.after_rpc = change
    assert books.ledger.release_expired().refunded == 0


@pytest.mark.parametrize("credits", [None, -1, "10", 9.5, True, float("nan"), float("inf")])
def test_nothing_is_added_to_a_broken_balance(books: Books, credits: object) -> None:
    """A refund to a balance that is not an integer of at least 0 is an error, and the request stays pending."""
    reservation = books.reserve()
    books.add_user("ann", credits)
    with pytest.raises(BrokenDocument):
        books.ledger.refund(reservation, PROVIDER_FAILED)
    assert books.fields(reservation.document.path)["status"] == "pending"


def test_a_refund_whose_entry_exists_is_an_error_at_once(books: Books) -> None:
    """Somebody changed the request or the entry by hand: an error, and not an endless conflict."""
    reservation = books.reserve()
    books.change(f"users/ann/transactions/{reservation.request_id}-refund", type="refund")
    sent: list[str] = []
    books.store.before_rpc = sent.append
    with pytest.raises(BrokenDocument):
        books.ledger.refund(reservation, PROVIDER_FAILED)
    assert (sent, books.balance()) == (["BatchGetDocuments"], 7)


def test_a_conflict_is_tried_again_on_the_new_balance(books: Books) -> None:
    """A commit of another process between read and write makes the plan run again."""

    def interfere(name: str) -> None:
        if name == "Commit":
            books.store.before_rpc = quiet
            books.store.put("users/ann", {"credits": 4})

    books.store.before_rpc = interfere
    assert books.reserve().balance_after_credits == 1
    assert books.balance() == 1


@pytest.mark.parametrize("code", UNCLEAR)
def test_a_commit_whose_answer_was_lost_is_found(books: Books, code: StatusCode) -> None:
    """The write was applied, but its answer lost: a reservation, its image and a refund each exist once."""
    books.store.after_rpc = failing(code)
    reservation = books.reserve()
    assert (reservation.balance_after_credits, books.balance()) == (7, 7)
    books.store.after_rpc = failing(code)
    books.ledger.complete(reservation, IMAGE_URL)
    other = books.reserve()
    books.store.after_rpc = failing(code)
    books.ledger.refund(other, PROVIDER_FAILED)
    assert books.balance() == 7


@pytest.mark.parametrize("code", FINAL)
def test_a_final_error_after_an_applied_commit_is_looked_up(books: Books, code: StatusCode) -> None:
    """A proxy may report an error for a commit that was applied: the reservation is then kept."""
    books.store.after_rpc = failing(code)
    assert books.reserve().cost_credits == 3
    books.store.after_rpc, books.store.before_rpc = quiet, failing(code)
    with pytest.raises(StoreError) as caught:
        books.reserve()
    assert caught.value.code is code
    assert books.balance() == 7


def test_lasting_silence_is_unavailable(books: Books) -> None:
    """If Firestore never answers, nothing is written and the caller gets Unavailable."""
    before = books.store.everything()
    books.store.before_rpc = failing(StatusCode.UNAVAILABLE, "BatchGetDocuments", times=1_000)
    with pytest.raises(Unavailable):
        books.reserve()
    assert books.store.everything() == before


def test_a_passed_deadline_refuses_before_anything_is_written(books: Books) -> None:
    """Reserving, completing and refunding send nothing after their deadline."""
    reservation = books.reserve()
    before = books.store.everything()
    sent: list[str] = []
    books.store.before_rpc = sent.append
    for act in (
        lambda: books.reserve(deadline=expired()),
        lambda: books.ledger.complete(reservation, IMAGE_URL, expired()),
        lambda: books.ledger.refund(reservation, PROVIDER_FAILED, expired()),
    ):
        with pytest.raises(Unavailable):
            act()
    assert (sent, books.store.everything()) == ([], before)


@pytest.mark.parametrize(("deadline_seconds", "ended_at_seconds"), [(4.0, 4.0), (60.0, 15.0)])
def test_a_step_ends_at_the_sooner_of_deadline_and_policy(deadline_seconds: float, ended_at_seconds: float) -> None:
    """Without an answer from Firestore, attempts end at the deadline or at the policy's limit."""
    stopwatch = Stopwatch()
    books = Books(policy=impatient(stopwatch, max_seconds=15.0))
    books.add_user()
    books.store.before_rpc = failing(StatusCode.UNAVAILABLE, times=1_000)
    with pytest.raises(Unavailable):
        books.reserve(deadline=Deadline.after(deadline_seconds, stopwatch))
    assert ended_at_seconds - 0.5 <= stopwatch() <= ended_at_seconds
    assert books.balance() == 10


def test_every_time_is_the_servers(books: Books) -> None:
    """Instances' clocks differ, so writes have the commit's time, and a lease starts at the read before it."""
    began = books.clock.now
    completed, failed = books.reserve(price=1), books.reserve(price=1)
    books.clock.forward(5)
    books.ledger.complete(completed, IMAGE_URL)
    books.ledger.refund(failed, PROVIDER_FAILED)
    for reservation in (completed, failed):
        stored = books.fields(reservation.document.path)
        assert (stored["createdAt"] - began) < timedelta(milliseconds=1)
        assert (stored["updatedAt"] - books.clock.now) < timedelta(milliseconds=1)
        assert stored["updatedAt"] - stored["createdAt"] > timedelta(seconds=4)
        assert stored["leaseExpiresAt"] - stored["createdAt"] <= timedelta(seconds=LEASE_SECONDS)


def test_a_pending_request_of_a_deleted_account_ends_once(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no balance to refund to: the sweep logs that once and ends the request."""
    reservation = books.reserve()
    books.store.remove("users/ann")
    books.clock.forward(LEASE_SECONDS + 1)
    assert books.ledger.release_expired() == Release(refunded=0, skipped=1)
    stored = books.fields(reservation.document.path)
    assert (stored["status"], stored["failure"]) == ("failed", "ACCOUNT_DELETED")
    assert books.audit.of_user("ann").violations == []
    logged = capsys.readouterr()
    assert (logged.out.count("credits lost"), logged.err) == (1, "")
    assert books.ledger.release_expired() == Release(refunded=0, skipped=0)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("ending", ["released", "failed", "canceled"])
def test_an_account_that_was_erased_and_opened_again_gets_no_refund_of_before(books: Books, ending: str) -> None:
    """Its new ledger begins with the grant, and never had the deduction."""
    reservation = books.reserve()
    for path in [path for path in books.store.everything() if path.startswith("users/ann")]:
        books.store.remove(path)
    books.grants.grant(Order.with_key("again", "ann", 10, "Welcome back."))
    books.clock.forward(LEASE_SECONDS + 1)
    if ending == "failed":
        with pytest.raises(UserNotFound):
            books.ledger.refund(reservation, PROVIDER_FAILED)
    if ending == "canceled":
        with pytest.raises(UserNotFound):
            books.cancel(reservation)
    books.ledger.release_expired()
    assert (books.balance(), books.audit.of_user("ann").violations) == (10, [])


def test_a_failed_generation_of_a_deleted_account_says_so(books: Books) -> None:
    """Nothing was refunded, so the error does not claim a refund."""
    reservation = books.reserve()
    books.store.remove("users/ann")
    with pytest.raises(UserNotFound):
        books.ledger.refund(reservation, PROVIDER_FAILED)
    assert books.fields(reservation.document.path)["failure"] == "ACCOUNT_DELETED"
    assert "users/ann" not in books.store.everything()


def test_an_account_that_was_opened_anew_gets_its_refund(books: Books) -> None:
    """A request from before the deletion is refunded to the new balance."""
    books.reserve()
    books.store.remove("users/ann")
    books.grants.grant(Order.with_key("anew", "ann", 5, "because"))
    books.clock.forward(LEASE_SECONDS + 1)
    assert books.ledger.release_expired().refunded == 1
    assert books.balance() == 8
    assert books.audit.of_user("ann").violations == []


def test_each_change_of_state_is_logged_once(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    """Each event names the request and its user, never the prompt."""
    books.ledger.complete(books.reserve(prompt="a secret garden"), IMAGE_URL)
    books.ledger.refund(books.reserve(), PROVIDER_FAILED)
    books.reserve()
    books.clock.forward(LEASE_SECONDS + 1)
    books.ledger.release_expired()
    logged = capsys.readouterr().out
    counts = {
        "credits reserved": 3,
        "generation completed": 1,
        "credits refunded": 2,
        "expired reservations released": 1,
    }
    assert {event: logged.count(event) for event in counts} == counts
    assert logged.count('"userId": "ann"') == 6
    assert "secret" not in logged
