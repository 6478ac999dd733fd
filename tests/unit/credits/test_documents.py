"""Readers of stored documents: what they accept, and that they name the document otherwise."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from credits import documents
from errors import BrokenDocument, UserNotFound
from store import Document, Version, readable

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ENTRY = {"type": "deduction", "credits": 3, "balanceAfter": 7, "generationRequestId": "r1", "timestamp": NOW}
REQUEST = {
    "userId": "ann",
    "model": "model-a",
    "style": "anime",
    "color": "neon",
    "size": "512x512",
    "prompt": None,
    "cost": 3,
    "status": "completed",
    "imageUrl": "https://image",
    "createdAt": NOW,
    "updatedAt": NOW,
}
NOT_COUNTS = [None, -1, "3", 3.0, True, float("nan"), [3]]


def stored(path: str, **fields: Any) -> Document:
    return Document(path, fields, Version(1))


@pytest.mark.parametrize("user_id", ["a", "x" * 128, "Ünï çødé", "a.b", "_", "__", "___x", "😀", "a b", "%2F"])
def test_a_plain_document_id_is_a_user_id(user_id: str) -> None:
    """A user id is any text that Firestore accepts as a document id, up to 128 characters."""
    assert documents.is_user_id(user_id)


@pytest.mark.parametrize(
    "user_id", ["", "a/b", ".", "..", "____", "__x__", "x" * 129, "\0", "a\x7f", "\x85", "a\ud800", None, 5, ["ann"]]
)
def test_anything_else_is_not_a_user_id(user_id: object) -> None:
    """Slashes, control characters, lone surrogates and reserved ids are refused."""
    assert not documents.is_user_id(user_id)


def test_each_document_has_its_place() -> None:
    """Scripts and the console rely on these paths."""
    assert documents.user_path("ann") == "users/ann"
    assert documents.entries_path("ann") == "users/ann/transactions"
    assert documents.entry_path("ann", "e1") == "users/ann/transactions/e1"
    assert documents.request_path("r1") == "generationRequests/r1"
    assert documents.in_flight_path("ann") == "inFlight/ann"
    assert documents.grant_path("g1") == "grants/g1"
    assert documents.entry_id_of("r1", documents.REFUND) == "r1-refund"


@pytest.mark.parametrize(
    ("read", "field", "good", "bad"),
    [
        (documents.balance, "credits", 0, NOT_COUNTS),
        (documents.balance_after, "balanceAfter", 0, NOT_COUNTS),
        (documents.cost, "cost", 1, [0, *NOT_COUNTS]),
        (documents.status, "status", "failed", [None, "done", ["failed"], 5]),
        (documents.image_url, "imageUrl", "https://image", [None, "", 5]),
        (documents.user_id, "userId", "ann", [None, "", "a/b", ["ann"]]),
    ],
)
def test_a_reader_gives_what_the_field_must_hold_or_names_the_document(
    read: Callable[[Document], object], field: str, good: object, bad: list[object]
) -> None:
    """Any other value, or no field, raises BrokenDocument."""
    assert read(stored("some/document", **{field: good})) == good
    for value in bad:
        with pytest.raises(BrokenDocument) as caught:
            read(stored("some/document", **{field: value}))
        assert caught.value.log_fields["document"] == "some/document"
    with pytest.raises(BrokenDocument):
        read(stored("some/document"))


def test_a_missing_document_is_an_error() -> None:
    """A missing user is UserNotFound; any other missing document is broken."""
    missing = Document("some/document", None, None)
    with pytest.raises(UserNotFound):
        documents.balance(missing)
    for read in (documents.cost, documents.status, documents.entry, documents.generation, documents.balance_after):
        with pytest.raises(BrokenDocument):
            read(missing)


def test_an_entry_that_is_there_already_is_an_error() -> None:
    """Otherwise it would be written twice."""
    documents.must_not_exist(Document("users/ann/transactions/e1", None, None))
    with pytest.raises(BrokenDocument):
        documents.must_not_exist(stored("users/ann/transactions/e1"))


def test_an_entry_is_read() -> None:
    """A grant has a reason and no request; a balance that is not stored is None."""
    entry = documents.entry(stored("users/ann/transactions/e1", **ENTRY))
    assert entry == documents.Entry("e1", "deduction", 3, 7, "r1", None, NOW)
    grant = {"type": "grant", "credits": 3, "reason": "because", "timestamp": NOW}
    assert documents.entry(stored("e/g1", **grant)) == documents.Entry("g1", "grant", 3, None, None, "because", NOW)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "gift"},
        {"type": 5},
        {"type": ["refund"]},
        {"credits": 0},
        {"credits": float("nan")},
        {"credits": True},
        {"timestamp": "noon"},
        {"timestamp": None},
        {"generationRequestId": {"id": "r1"}},
    ],
)
def test_a_broken_entry_is_named(fields: dict[str, object]) -> None:
    """A field that clients read has a wrong type."""
    with pytest.raises(BrokenDocument):
        documents.entry(stored("users/ann/transactions/e1", **{**ENTRY, **fields}))


def test_a_generation_shows_its_image_or_its_failure() -> None:
    """Only a completed one has an image, and only a failed one a failure."""
    both = {**REQUEST, "failure": "GENERATION_FAILED"}
    completed = documents.generation(stored("generationRequests/r1", **both))
    failed = documents.generation(stored("generationRequests/r1", **{**both, "status": "failed"}))
    pending = documents.generation(stored("generationRequests/r1", **{**both, "status": "pending"}))
    canceled = documents.generation(stored("generationRequests/r1", **{**both, "status": "canceled"}))
    assert (completed.image_url, completed.failure) == ("https://image", None)
    assert (failed.image_url, failed.failure) == (None, "GENERATION_FAILED")
    assert (pending.image_url, pending.failure) == (None, None)
    assert (canceled.status, canceled.image_url, canceled.failure) == ("canceled", None, None)


@pytest.mark.parametrize(
    "fields",
    [{"model": None}, {"style": 5}, {"createdAt": "noon"}, {"updatedAt": None}, {"cost": 0}, {"userId": "a/b"}],
)
def test_a_broken_generation_is_named(fields: dict[str, object]) -> None:
    """A field that clients read has a wrong type."""
    with pytest.raises(BrokenDocument):
        documents.generation(stored("generationRequests/r1", **{**REQUEST, **fields}))


@pytest.mark.parametrize("leases", [None, "many", [1], 5])
def test_leases_that_are_not_a_map_are_none(leases: object) -> None:
    """Leases are a limit and not money, so they are not checked."""
    assert documents.leases(stored("inFlight/ann", leases=leases)) == {}
    assert documents.leases(Document("inFlight/ann", None, None)) == {}


def test_a_broken_document_is_left_out_and_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The others are read; the log names the broken document without its contents."""
    good, bad = stored("e/good", **ENTRY), stored("e/bad", **{**ENTRY, "type": "a secret"})
    found = readable([good, bad, good], documents.entry)
    assert [entry.id for entry in found] == ["good", "good"]
    [line] = capsys.readouterr().err.splitlines()
    assert "broken document" in line
    assert "e/bad" in line
    assert "secret" not in line
