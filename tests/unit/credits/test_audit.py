"""The audit checks every user, finds each violation, and does not report what only looks odd."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from credits.audit import Audit, Audited
from credits.documents import PROVIDER_FAILED
from credits.grants import Grants
from credits.keys import id_for_key
from credits.orders import Order
from tests.support.builders import IMAGE_URL, LEASE_SECONDS, Books, quiet

FAILED, PENDING, CANCELED = (id_for_key("ann", key) for key in ("failed", "pending", "canceled"))
NOW = datetime(2026, 3, 9, tzinfo=UTC)


@pytest.fixture
def books() -> Books:
    """A grant, a completed request, a failed one and a pending one."""
    books = Books()
    books.add_user()
    books.ledger.complete(books.reserve("done", price=1), IMAGE_URL)
    books.ledger.refund(books.reserve("failed", price=1), PROVIDER_FAILED)
    books.reserve("pending", price=1)
    return books


def violations(books: Books) -> list[str]:
    return [violation for each in books.audit.of_all_users() for violation in each.violations]


def states(audited: Sequence[Audited]) -> dict[str, bool]:
    return {each.user_id: each.is_deleted for each in audited}


def test_a_consistent_ledger_has_no_violation(books: Books) -> None:
    """A grant, a completed, a failed and a pending request are all in order."""
    assert list(books.audit.of_all_users()) == [Audited("ann", [])]


@pytest.mark.parametrize("credits", [1_000_000, -1, True, None, "10", 10.0])
def test_money_from_nowhere_is_a_violation(credits: object) -> None:
    """A balance must follow from its ledger, which begins at zero."""
    books = Books()
    books.store.put("users/ann", {"credits": credits})
    [violation] = books.audit.of_user("ann").violations
    assert violation.startswith("users/ann: credits is ")
    books.store.put("users/ann", {"credits": 0})
    assert books.audit.of_user("ann").violations == []


def test_a_forged_grant_is_a_violation(books: Books) -> None:
    """A grant entry needs its document in grants/, even if balanceAfter and the balance fit."""
    last = books.fields(f"users/ann/transactions/{PENDING}-deduction")
    forged = {"type": "grant", "credits": 5, "balanceAfter": 13, "timestamp": books.clock(), "reason": "because"}
    books.store.put("users/ann/transactions/zzz-grant", {**forged, "timestamp": last["timestamp"]})
    books.store.put("users/ann", {"credits": 13})
    assert violations(books) == ["users/ann/transactions/zzz-grant: belongs to no grant of this user"]


def test_a_user_without_documents_is_no_account(books: Books) -> None:
    """It is neither a violation nor a deleted account; the script reports that there is no such user."""
    assert books.audit.of_user("nobody") == Audited("nobody", [], exists=False)


def test_pending_past_the_lease_is_a_violation_after_the_grace(books: Books) -> None:
    """A request is overdue after its lease and the grace; a release puts it in order again."""
    books.clock.forward(LEASE_SECONDS + 10)
    assert Audit(books.store, grace_seconds=60).of_user("ann").violations == []
    assert books.audit.of_user("ann").violations == [f"generationRequests/{PENDING}: is pending past its lease"]
    books.ledger.release_expired()
    assert violations(books) == []


def test_a_second_refund_is_found(books: Books) -> None:
    """A request has two refunds, but every balanceAfter follows from the one before."""
    refund = books.fields(f"users/ann/transactions/{FAILED}-refund")
    last = books.fields(f"users/ann/transactions/{PENDING}-deduction")
    books.store.put("users/ann/transactions/zzz", {**refund, "balanceAfter": 9, "timestamp": last["timestamp"]})
    books.store.put("users/ann", {"credits": 9})
    assert violations(books) == [f"generationRequests/{FAILED}: has 2 refund entries, expected 1"]


@pytest.mark.parametrize(
    "path", ["generationRequests/stray", "grants/stray", "revocations/stray", "inFlight/" + 129 * "x"]
)
@pytest.mark.parametrize("user_id", [None, ["ann"], "", "a/b"])
def test_what_belongs_to_nobody_is_a_violation(books: Books, path: str, user_id: object) -> None:
    """The document's user id is not a valid one."""
    books.store.put(path, {"userId": user_id})
    assert violations(books) == [f"{path}: belongs to no user"]


@pytest.mark.parametrize(
    "path", ["generationRequests/r", "grants/g", "revocations/r", "inFlight/bob", "users/bob/transactions/t"]
)
def test_a_user_is_found_by_every_document(books: Books, path: str) -> None:
    """One document of any kind is enough."""
    books.store.put(path, {"userId": "bob"})
    assert states(list(books.audit.of_all_users())) == {"ann": False, "bob": True}


def test_other_collections_are_not_looked_at(books: Books) -> None:
    """A collection of the same name below another document belongs to another app."""
    books.store.put("shops/ann/transactions/t", {"type": "sale"})
    assert list(books.audit.of_all_users()) == [Audited("ann", [])]


