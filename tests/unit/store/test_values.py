"""Every value comes back from Firestore exactly as it was stored."""

import math
import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from google.cloud.firestore_v1 import types
from hypothesis import given, settings
from hypothesis import strategies as st

from store import COMMIT_TIME, Opaque
from store.values import ValueMessage, decode, encode

MIN_INT, MAX_INT = -(2**63), 2**63 - 1
# Firestore's own client has the same first and last moment.
FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
HOUR_AHEAD = timezone(timedelta(hours=1))

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(MIN_INT, MAX_INT)
    | st.floats()
    | TEXTS
    | st.binary()
    | st.datetimes(timezones=st.just(UTC))
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20)


def stored(value: Any) -> Any:
    """The value as it is read back after serialisation."""
    return decode(ValueMessage.FromString(encode(value).SerializeToString()))


def exactly(value: Any) -> Any:
    """A form that is equal only for the same value of the same type."""
    if isinstance(value, dict):
        return {name: exactly(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [exactly(inner) for inner in value]
    return (type(value), struct.pack("d", value) if isinstance(value, float) else value)


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_any_value_survives_a_round_trip(value: Any) -> None:
    """Any nesting and every type is kept."""
    assert exactly(stored(value)) == exactly(value)


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, 1, -1, MIN_INT, MAX_INT, 2**53 + 1, 0.0, -0.0, 1.0, math.inf, -math.inf, math.nan, 5e-324,
        "", "\0", "😀", b"", b"\0\xff", [], {}, [[]], [{}], {"": {"a": [None]}}, {"a.b": {"`": 1}},
    ],
)  # fmt: skip
def test_edges_survive_a_round_trip(value: Any) -> None:
    """64 bits, the sign of zero, NaN, infinities, empty values, and the difference of bool, int and float are kept."""
    assert exactly(stored(value)) == exactly(value)


@pytest.mark.parametrize(
    "moment",
    [
        FIRST,
        LAST,
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 2, 28, 23, 59, 59, 1, tzinfo=UTC),
    ],
)
def test_a_moment_is_exact_to_the_microsecond(moment: datetime) -> None:
    """This holds from year 1 to 9999, before and after 1970."""
    assert stored(moment) == moment
    assert stored(moment).utcoffset() == timedelta(0)


def test_a_moment_of_another_time_zone_is_the_same_moment() -> None:
    """It comes back in UTC."""
    moment = datetime(2026, 3, 2, 13, tzinfo=HOUR_AHEAD)
    assert stored(moment) == moment
    assert stored(moment).hour == 12


def test_a_tuple_is_stored_as_a_list() -> None:
    """Firestore has one kind of array."""
    assert stored((1, "a")) == [1, "a"]


@pytest.mark.parametrize("value", [object(), {1}, 1j, COMMIT_TIME, [COMMIT_TIME], {1: 2}, Opaque("geo_point")])
def test_what_firestore_cannot_hold_is_refused(value: Any) -> None:
    """It is never silently stored as another value."""
    with pytest.raises(TypeError):
        encode(value)


@pytest.mark.parametrize("value", [MAX_INT + 1, MIN_INT - 1, datetime(2026, 3, 2), "\ud800"])  # noqa: DTZ001 - the case
def test_what_would_not_be_exact_is_refused(value: Any) -> None:
    """Examples: more than 64 bits, a time without a zone, a lone surrogate."""
    with pytest.raises(ValueError):  # noqa: PT011 - protobuf's own message
        encode(value)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (types.Value(geo_point_value={"latitude": 1.5, "longitude": -2}), "geo_point"),
        (types.Value(reference_value="projects/p/databases/d/documents/a/b"), "reference"),
        (types.Value(), "unknown"),
    ],
)
def test_other_kinds_are_opaque(message: types.Value, kind: str) -> None:
    """They are not lost, and not read as another value."""
    value = decode(types.Value.pb(message))
    assert isinstance(value, Opaque)
    assert value.kind == kind


def test_an_opaque_value_can_be_written_back() -> None:
    """A document that has one can end a page and can be stored again."""
    message = types.Value.pb(types.Value(geo_point_value={"latitude": 1.5, "longitude": -2}))
    value = decode(message)
    assert encode(value) == message
    assert encode({"at": [value]}).map_value.fields["at"].array_value.values[0] == message
    assert "latitude" not in repr(value)
