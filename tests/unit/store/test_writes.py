"""A Write as Firestore's message: precondition, mask, values, transforms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from google.cloud.firestore_v1 import types
from hypothesis import given
from hypothesis import strategies as st

from store import COMMIT_TIME, REMOVED, Version, Write
from store.values import decode_fields
from store.writes import field_path, fill_write

VERSION = Version(1_700_000_000_123_456_000)
WriteMessage = types.Write.pb()


@dataclass(frozen=True)
class Sent:
    """A write as Firestore gets it; `mask` is None if there is none."""

    fields: Mapping[str, Any]
    mask: list[str] | None
    times: list[str]


def message_of(write: Write) -> Any:
    message = WriteMessage()
    fill_write(message, write)
    return WriteMessage.FromString(message.SerializeToString())


def sent(write: Write) -> Sent:
    message = message_of(write)
    mask = list(message.update_mask.field_paths) if message.HasField("update_mask") else None
    assert all(transform.set_to_server_value == 1 for transform in message.update_transforms)
    times = [transform.field_path for transform in message.update_transforms]
    return Sent(decode_fields(message.update.fields), mask, times)


def merging(data: Mapping[str, Any]) -> Sent:
    return sent(Write("a/b", data, merges=True))


def updating(data: Mapping[str, Any]) -> Sent:
    return sent(Write("a/b", data, VERSION))


def test_a_new_document_must_not_exist() -> None:
    """All of its fields are sent, so there is no mask."""
    message = message_of(Write("a/b", {"n": 1}))
    assert message.HasField("current_document")
    assert message.current_document.HasField("exists")
    assert not message.current_document.exists
    assert sent(Write("a/b", {"n": 1})) == Sent({"n": 1}, None, [])


def test_an_update_needs_the_version_that_was_read() -> None:
    """The version is exact to the nanosecond; fields that are not named stay."""
    message = message_of(Write("a/b", {"n": 1}, VERSION))
    time = message.current_document.update_time
    assert (time.seconds, time.nanos) == (1_700_000_000, 123_456_000)
    assert updating({"n": 1}) == Sent({"n": 1}, ["n"], [])


def test_a_merge_has_no_condition() -> None:
    """It works on any version of the document, or on none."""
    assert not message_of(Write("a/b", {"n": 1}, merges=True)).HasField("current_document")


def test_a_removed_field_is_in_the_mask_without_a_value() -> None:
    """Firestore then removes the field."""
    assert updating({"n": REMOVED, "m": 1}) == Sent({"m": 1}, ["n", "m"], [])
    assert merging({"n": REMOVED}) == Sent({}, ["n"], [])


def test_the_commit_time_is_a_transform() -> None:
    """It is not in the mask: Firestore would remove a field there without a value."""
    assert updating({"t": COMMIT_TIME, "n": 1}) == Sent({"n": 1}, ["n"], ["t"])
    assert merging({"t": COMMIT_TIME, "n": 1}) == Sent({"n": 1}, ["n"], ["t"])
    assert sent(Write("a/b", {"t": COMMIT_TIME, "n": 1})) == Sent({"n": 1}, None, ["t"])


@pytest.mark.parametrize("data", [{}, {"t": COMMIT_TIME}])
def test_an_update_without_values_keeps_the_other_fields(data: Mapping[str, Any]) -> None:
    """An empty mask changes nothing; without a mask the document would be replaced."""
    assert updating(data) == Sent({}, [], list(data))
    assert merging(data) == Sent({}, [], list(data))


def test_a_map_is_replaced_unless_merged() -> None:
    """An update's mask names the map; a merge's mask names only the fields in it, at every depth."""
    data = {"m": {"x": 1, "y": {"z": 2}}}
    assert updating(data) == Sent(data, ["m"], [])
    assert merging(data) == Sent(data, ["m.x", "m.y.z"], [])


def test_a_merge_reaches_into_maps() -> None:
    """It also removes fields and sets commit times there."""
    found = merging({"m": {"x": REMOVED, "t": COMMIT_TIME, "n": {"y": REMOVED, "u": COMMIT_TIME, "k": 1}}})
    assert found == Sent({"m": {"n": {"k": 1}}}, ["m.x", "m.n.y", "m.n.k"], ["m.t", "m.n.u"])


def test_inside_a_map_that_is_replaced() -> None:
    """The commit time is a transform with the full path; a removed field is left out."""
    data = {"m": {"x": REMOVED, "t": COMMIT_TIME, "k": 1, "n": {"u": COMMIT_TIME}}}
    assert updating(data) == Sent({"m": {"k": 1, "n": {}}}, ["m"], ["m.t", "m.n.u"])
    assert sent(Write("a/b", data)) == Sent({"m": {"k": 1, "n": {}}}, None, ["m.t", "m.n.u"])


def test_an_empty_map_is_a_value() -> None:
    """A merge stores an empty map as it is."""
    assert merging({"m": {}, "n": {"k": {}}}) == Sent({"m": {}, "n": {"k": {}}}, ["m", "n.k"], [])


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("plain_1", "plain_1"),
        ("_", "_"),
        ("a.b", "`a.b`"),
        ("1x", "`1x`"),
        ("a`b", "`a\\`b`"),
        ("a\\b", "`a\\\\b`"),
        ("\\`", "`\\\\\\``"),
        ("a b", "`a b`"),
        ("a-b", "`a-b`"),
        ("é", "`é`"),
        ("a\n", "`a\n`"),
        ("", "``"),
    ],
)
def test_a_name_is_escaped_in_a_path(name: str, path: str) -> None:
    """Every name but a plain word gets backticks."""
    assert field_path(name) == path


def test_names_are_literal() -> None:
    """A dot in a name does not lead into a map; inside a map each name is escaped by itself."""
    assert updating({"a.b": 1}) == Sent({"a.b": 1}, ["`a.b`"], [])
    found = merging({"a.b": {"1x": 1, "a`b": REMOVED, "t.u": COMMIT_TIME}})
    assert found == Sent({"a.b": {"1x": 1}}, ["`a.b`.`1x`", "`a.b`.`a\\`b`"], ["`a.b`.`t.u`"])


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_paths_of_different_names_differ(names: list[str]) -> None:
    """A path has only one meaning."""
    path = ".".join(map(field_path, names))
    assert _names(path) == names


def _names(path: str) -> list[str]:
    """The names in a path."""
    names, quoted, escaped = [""], False, False
    for character in path:
        if escaped:
            names[-1] += character
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == "`":
            quoted = not quoted
        elif character == "." and not quoted:
            names.append("")
        else:
            names[-1] += character
    return names
