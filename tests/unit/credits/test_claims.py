"""Claims: one worker at a time runs the model of an asynchronous purchase, and only its image is sold."""

import pytest
from grpc import StatusCode

from credits.claims import Claim, Claims
from credits.documents import PROVIDER_FAILED
from credits.endings import ClaimLost
from credits.reservations import Reservation
from errors import BrokenDocument, GenerationCanceled, GenerationEnded, GenerationFailed, UserNotFound
from tests.support.builders import IMAGE_URL, LEASE_SECONDS, PURCHASE, Books, counter_ids, failing, quiet

CLAIM_SECONDS = 240.0


@pytest.fixture
def books() -> Books:
    books = Books()
    books.add_user()
    return books


@pytest.fixture
def claims(books: Books) -> Claims:
    return Claims(books.store, counter_ids("claim"), CLAIM_SECONDS)


def claimed(claims: Claims, reservation: Reservation) -> Claim:
    claim = claims.claim(reservation.request_id)
    assert claim is not None
    return claim


def test_a_claim_has_what_the_model_needs(books: Books, claims: Claims) -> None:
    """And its own id, under which the picture is kept."""
    reservation = books.order()
    claim = claimed(claims, reservation)
    assert (claim.purchase, claim.run_seconds) == (PURCHASE, CLAIM_SECONDS)
    assert (claim.reservation.run_id, claim.reservation.balance_after_credits) == ("claim1", 7)
    stored = books.fields(reservation.document.path)
    assert (stored["claims"], stored["status"]) == (["claim1"], "pending")


def test_who_claims_second_loses(books: Books, claims: Claims) -> None:
    """A task that is delivered twice runs the model once."""
    reservation = books.order()
    claimed(claims, reservation)
    assert claims.claim(reservation.request_id) is None


def test_a_claim_ends_with_its_time(books: Books, claims: Claims) -> None:
    """Then another worker may run the model; the first one can neither sell nor fail it any more."""
    reservation = books.order()
    first = claimed(claims, reservation)
    books.clock.forward(CLAIM_SECONDS + 1)
    second = claimed(claims, reservation)
    with pytest.raises(ClaimLost):
        books.ledger.complete(first.reservation, "https://lost")
    with pytest.raises(ClaimLost):
        books.ledger.refund(first.reservation, PROVIDER_FAILED)
    books.ledger.complete(second.reservation, IMAGE_URL)
    assert (books.fields(reservation.document.path)["imageUrl"], books.balance()) == (IMAGE_URL, 7)
    assert books.audit.of_user("ann").violations == []


def test_a_late_worker_may_still_sell_if_nobody_took_over(books: Books, claims: Claims) -> None:
    """Its image is there, and the request is pending."""
    claim = claimed(claims, books.order())
    books.clock.forward(CLAIM_SECONDS + 1)
    books.ledger.complete(claim.reservation, IMAGE_URL)
    assert books.audit.of_user("ann").violations == []


def test_the_last_claim_ends_with_the_lease(books: Books, claims: Claims) -> None:
    """A worker is not given more time than the reservation has."""
    reservation = books.order()
    books.clock.forward(LEASE_SECONDS - 10)
    assert claimed(claims, reservation).run_seconds == pytest.approx(10, abs=1e-3)
    books.clock.forward(11)
    assert claims.claim(reservation.request_id) is None


@pytest.mark.parametrize("code", [StatusCode.DEADLINE_EXCEEDED, StatusCode.UNAVAILABLE])
def test_a_claim_whose_answer_is_lost_is_known_again(books: Books, claims: Claims, code: StatusCode) -> None:
    """The worker reads its own id and goes on."""
    reservation = books.order()
    books.store.after_rpc = failing(code)
    assert claimed(claims, reservation).reservation.run_id == "claim1"
    books.store.after_rpc = quiet
    assert books.fields(reservation.document.path)["claims"] == ["claim1"]


@pytest.mark.parametrize("fields", [{"leaseExpiresAt": "soon"}, {"leaseExpiresAt": None}, {"cost": "x"}, {"size": 5}])
def test_a_broken_request_is_not_claimed(books: Books, claims: Claims, fields: dict[str, object]) -> None:
    """It is named, and nothing is written."""
    path = books.order().document.path
    books.change(path, **fields)
    before = books.store.everything()
    with pytest.raises(BrokenDocument):
        claims.claim(path.partition("/")[2])
    assert books.store.everything() == before


def test_nothing_else_can_be_claimed(books: Books, claims: Claims) -> None:
    """Not a synchronous purchase, one that has ended, nor one that never was."""
    synchronous, ended = books.reserve(), books.order()
    books.ledger.cancel(ended.request_id, "ann")
    assert [claims.claim(id) for id in (synchronous.request_id, ended.request_id, "none")] == [None, None, None]


def test_canceling_gives_the_credits_back_now(books: Books, claims: Claims) -> None:
    """While a worker runs; its image is thrown away when it comes."""
    reservation = books.order()
    claim = claimed(claims, reservation)
    assert books.ledger.cancel(reservation.request_id, "ann") == books.balance() == 10
    with pytest.raises(GenerationCanceled):
        books.ledger.complete(claim.reservation, IMAGE_URL)
    with pytest.raises(GenerationCanceled):
        books.ledger.refund(claim.reservation, PROVIDER_FAILED)
    assert books.ledger.cancel(reservation.request_id, "ann") == books.balance() == 10
    assert books.audit.of_user("ann").violations == []


def test_a_synchronous_purchase_can_be_canceled_too(books: Books) -> None:
    """From another window; the one that waits is told so."""
    reservation = books.reserve()
    books.ledger.cancel(reservation.request_id, "ann")
    with pytest.raises(GenerationCanceled):
        books.ledger.complete(reservation, IMAGE_URL)
    assert books.audit.of_user("ann").violations == []


def test_what_has_ended_is_not_canceled(books: Books) -> None:
    """The answer tells how it ended."""
    completed, failed = books.reserve(), books.reserve()
    books.ledger.complete(completed, IMAGE_URL)
    books.ledger.refund(failed, PROVIDER_FAILED)
    for reservation, outcome in ((completed, "completed"), (failed, "failed")):
        with pytest.raises(GenerationEnded) as caught:
            books.ledger.cancel(reservation.request_id, "ann")
        assert caught.value.details["outcome"] == outcome
    assert books.balance() == 7


def test_a_deleted_accounts_request_is_left_to_the_sweep(books: Books) -> None:
    """There is nobody to give the credits back to."""
    reservation = books.order()
    books.store.remove("users/ann")
    with pytest.raises(UserNotFound):
        books.ledger.cancel(reservation.request_id, "ann")
    assert books.fields(reservation.document.path)["status"] == "pending"


def test_a_lost_answer_of_a_cancellation_is_found_again(books: Books) -> None:
    """The credits go back once."""
    reservation = books.order()
    books.store.after_rpc = failing(StatusCode.UNAVAILABLE)
    books.ledger.cancel(reservation.request_id, "ann")
    books.store.after_rpc = quiet
    assert books.balance() == 10
    assert books.audit.of_user("ann").violations == []


def test_the_lease_ends_a_request_that_nobody_made(books: Books, claims: Claims) -> None:
    """The sweep refunds it, whoever claimed it."""
    claim = claimed(claims, books.order())
    books.clock.forward(LEASE_SECONDS + 1)
    assert books.ledger.release_expired().refunded == 1
    with pytest.raises(GenerationFailed):
        books.ledger.complete(claim.reservation, IMAGE_URL)
    assert books.balance() == 10
