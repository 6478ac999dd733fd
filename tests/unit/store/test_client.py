"""The connection, against a gRPC server in this process."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import google.auth.credentials
import google.auth.transport.grpc
import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import RefreshError
from grpc import StatusCode

from store import (
    Connection,
    Document,
    Query,
    RetryPolicy,
    Row,
    Store,
    StoreError,
    Version,
    Write,
    connect,
    messages,
)
from store.client import CHANNEL_OPTIONS
from tests.unit.store.fake_firestore import DATABASE, FakeFirestore, found, missing, summed

ROUND_TRIPS: Mapping[str, Callable[[Connection, float], object]] = {
    "BatchGetDocuments": lambda connection, seconds: connection.batch_get(["a/x"], seconds),
    "RunQuery": lambda connection, seconds: connection.run_queries([Query("a")], seconds),
    "RunQuery as a stream": lambda connection, seconds: list(connection.stream(Query("a"), ["n"], seconds)),
    "RunAggregationQuery": lambda connection, seconds: connection.run_sum(Query("a"), "n", seconds),
    "Commit": lambda connection, seconds: connection.commit([Write("a/x", {"n": 1})], seconds),
}
round_trips = pytest.mark.parametrize(("name", "send"), ROUND_TRIPS.items())


def always(answer: Callable[[Any, grpc.ServicerContext], Any]) -> FakeFirestore:
    """A server with the same answer to everything."""
    return FakeFirestore(batch_get=answer, run_query=answer, run_sum=answer, commit=answer)


def aborting(code: StatusCode, words: str = "user ann has 5 credits") -> Callable[[Any, grpc.ServicerContext], Any]:
    def abort(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        context.abort(code, words)
        return iter(())

    return abort


def endless(given_up: threading.Event) -> Callable[[Any, grpc.ServicerContext], Iterator[Any]]:
    """Endless documents, until the client cancels."""

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        context.add_callback(given_up.set)
        while not given_up.wait(0.01):
            yield found("a/x")

    return answer


@round_trips
def test_a_round_trip_is_one_call_with_its_route(name: str, send: Callable[[Connection, float], object]) -> None:
    """Firestore finds the database by the metadata; the emulator wants its token."""
    commit = messages.CommitResponse()
    commit.write_results.add()
    fake = FakeFirestore(commit=lambda request, context: commit)
    with fake.connected() as connection:
        send(connection, 5)
    ((rpc, _, metadata),) = fake.asked
    assert rpc == name.partition(" ")[0]
    assert metadata["google-cloud-resource-prefix"] == DATABASE
    assert metadata["x-goog-request-params"] == "database=projects/demo/databases/%28default%29"
    assert metadata["authorization"] == "Bearer owner"


@pytest.mark.parametrize("value", [0, 2**62, 1.5])
def test_a_sum_is_one_number(value: float) -> None:
    """An integer stays one; an answer that has only a time is passed over."""
    answers = [messages.RunAggregationQueryResponse(), summed(value)]
    with FakeFirestore(run_sum=lambda request, context: iter(answers)).connected() as connection:
        added_up = connection.run_sum(Query("a"), "n", 5)
    assert (added_up, type(added_up)) == (value, type(value))


def test_an_answer_without_a_sum_is_an_error() -> None:
    """It is not taken for nothing."""
    empty = FakeFirestore(run_sum=lambda request, context: iter(()))
    with empty.connected() as connection, pytest.raises(StoreError):
        connection.run_sum(Query("a"), "n", 5)


def test_another_database_than_the_default_is_named() -> None:
    """Its name is in the request and in the route."""
    fake = FakeFirestore()
    with fake.connected("second") as connection:
        connection.batch_get(["a/x"], 5)
    ((_, request, metadata),) = fake.asked
    assert request.database == metadata["google-cloud-resource-prefix"] == "projects/demo/databases/second"


def test_documents_come_back_by_path() -> None:
    """Answers may come in any order; documents that do not exist are included."""

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield missing("a/y")
        document = found("a/x", 5).document
        yield messages.BatchGetDocumentsResponse(found=document, read_time={"seconds": 2})

    with FakeFirestore(batch_get=answer).connected() as connection:
        documents = connection.batch_get(["a/x", "a/y"], 5)
    assert documents["a/x"] == Document("a/x", {"n": 5}, Version(0), Version(2_000_000_000))
    assert not documents["a/y"].exists


def test_a_commit_gives_the_new_versions() -> None:
    """The versions are exact to the nanosecond, by path."""
    response = messages.CommitResponse()
    for nanos in (1, 2):
        response.write_results.add().update_time.nanos = nanos
    with FakeFirestore(commit=lambda request, context: response).connected() as connection:
        versions = connection.commit([Write("a/x", {}), Write("a/y", {})], 5)
    assert versions == {"a/x": 1, "a/y": 2}


def test_an_answer_without_a_document_is_passed_over() -> None:
    """Firestore sends such an answer to report a query's progress."""

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield from (messages.RunQueryResponse(skipped_results=1), found("a/x", 1), messages.RunQueryResponse())

    with FakeFirestore(run_query=answer).connected() as connection:
        assert [document.id for document in connection.run_queries([Query("a")], 5)[0]] == ["x"]
        assert list(connection.stream(Query("a"), ["n"], 5)) == [{"n": 1}]


