"""Firestore's queries over documents in this process: filters, order, cursor, limit."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from store import Document, Opaque, Query

# Its place in the order of values: before every other number.
_NAN = (2, False, 0)
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def page(query: Query, documents: Sequence[Document]) -> list[Document]:
    """Those of the documents that the query gives."""
    name = query.order_by
    key = _sort_key(name)
    found = [document for document in documents if _matches(query, document)]
    found.sort(key=key, reverse=query.descending)
    if query.after is not None:
        last = key(query.after)
        found = [document for document in found if (key(document) < last if query.descending else key(document) > last)]
    return found[: query.limit]


def _sort_key(name: str | None) -> Callable[[Document], Any]:
    return lambda document: (_order(document.fields.get(name)) if name else (), document.path.split("/"))


def _matches(query: Query, document: Document) -> bool:
    collection = document.path.rpartition("/")[0]
    name = collection.rpartition("/")[2] if query.everywhere else collection
    if not document.exists or name != query.collection:
        return False
    if query.order_by is not None and query.order_by not in document.fields:
        return False
    return all(name in document.fields and _holds(document.fields[name], *rest) for name, *rest in query.where)


def _holds(value: Any, comparison: str, wanted: Any) -> bool:
    found, asked = _order(value), _order(wanted)
    # Firestore compares within a type only, and NaN with nothing.
    return found[0] == asked[0] and found != _NAN and _OPERATORS[comparison](found, asked)


def _order(value: Any) -> tuple[Any, ...]:
    """Firestore's order of values: https://cloud.google.com/firestore/docs/concepts/data-types#value_type_ordering"""
    if value is None or isinstance(value, bool):
        return (0,) if value is None else (1, value)
    if isinstance(value, int | float):
        return _NAN if math.isnan(value) else (2, True, value)
    for rank, kind in enumerate((datetime, str, bytes), start=3):
        if isinstance(value, kind):
            return (rank, value)
    if isinstance(value, Opaque):
        return (6, value.kind, value.raw)
    if isinstance(value, Mapping):
        return (8, [(name, _order(value[name])) for name in sorted(value)])
    return (7, [_order(inner) for inner in value])