def test_a_deleted_account_is_named_and_no_violation(books: Books) -> None:
    """Its ledger and its requests are still checked, but there is no balance to compare."""
    books.store.remove("users/ann")
    assert books.audit.of_user("ann") == Audited("ann", [], is_deleted=True)
    books.change(f"users/ann/transactions/{FAILED}-refund", credits=2)
    assert violations(books)


def test_an_account_deleted_with_its_ledger_is_no_violation(books: Books) -> None:
    """This also holds after a grant opened it again: documents older than the ledger are ignored."""
    books.ledger.complete(books.reserve("last", price=1), IMAGE_URL)
    books.clock.forward(LEASE_SECONDS + 1)
    books.ledger.release_expired()
    for path in [path for path in books.store.everything() if path.startswith("users/ann")]:
        books.store.remove(path)
    assert books.audit.of_user("ann") == Audited("ann", [], is_deleted=True)
    Grants(books.store, lambda: "again").grant(Order.with_key("again", "ann", 5, "because"))
    assert books.balance() == 5
    assert list(books.audit.of_all_users()) == [Audited("ann", [])]


def test_a_user_who_signs_up_meanwhile_is_in_order(books: Books) -> None:
    """The audit has passed the new user's id in users/, and finds the user by other documents."""
    walk = books.audit.of_all_users()
    assert next(walk) == Audited("ann", [])
    books.reserve(user_id="aaa", signup_credits=5)
    assert list(walk) == [Audited("aaa", [])]


def test_the_audit_reads_as_of_one_moment(books: Books) -> None:
    """A purchase during the audit is not a violation."""

    def interfere(name: str) -> None:
        if name == "RunQuery":
            books.store.before_rpc = quiet
            books.reserve(price=1)

    books.store.before_rpc = interfere
    assert books.audit.of_user("ann").violations == []


@pytest.mark.parametrize("mark", [True, "yes", False])
@pytest.mark.parametrize(
    ("key", "claims", "may_have_one"),
    [
        ("failed", None, True),
        ("canceled", None, True),
        ("done", None, False),
        ("done", ["only"], False),
        ("done", ["lost", "last"], True),
        ("pending", ["lost", "last"], False),
    ],
)
def test_a_mark_for_deleting_a_picture_belongs_to_one_that_was_not_sold(
    books: Books, key: str, claims: list[str] | None, may_have_one: bool, mark: object
) -> None:
    """Of a failed or canceled request, or of a claim that was lost before another one completed; the mark is true."""
    books.cancel(books.reserve("canceled", price=1))
    path = f"generationRequests/{id_for_key('ann', key)}"
    books.change(path, pictureToDelete=mark, **({} if claims is None else {"claimableAt": NOW, "claims": claims}))
    is_right = may_have_one and mark is True
    assert violations(books) == ([] if is_right else [f"{path}: pictureToDelete is wrong"])


# --- Canceled and asynchronous requests ---


def test_a_canceled_request_has_one_refund_and_nothing_else(books: Books) -> None:
    """Its refund is of the moment at which it ended; it has neither an image nor a failure."""
    books.cancel(books.reserve("canceled", price=1))
    assert violations(books) == []
    path, refund = f"generationRequests/{CANCELED}", f"users/ann/transactions/{CANCELED}-refund"
    canceled = books.fields(path)
    books.change(path, imageUrl=IMAGE_URL, failure="PROVIDER_FAILED")
    assert violations(books) == [f"{path}: is canceled and has an image", f"{path}: is canceled and has a failure"]
    books.store.put(path, {**canceled, "updatedAt": NOW})
    assert violations(books) == [f"{refund}: timestamp differs from the request's updatedAt"]
    books.store.put(path, canceled)
    books.store.remove(refund)
    assert f"{path}: has 0 refund entries, expected 1" in violations(books)


@pytest.mark.parametrize("key", ["pending", "done", "failed"])
@pytest.mark.parametrize(
    ("claimable_at", "claims", "problems"),
    [
        (NOW, [], []),
        (NOW, ["first", "second"], []),
        (NOW, None, ["has only one of claimableAt and claims"]),
        (None, ["first"], ["has only one of claimableAt and claims"]),
        ("noon", [], ["claimableAt is not a time"]),
        (NOW, "first", ["claims is not a list of texts"]),
        (NOW, ["first", 5], ["claims is not a list of texts"]),
        (NOW, [""], ["claims is not a list of texts"]),
        (NOW, {"first": 1}, ["claims is not a list of texts"]),
    ],
)
def test_the_claims_of_an_asynchronous_request(
    books: Books, key: str, claimable_at: object, claims: object, problems: list[str]
) -> None:
    """Both fields or none; one that waits need not be claimed."""
    path = f"generationRequests/{id_for_key('ann', key)}"
    given = {"claimableAt": claimable_at, "claims": claims}
    books.change(path, **{name: value for name, value in given.items() if value is not None})
    assert violations(books) == [f"{path}: {problem}" for problem in problems]