def test_queries_run_side_by_side() -> None:
    """All are sent before the first answer arrives, and each gets its own answer."""
    together = threading.Barrier(3)

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        together.wait(5)
        yield found(f"{request.structured_query.from_[0].collection_id}/x")

    with FakeFirestore(run_query=answer).connected() as connection:
        results = connection.run_queries([Query("a"), Query("b"), Query("c")], 5)
    assert [document.path for documents in results for document in documents] == ["a/x", "b/x", "c/x"]


@round_trips
@pytest.mark.parametrize("code", [code for code in StatusCode if code is not StatusCode.OK])
def test_an_error_has_firestores_code(name: str, send: Callable[[Connection, float], object], code: StatusCode) -> None:
    """Firestore's message, which may quote data, is in the cause only."""
    with always(aborting(code)).connected() as connection, pytest.raises(StoreError) as caught:
        send(connection, 5)
    assert caught.value.code == code
    assert "ann" not in str(caught.value)
    assert isinstance(caught.value.__cause__, grpc.RpcError)
    assert "ann" in str(caught.value.__cause__)


# Firestore's own messages, from public reports.
NO_DATABASE = (
    "The database (default) does not exist for project demo Please visit "
    "https://console.cloud.google.com/datastore/setup?project=demo to add a Cloud Datastore database."
)
INDEX_LINK = "https://console.firebase.google.com/v1/r/project/demo/firestore/indexes?create_composite=Ck9wcm9qZWN0"
REFUSALS = [
    (
        StatusCode.NOT_FOUND,
        NO_DATABASE,
        "FIRESTORE_DATABASE",
        "https://console.cloud.google.com/datastore/setup?project=demo",
    ),
    (
        StatusCode.FAILED_PRECONDITION,
        f"The query requires an index. That index is currently building. See its status here: {INDEX_LINK}",
        "until the index is built",
        INDEX_LINK,
    ),
    (
        StatusCode.FAILED_PRECONDITION,
        "The Cloud Firestore API is not available for Firestore in Datastore Mode database projects/demo/databases/x.",
        "Native mode",
        "",
    ),
    (
        StatusCode.PERMISSION_DENIED,
        "Cloud Firestore API has not been used in project 5 before or it is disabled. Enable it by visiting "
        "https://console.developers.google.com/apis/api/firestore.googleapis.com/overview?project=5 then retry.",
        "enable the Firestore API",
        "https://console.developers.google.com/apis/api/firestore.googleapis.com/overview?project=5",
    ),
    (StatusCode.PERMISSION_DENIED, "Missing or insufficient permissions.", "Cloud Datastore User", ""),
    (StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials.", "credentials", ""),
]


@pytest.mark.parametrize(("code", "words", "advice", "link"), REFUSALS)
@pytest.mark.parametrize("name", ["BatchGetDocuments", "RunQuery", "RunQuery as a stream"])
def test_a_read_that_only_an_operator_can_fix_says_how(
    name: str, code: StatusCode, words: str, advice: str, link: str
) -> None:
    """The advice has Google's link, if there is one, and nothing else of Firestore's message."""
    with always(aborting(code, f"{words} secret")).connected() as connection, pytest.raises(StoreError) as caught:
        ROUND_TRIPS[name](connection, 5)
    said = caught.value.advice or ""
    assert advice in said
    assert said.endswith(link)
    assert "secret" not in said


@pytest.mark.parametrize(
    ("code", "words", "is_operators"),
    [
        (StatusCode.NOT_FOUND, NO_DATABASE, True),
        (StatusCode.NOT_FOUND, "The project demo does not exist or it does not contain an active database.", True),
        (StatusCode.PERMISSION_DENIED, "Missing or insufficient permissions.", True),
        (StatusCode.NOT_FOUND, "No document to update: projects/demo/databases/(default)/documents/users/ann", False),
        (StatusCode.NOT_FOUND, f"No document to update: projects/demo/documents/users/{NO_DATABASE}", False),
        (StatusCode.NOT_FOUND, "", False),
        (StatusCode.FAILED_PRECONDITION, "the stored version (1) does not match the required base version (5)", False),
        (StatusCode.ABORTED, "", False),
        (StatusCode.UNAVAILABLE, "", False),
    ],
)
def test_a_conflict_is_not_for_the_operator(code: StatusCode, words: str, is_operators: bool) -> None:
    """A commit's NOT_FOUND means a deleted document, unless Firestore says that there is no database."""
    with always(aborting(code, words)).connected() as connection, pytest.raises(StoreError) as caught:
        ROUND_TRIPS["Commit"](connection, 5)
    assert bool(caught.value.advice) is is_operators


class Revoked(google.auth.credentials.Credentials):
    """Credentials that get no token any more."""

    def __init__(self, words: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._words = words

    def refresh(self, request: Any) -> None:
        raise RefreshError(self._words)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("invalid_grant: Token has been expired or revoked.", StatusCode.UNAUTHENTICATED),
        ("Reauthentication is needed.", StatusCode.UNAUTHENTICATED),
        ("Failed to retrieve http://metadata.google.internal", StatusCode.UNAVAILABLE),
    ],
)
def test_revoked_credentials_are_not_an_outage(words: str, code: StatusCode) -> None:
    """gRPC reports every error while it gets a token as UNAVAILABLE; a retry helps against some of them only."""
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        port = server.add_secure_port("localhost:0", grpc.local_server_credentials())
        server.start()
        plugin = google.auth.transport.grpc.AuthMetadataPlugin(Revoked(words), None)
        call_credentials = grpc.metadata_call_credentials(plugin)
        credentials = grpc.composite_channel_credentials(grpc.local_channel_credentials(), call_credentials)
        with grpc.secure_channel(f"localhost:{port}", credentials) as channel, pytest.raises(StoreError) as caught:
            Connection("demo", channel).batch_get(["a/x"], 5)
        server.stop(None).wait()
    assert caught.value.code == code
    assert bool(caught.value.advice) is (code is StatusCode.UNAUTHENTICATED)


