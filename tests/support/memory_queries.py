"""Firestore's queries over documents in this process: filters, order, cursor, limit."""

import math
import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from store import Document, Opaque, Query

# Its place in the order of values: before every other number.
_NAN = (2, False, 0)
_RANKS: Mapping[type, int] = {datetime: 3, str: 4, bytes: 5}
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matcher(query: Query) -> Callable[[Mapping[str, Any]], bool]:
    """Tells whether the query gives a document of its collections that holds these fields."""
    order_by = query.order_by
    where = [(name, _OPERATORS[comparison], _order(wanted)) for name, comparison, wanted in query.where]

    def matches(fields: Mapping[str, Any]) -> bool:
        if order_by is not None and order_by not in fields:
            return False
        # Not all(...): this is what tests with many documents do most.
        for name, compare, asked in where:
            if name not in fields or not _holds(_order(fields[name]), compare, asked):
                return False
        return True

    return matches


def page(query: Query, matching: list[Document]) -> list[Document]:
    """Those of all matching documents that the query gives, in its order."""
    key = _sort_key(query.order_by)
    found = sorted(matching, key=key, reverse=query.descending)
    if query.after is not None:
        last = key(query.after)
        found = [document for document in found if (key(document) < last if query.descending else key(document) > last)]
    return found[: query.limit]


def _sort_key(name: str | None) -> Callable[[Document], Any]:
    return lambda document: (_order(document.fields.get(name)) if name else (), document.path.split("/"))


def _holds(found: tuple[Any, ...], compare: Callable[[Any, Any], bool], asked: tuple[Any, ...]) -> bool:
    # Firestore compares within a type only, and NaN with nothing.
    return found[0] == asked[0] and found != _NAN and compare(found, asked)


def _order(value: Any) -> tuple[Any, ...]:
    """Firestore's order of values: https://cloud.google.com/firestore/docs/concepts/data-types#value_type_ordering"""
    kind = type(value)
    if kind in _RANKS:
        return (_RANKS[kind], value)
    if value is None or isinstance(value, bool):
        return (0,) if value is None else (1, value)
    if isinstance(value, int | float):
        return _NAN if math.isnan(value) else (2, True, value)
    if isinstance(value, Opaque):
        return (6, value.kind, value.raw)
    if isinstance(value, Mapping):
        return (8, [(name, _order(value[name])) for name in sorted(value)])
    return (7, [_order(inner) for inner in value])
