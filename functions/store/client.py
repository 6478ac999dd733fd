"""One gRPC channel to Firestore, and the calls that this code makes on it.

It sends protobuf messages on gRPC's own stubs. Through google-cloud-firestore's client, the same calls cost more than
twice as much processor time.
"""

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import google.auth
import google.auth.transport.grpc
import google.auth.transport.requests
import grpc

from store import messages, refusals
from store.documents import Document, Query, Version, Write
from store.values import decode_fields

Row = Mapping[str, Any]

_HOST = "firestore.googleapis.com:443"
_SCOPES = ("https://www.googleapis.com/auth/datastore",)
# Every project's first database has this name, parentheses included.
DEFAULT_DATABASE = "(default)"
_SERVICE = "/google.firestore.v1.Firestore"

# gRPC waits up to two minutes before it connects again, and a new channel to the same host shares that wait:
# https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md
CHANNEL_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.min_reconnect_backoff_ms", 3000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Reads a stream in the caller's thread and not in a new one: a third less processor time.
    (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),
)
EMULATOR_METADATA = (("authorization", "Bearer owner"),)


class StoreError(Exception):
    """A round trip failed; `code` is gRPC's. `advice` says what an operator has to do, if a retry cannot help.

    Firestore's own message is in the cause. It may quote data, so it is never logged.
    """

    def __init__(self, code: grpc.StatusCode, advice: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.advice = advice


class Connection:
    """Sends each round trip once and raises StoreError if it fails; safe to share between threads."""

    def __init__(
        self,
        project: str,
        channel: grpc.Channel,
        metadata: Sequence[tuple[str, str]] = (),
        database: str = DEFAULT_DATABASE,
    ) -> None:
        name = f"projects/{project}/databases/{database}"
        self._messages = messages.Messages(name)
        # Firestore finds the database by these: https://cloud.google.com/firestore/docs/manage-databases
        routes = (("google-cloud-resource-prefix", name), ("x-goog-request-params", f"database={quote(name)}"))
        self._metadata = (*routes, *metadata)
        self._batch_get = channel.unary_stream(
            f"{_SERVICE}/BatchGetDocuments",
            request_serializer=messages.BatchGetDocumentsRequest.SerializeToString,
            response_deserializer=messages.BatchGetDocumentsResponse.FromString,
        )
        self._run_query = channel.unary_stream(
            f"{_SERVICE}/RunQuery",
            request_serializer=messages.RunQueryRequest.SerializeToString,
            response_deserializer=messages.RunQueryResponse.FromString,
        )
        self._run_aggregation = channel.unary_stream(
            f"{_SERVICE}/RunAggregationQuery",
            request_serializer=messages.RunAggregationQueryRequest.SerializeToString,
            response_deserializer=messages.RunAggregationQueryResponse.FromString,
        )
        self._commit = channel.unary_unary(
            f"{_SERVICE}/Commit",
            request_serializer=messages.CommitRequest.SerializeToString,
            response_deserializer=messages.CommitResponse.FromString,
        )

    def batch_get(self, paths: Sequence[str], timeout_seconds: float) -> dict[str, Document]:
        """The documents by path, all as of one moment."""
        call = self._batch_get(self._messages.batch_get(paths), timeout=timeout_seconds, metadata=self._metadata)
        documents = map(self._messages.found, _received(call))
        return {document.path: document for document in documents}

    def run_queries(
        self, queries: Sequence[Query], timeout_seconds: float, read_time: Version | None = None
    ) -> list[list[Document]]:
        """Each query's documents. All queries are sent before the first answer is read."""
        requests = [self._messages.run_query(query, None, read_time) for query in queries]
        calls = [self._run_query(request, timeout=timeout_seconds, metadata=self._metadata) for request in requests]
        try:
            return [
                [self._messages.document(answer.document, answer.read_time) for answer in _with_documents(call)]
                for call in calls
            ]
        finally:
            for call in calls:
                call.cancel()

    def stream(self, query: Query, fields: Sequence[str], timeout_seconds: float) -> Generator[Row, None, None]:
        """The query's documents with these fields only, one at a time as they arrive; close it if you stop early."""
        request = self._messages.run_query(query, fields, None)
        call = self._run_query(request, timeout=timeout_seconds, metadata=self._metadata)
        try:
            for answer in _with_documents(call):
                yield decode_fields(answer.document.fields)
        finally:
            call.cancel()

    def run_sum(self, query: Query, field: str, timeout_seconds: float) -> float:
        """The sum of a field over the query's documents: an integer if each of them is one, and none is too large."""
        request = self._messages.run_sum(query, field)
        call = self._run_aggregation(request, timeout=timeout_seconds, metadata=self._metadata)
        # Firestore may also send a time only, without a result.
        answers: list[float] = [messages.summed(answer) for answer in _received(call) if answer.HasField("result")]
        if len(answers) != 1:
            raise StoreError(grpc.StatusCode.UNKNOWN)
        return answers[0]

    def commit(self, writes: Sequence[Write], timeout_seconds: float) -> dict[str, Version]:
        """Applies all writes or none; returns the documents' new versions by path."""
        request = self._messages.commit(writes)
        try:
            response = self._commit(request, timeout=timeout_seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise _failure(error, of_commit=True) from error
        results = zip(writes, response.write_results, strict=True)
        return {write.path: messages.version(result.update_time) for write, result in results}


def connect(
    project: str | None, environ: Mapping[str, str] = os.environ, *, database: str = DEFAULT_DATABASE
) -> Connection:
    """A connection that works again within a second after an outage of Firestore; sends nothing yet.

    It goes to the emulator if FIRESTORE_EMULATOR_HOST is set, otherwise to Google's Firestore with the environment's
    credentials. If no project is given, the environment names it.

    Raises:
        StoreError: no project is given, and the environment names none.
    """
    emulator = environ.get("FIRESTORE_EMULATOR_HOST")
    if emulator:
        project = project or environ.get("GOOGLE_CLOUD_PROJECT") or environ.get("GCLOUD_PROJECT")
        return Connection(_known(project), emulator_channel(emulator), EMULATOR_METADATA, database)
    credentials, own_project = google.auth.default(scopes=_SCOPES)
    request = google.auth.transport.requests.Request()
    channel = google.auth.transport.grpc.secure_authorized_channel(credentials, request, _HOST, options=CHANNEL_OPTIONS)
    return Connection(_known(project or own_project), channel, database=database)


def emulator_channel(host: str) -> grpc.Channel:
    """A channel to the emulator at this host and port."""
    # gRPC would use http_proxy from the environment even for an emulator on this machine.
    return grpc.insecure_channel(host, options=(*CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0)))


def _known(project: str | None) -> str:
    if not project:
        raise StoreError(grpc.StatusCode.INVALID_ARGUMENT, "No project: set GOOGLE_CLOUD_PROJECT.")
    return project


def _with_documents(call: Any) -> Iterator[Any]:
    # Firestore may also send an answer without a document, to report its progress.
    return (answer for answer in _received(call) if answer.HasField("document"))


def _received(call: Any) -> Iterator[Any]:
    try:
        yield from call
    except grpc.RpcError as error:
        raise _failure(error) from error


def _failure(error: Any, of_commit: bool = False) -> StoreError:
    if not isinstance(error, grpc.Call):
        return StoreError(grpc.StatusCode.UNKNOWN)
    words = error.details() or ""
    code = refusals.true_code(error.code(), words)
    return StoreError(code, refusals.advice(code, words, of_commit=of_commit))
