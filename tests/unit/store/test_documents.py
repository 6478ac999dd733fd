"""Documents and their ids."""

import pytest

from store import Document, Version, document_id, is_plain_id


@pytest.mark.parametrize("text", ["ann", "a b", "_", "__", "...", "é😀", "a.b", "x" * 128])
def test_a_plain_id_addresses_one_document(text: str) -> None:
    """Every text that Firestore accepts as a document's id is plain."""
    assert is_plain_id(text, 128)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "__x__", "____", "__a\nb__", "a/b", "a\0", "a\n", "\x7f", "\ud800", "x" * 129]
)
def test_an_id_that_firestore_cannot_take_is_refused(text: str) -> None:
    """These are paths, reserved names, control characters, lone surrogates and texts that are too long."""
    assert not is_plain_id(text, 128)


def test_an_id_is_the_last_part_of_the_path() -> None:
    """This also holds in a subcollection."""
    assert document_id("users/ann/transactions/x") == "x"


def test_a_document_that_does_not_exist_has_no_fields() -> None:
    """It differs from one that exists and is empty."""
    missing, empty = Document("users/ann", None, None), Document("users/ann", {}, Version(1))
    assert (missing.id, missing.exists, missing.fields) == ("ann", False, {})
    assert (empty.exists, empty.fields) == (True, {})
