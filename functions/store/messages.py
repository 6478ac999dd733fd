"""Queries, writes and documents <-> the protobuf messages of google.firestore.v1.

Reference: https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1
"""

from collections.abc import Sequence
from typing import Any

from google.cloud.firestore_v1 import types

from store.documents import Document, Query, Version, Write
from store.values import decode, decode_fields, fill
from store.writes import field_path, fill_time, fill_write

BatchGetDocumentsRequest = types.BatchGetDocumentsRequest.pb()
BatchGetDocumentsResponse = types.BatchGetDocumentsResponse.pb()
RunQueryRequest = types.RunQueryRequest.pb()
RunQueryResponse = types.RunQueryResponse.pb()
RunAggregationQueryRequest = types.RunAggregationQueryRequest.pb()
RunAggregationQueryResponse = types.RunAggregationQueryResponse.pb()
CommitRequest = types.CommitRequest.pb()
CommitResponse = types.CommitResponse.pb()

_ID = "__name__"
_SUM = "sum"
_AND = int(types.StructuredQuery.CompositeFilter.Operator.AND)
_ASCENDING = int(types.StructuredQuery.Direction.ASCENDING)
_DESCENDING = int(types.StructuredQuery.Direction.DESCENDING)
_OPERATORS = {
    "==": int(types.StructuredQuery.FieldFilter.Operator.EQUAL),
    "<": int(types.StructuredQuery.FieldFilter.Operator.LESS_THAN),
    "<=": int(types.StructuredQuery.FieldFilter.Operator.LESS_THAN_OR_EQUAL),
    ">": int(types.StructuredQuery.FieldFilter.Operator.GREATER_THAN),
    ">=": int(types.StructuredQuery.FieldFilter.Operator.GREATER_THAN_OR_EQUAL),
}


class Messages:
    """Builds the requests for one database and reads its answers."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._root = f"{database}/documents"
        self._prefix = f"{self._root}/"

    def batch_get(self, paths: Sequence[str]) -> Any:
        names = [self._prefix + path for path in paths]
        return BatchGetDocumentsRequest(database=self._database, documents=names)

    def commit(self, writes: Sequence[Write]) -> Any:
        request = CommitRequest(database=self._database)
        for write in writes:
            message = request.writes.add()
            message.update.name = self._prefix + write.path
            fill_write(message, write)
        return request

    def run_query(self, query: Query, fields: Sequence[str] | None, read_time: Version | None) -> Any:
        """The answer has only these `fields`, or all of them if None."""
        parent, _, collection_id = f"{self._prefix}{query.collection}".rpartition("/")
        request = RunQueryRequest(parent=parent)
        structured = request.structured_query
        structured.from_.add(collection_id=collection_id, all_descendants=query.everywhere)
        _fill_filters(structured, query.where)
        self._fill_order(structured, query)
        if query.limit is not None:
            structured.limit.value = query.limit
        if fields is not None:
            # If no field is selected, the answer has all of them.
            for path in list(map(field_path, fields)) or [_ID]:
                structured.select.fields.add(field_path=path)
        if read_time is not None:
            fill_time(request.read_time, read_time)
        return request

    def run_sum(self, query: Query, field: str) -> Any:
        """Asks for the sum of a field over the query's documents."""
        whole = self.run_query(query, None, None)
        request = RunAggregationQueryRequest(parent=whole.parent)
        asked = request.structured_aggregation_query
        asked.structured_query.CopyFrom(whole.structured_query)
        asked.aggregations.add(alias=_SUM).sum.field.field_path = field_path(field)
        return request

    def found(self, response: Any) -> Document:
        """The document in one answer to a batch get; without data if it does not exist."""
        if response.HasField("found"):
            return self.document(response.found, response.read_time)
        return Document(response.missing[len(self._prefix) :], None, None, version(response.read_time))

    def document(self, message: Any, read_time: Any) -> Document:
        """A document as it was at `read_time`."""
        path = message.name[len(self._prefix) :]
        return Document(path, decode_fields(message.fields), version(message.update_time), version(read_time))

    def _fill_order(self, structured: Any, query: Query) -> None:
        direction = _DESCENDING if query.descending else _ASCENDING
        if query.order_by is not None:
            structured.order_by.add(direction=direction).field.field_path = field_path(query.order_by)
        structured.order_by.add(direction=direction).field.field_path = _ID
        if query.after is None:
            return
        cursor = structured.start_at.values
        if query.order_by is not None:
            fill(cursor.add(), query.after.fields.get(query.order_by))
        cursor.add().reference_value = self._prefix + query.after.path


def summed(response: Any) -> Any:
    """The number in one answer to run_sum."""
    return decode(response.result.aggregate_fields[_SUM])


def version(time: Any) -> Version:
    """A protobuf time as a version."""
    return Version(time.seconds * 1_000_000_000 + time.nanos)


def _fill_filters(structured: Any, where: Sequence[tuple[str, str, Any]]) -> None:
    if not where:
        return
    composite = structured.where.composite_filter
    composite.op = _AND
    for name, operator, value in where:
        message = composite.filters.add().field_filter
        message.field.field_path = field_path(name)
        message.op = _OPERATORS[operator]
        fill(message.value, value)
