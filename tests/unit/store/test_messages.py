"""What a query and a batch get ask of Firestore, and how answers are read."""

from typing import Any

import pytest
from google.cloud.firestore_v1 import types

from store import Document, Query, Version
from store.messages import BatchGetDocumentsResponse, Messages, RunAggregationQueryRequest, RunQueryRequest
from store.values import decode, encode

DATABASE = "projects/demo/databases/(default)"
ROOT = f"{DATABASE}/documents"
MESSAGES = Messages(DATABASE)
VERSION = Version(1_700_000_000_123_456_000)


def asked(query: Query, **options: Any) -> Any:
    """The request as Firestore gets it."""
    request = MESSAGES.run_query(query, options.get("fields"), options.get("read_time"))
    return RunQueryRequest.FromString(request.SerializeToString())


def order(query: Query) -> list[tuple[str, str]]:
    orders = asked(query).structured_query.order_by
    return [(each.field.field_path, types.StructuredQuery.Direction(each.direction).name) for each in orders]


def test_a_collection_is_asked_for_below_its_parent() -> None:
    """The parent is the root or a document."""
    top, below = asked(Query("users")), asked(Query("users/ann/transactions"))
    assert (top.parent, top.structured_query.from_[0].collection_id) == (ROOT, "users")
    assert (below.parent, below.structured_query.from_[0].collection_id) == (f"{ROOT}/users/ann", "transactions")


def test_a_query_is_ordered_by_the_id_last() -> None:
    """The id has the direction of the field, so that pages have one order."""
    assert order(Query("a")) == [("__name__", "ASCENDING")]
    assert order(Query("a", where=[("n", "==", 1)], descending=True)) == [("__name__", "DESCENDING")]
    assert order(Query("a", order_by="n")) == [("n", "ASCENDING"), ("__name__", "ASCENDING")]
    assert order(Query("a", order_by="n", descending=True)) == [("n", "DESCENDING"), ("__name__", "DESCENDING")]


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        ("==", "EQUAL"),
        ("<", "LESS_THAN"),
        ("<=", "LESS_THAN_OR_EQUAL"),
        (">", "GREATER_THAN"),
        (">=", "GREATER_THAN_OR_EQUAL"),
    ],
)
def test_every_filter_must_hold(operator: str, name: str) -> None:
    """Each has its field, operator and value."""
    composite = asked(
        Query("a", where=[("x.y", operator, 1), ("s", "==", "b")])
    ).structured_query.where.composite_filter
    first, second = (each.field_filter for each in composite.filters)
    assert types.StructuredQuery.CompositeFilter.Operator(composite.op).name == "AND"
    assert types.StructuredQuery.FieldFilter.Operator(first.op).name == name
    assert (first.field.field_path, decode(first.value)) == ("`x.y`", 1)
    assert (second.field.field_path, decode(second.value)) == ("s", "b")


def test_a_query_without_filters_has_none() -> None:
    """It also has no limit, no cursor and no projection."""
    structured = asked(Query("a")).structured_query
    assert not any(structured.HasField(name) for name in ("where", "limit", "start_at", "select"))
    assert not asked(Query("a")).HasField("read_time")


def test_the_next_page_starts_after_the_last_document() -> None:
    """The cursor has the value of the ordering field, then the path."""
    after = Document("users/ann/transactions/x", {"n": 2**62 + 1, "m": 0}, VERSION)
    cursor = asked(Query("users/ann/transactions", order_by="n", after=after)).structured_query.start_at
    assert not cursor.before
    assert decode(cursor.values[0]) == 2**62 + 1
    assert cursor.values[1].reference_value == f"{ROOT}/users/ann/transactions/x"
    by_id = asked(Query("users/ann/transactions", after=after)).structured_query.start_at
    assert [value.reference_value for value in by_id.values] == [f"{ROOT}/users/ann/transactions/x"]


def test_a_page_can_start_after_a_value_that_is_not_used_here() -> None:
    """A geo point in the ordering field of one document does not stop the paging."""
    point = types.Value.pb(types.Value(geo_point_value={"latitude": 1, "longitude": 2}))
    after = Document("a/x", {"n": decode(point)}, VERSION)
    assert asked(Query("a", order_by="n", after=after)).structured_query.start_at.values[0] == point


def test_limit_fields_and_time_are_sent() -> None:
    """Field names in the projection are literal; an empty projection is still sent."""
    request = asked(Query("a", limit=7), fields=["n", "x.y"], read_time=VERSION)
    assert request.structured_query.limit.value == 7
    assert [field.field_path for field in request.structured_query.select.fields] == ["n", "`x.y`"]
    assert (request.read_time.seconds, request.read_time.nanos) == (1_700_000_000, 123_456_000)
    none = asked(Query("a"), fields=[]).structured_query.select.fields
    assert [field.field_path for field in none] == ["__name__"]


def test_a_sum_is_asked_for_over_a_query() -> None:
    """The query is the same as without a sum."""
    query = Query("users", where=[("x.y", ">", 0)], order_by="x.y")
    request = RunAggregationQueryRequest.FromString(MESSAGES.run_sum(query, "x.y").SerializeToString())
    (aggregation,) = request.structured_aggregation_query.aggregations
    assert aggregation.sum.field.field_path == "`x.y`"
    assert request.parent == ROOT
    assert request.structured_aggregation_query.structured_query == asked(query).structured_query


def test_documents_are_asked_for_by_their_full_names() -> None:
    """One request asks for all of them."""
    request = MESSAGES.batch_get(["users/ann", "users/ann/transactions/x"])
    assert request.database == DATABASE
    assert list(request.documents) == [f"{ROOT}/users/ann", f"{ROOT}/users/ann/transactions/x"]


def test_an_answer_is_a_document_or_that_there_is_none() -> None:
    """A document has the exact times of its last write and of the read."""
    found = BatchGetDocumentsResponse()
    found.found.name = f"{ROOT}/users/ann"
    found.found.fields["n"].CopyFrom(encode(5))
    found.found.update_time.nanos = 123_456_789
    found.read_time.seconds = 9
    assert MESSAGES.found(found) == Document("users/ann", {"n": 5}, Version(123_456_789), Version(9_000_000_000))
    missing = BatchGetDocumentsResponse(missing=f"{ROOT}/users/bob")
    missing.read_time.seconds = 9
    assert MESSAGES.found(missing) == Document("users/bob", None, None, Version(9_000_000_000))