@round_trips
def test_silence_ends_with_the_timeout(name: str, send: Callable[[Connection, float], object]) -> None:
    """A server that never answers does not block its caller."""
    over = threading.Event()

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        over.wait(10)
        return iter(())

    with always(answer).connected() as connection:
        started = time.monotonic()
        with pytest.raises(StoreError) as caught:
            send(connection, 0.2)
        over.set()
    assert caught.value.code == StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 5


@round_trips
def test_a_refused_connection_is_unavailable(name: str, send: Callable[[Connection, float], object]) -> None:
    """Nothing listens on the port."""
    connection = connect("demo", {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1"})
    with pytest.raises(StoreError) as caught:
        send(connection, 5)
    assert caught.value.code == StatusCode.UNAVAILABLE


@pytest.mark.parametrize("name", ["BatchGetDocuments", "RunQuery", "RunQuery as a stream"])
def test_a_stream_that_breaks_gives_nothing(name: str) -> None:
    """A part of an answer is never used as the whole."""

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield missing("a/x") if name == "BatchGetDocuments" else found("a/x")
        context.abort(StatusCode.UNAVAILABLE, "cut")

    with always(answer).connected() as connection, pytest.raises(StoreError) as caught:
        ROUND_TRIPS[name](connection, 5)
    assert caught.value.code == StatusCode.UNAVAILABLE


def test_a_stream_that_is_given_up_is_cancelled() -> None:
    """The server stops at once instead of at the timeout."""
    given_up = threading.Event()
    with FakeFirestore(run_query=endless(given_up)).connected() as connection:
        rows = connection.stream(Query("a"), ["n"], 60)
        assert next(rows) == {"n": 0}
        rows.close()
        assert given_up.wait(5)


def test_a_fold_that_fails_cancels_its_stream() -> None:
    """The caller's own error ends the call, even while its traceback is still referenced."""
    given_up = threading.Event()

    def fail(rows: list[Row], row: Row) -> None:
        raise ZeroDivisionError

    with FakeFirestore(run_query=endless(given_up)).connected() as connection:
        store = Store(lambda: connection, RetryPolicy(max_seconds=180))
        with pytest.raises(ZeroDivisionError) as caught:
            store.fold(Query("a"), ["n"], list, fail)
        assert given_up.wait(5), caught


def test_queries_beside_one_that_failed_are_cancelled() -> None:
    """Nobody needs their answers any more."""
    under_way, given_up = threading.Event(), threading.Event()

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        if request.structured_query.from_[0].collection_id == "a":
            under_way.wait(10)
            context.abort(StatusCode.PERMISSION_DENIED, "no")
        for document in endless(given_up)(request, context):
            under_way.set()
            yield document

    with FakeFirestore(run_query=answer).connected() as connection:
        with pytest.raises(StoreError):
            connection.run_queries([Query("a"), Query("b")], 60)
        assert given_up.wait(5)


def test_a_fast_answer_arrives_before_a_slow_one() -> None:
    """Threads that share a connection do not wait for each other."""
    slow_may_end = threading.Event()

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        if request.documents[0].endswith("/slow"):
            slow_may_end.wait(10)
        yield messages.BatchGetDocumentsResponse(missing=request.documents[0])

    def read(path: str) -> list[str]:
        return list(connection.batch_get([path], 20))

    with FakeFirestore(batch_get=answer).connected() as connection, ThreadPoolExecutor(32) as threads:
        slow = threads.submit(read, "a/slow")
        paths = [f"a/{number}" for number in range(200)]
        assert list(threads.map(read, paths)) == [[path] for path in paths]
        assert not slow.done()
        slow_may_end.set()
        assert slow.result(10) == ["a/slow"]


@pytest.mark.parametrize(
    ("project", "environ", "used"),
    [
        ("given", {"GOOGLE_CLOUD_PROJECT": "other"}, "given"),
        (None, {"GOOGLE_CLOUD_PROJECT": "one", "GCLOUD_PROJECT": "two"}, "one"),
        (None, {"GCLOUD_PROJECT": "two"}, "two"),
    ],
)
def test_the_emulators_project_is_given_or_the_environments(
    monkeypatch: pytest.MonkeyPatch, project: str | None, environ: Mapping[str, str], used: str
) -> None:
    """The emulator needs no credentials; the environment names the project if the caller does not."""
    hosts: list[str] = []

    def insecure(host: str, options: Any) -> "FakeChannel":
        hosts.append(host)
        return FakeChannel()

    monkeypatch.setattr("grpc.insecure_channel", insecure)
    connection = connect(project, {**environ, "FIRESTORE_EMULATOR_HOST": "127.0.0.1:8080"})
    assert (hosts, FakeChannel.sent_to(connection)) == (["127.0.0.1:8080"], used)


@pytest.mark.parametrize(("project", "used"), [("given", "given"), (None, "credentials-project")])
def test_production_is_reached_unless_an_emulator_is_set(
    monkeypatch: pytest.MonkeyPatch, project: str | None, used: str
) -> None:
    """Then it is Google's Firestore, with the environment's credentials and the reconnecting channel."""
    channels: list[Any] = []

    def secure(credentials: Any, request: Any, target: str, options: Any) -> "FakeChannel":
        channels.append((credentials, target, options))
        return FakeChannel()

    credentials = AnonymousCredentials()
    monkeypatch.setattr("google.auth.default", lambda scopes: (credentials, "credentials-project"))
    monkeypatch.setattr("google.auth.transport.grpc.secure_authorized_channel", secure)
    assert FakeChannel.sent_to(connect(project, {"GOOGLE_CLOUD_PROJECT": "unused"})) == used
    assert channels == [(credentials, "firestore.googleapis.com:443", CHANNEL_OPTIONS)]


@pytest.mark.parametrize("environ", [{}, {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:8080"}])
def test_the_database_is_the_settings(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> None:
    """This holds in production and in the emulator."""
    monkeypatch.setattr("google.auth.default", lambda scopes: (AnonymousCredentials(), None))
    for name in ("grpc.insecure_channel", "google.auth.transport.grpc.secure_authorized_channel"):
        monkeypatch.setattr(name, lambda *args, **named: FakeChannel())
    connect("demo", environ, database="second").batch_get(["a/x"], 5)
    assert FakeChannel.databases[-1] == "projects/demo/databases/second"


def test_no_project_at_all_is_an_error() -> None:
    """The error names the variable to set."""
    with pytest.raises(StoreError) as caught:
        connect(None, {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:8080"})
    assert "GOOGLE_CLOUD_PROJECT" in (caught.value.advice or "")


class FakeChannel:
    """A channel that remembers the last database it was asked for."""

    databases: list[str] = []  # noqa: RUF012 - shared on purpose

    def unary_stream(self, method: str, **options: Any) -> Callable[..., Iterator[Any]]:
        def call(request: Any, timeout: float, metadata: Any) -> Iterator[Any]:
            self.databases.append(dict(metadata)["google-cloud-resource-prefix"])
            return iter(())

        return call

    unary_unary = unary_stream

    @classmethod
    def sent_to(cls, connection: Connection) -> str:
        """The project of the database that the connection asks."""
        connection.batch_get(["a/x"], 5)
        return cls.databases[-1].split("/")[1]
