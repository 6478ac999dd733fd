"""Python values <-> Firestore values, exact in both directions.

None, bool, int of 64 bits, float, str, aware datetimes, bytes, lists and maps. Any other kind is read as Opaque.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from google.cloud.firestore_v1 import types

ValueMessage = types.Value.pb()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Opaque:
    """A stored value of a kind that is not used here, such as a geo point; it can be written back unchanged."""

    kind: str
    raw: bytes = field(default=b"", repr=False)


def encode(value: Any) -> Any:
    """The Firestore value of a Python value.

    Raises:
        TypeError, ValueError: Firestore cannot store it exactly.
    """
    message = ValueMessage()
    fill(message, value)
    return message


def fill(message: Any, value: Any) -> None:
    """Fills an empty Firestore value in place; faster than building and copying one."""
    kind = type(value)
    if kind is str:
        message.string_value = value
    elif kind is int:
        message.integer_value = value
    elif kind is bool:
        message.boolean_value = value
    elif kind is float:
        message.double_value = value
    elif value is None:
        message.null_value = 0
    else:
        _fill_rarer(message, value)


def _fill_rarer(message: Any, value: Any) -> None:
    if isinstance(value, datetime):
        _fill_moment(message.timestamp_value, value)
    elif isinstance(value, Mapping):
        message.map_value.SetInParent()
        fields = message.map_value.fields
        for name, inner in value.items():
            fill(fields[name], inner)
    elif isinstance(value, list | tuple):
        message.array_value.SetInParent()
        values = message.array_value.values
        for inner in value:
            fill(values.add(), inner)
    elif isinstance(value, bytes):
        message.bytes_value = value
    elif isinstance(value, Opaque) and value.raw:
        message.ParseFromString(value.raw)
    elif isinstance(value, str):
        message.string_value = value
    else:
        raise TypeError(f"a {type(value).__name__} cannot be stored in Firestore")


def _fill_moment(message: Any, value: datetime) -> None:
    if value.utcoffset() is None:
        raise ValueError("a time without a time zone cannot be stored in Firestore")
    since = value - _EPOCH
    message.seconds = since.days * 86_400 + since.seconds
    message.nanos = since.microseconds * 1000
    # A message whose fields are all 0 would be left out.
    message.SetInParent()


def decode(message: Any) -> Any:
    """The Python value of a Firestore value; Opaque for a kind that is not used here."""
    kind = message.WhichOneof("value_type")
    read = _READERS.get(kind)
    if read is None:
        return Opaque((kind or "unknown").removesuffix("_value"), message.SerializeToString())
    return read(message)


def decode_fields(fields: Any) -> dict[str, Any]:
    """The Python values of a Firestore map's or document's fields."""
    return {name: decode(value) for name, value in fields.items()}


def _moment(message: Any) -> datetime:
    moment = message.timestamp_value
    # Firestore keeps microseconds.
    return _EPOCH + timedelta(seconds=moment.seconds, microseconds=moment.nanos // 1000)


_READERS: Mapping[str | None, Callable[[Any], Any]] = {
    "null_value": lambda message: None,
    "boolean_value": attrgetter("boolean_value"),
    "integer_value": attrgetter("integer_value"),
    "double_value": attrgetter("double_value"),
    "string_value": attrgetter("string_value"),
    "bytes_value": attrgetter("bytes_value"),
    "timestamp_value": _moment,
    "array_value": lambda message: [decode(value) for value in message.array_value.values],
    "map_value": lambda message: decode_fields(message.map_value.fields),
}
