"""Reads and queries: which errors are tried again, and the results."""

from collections.abc import Callable

import pytest
from google.auth.exceptions import DefaultCredentialsError
from grpc import StatusCode

from errors import Unavailable
from store import Connection, Deadline, Document, Query, RetryPolicy, Row, Store, StoreError
from tests.support.memory import MemoryStore
from tests.unit.store.helpers import impatient, now

FINAL = [
    StatusCode.PERMISSION_DENIED,
    StatusCode.UNAUTHENTICATED,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.UNIMPLEMENTED,
]
PASSING = [
    StatusCode.UNAVAILABLE,
    StatusCode.DEADLINE_EXCEEDED,
    StatusCode.INTERNAL,
    StatusCode.UNKNOWN,
    StatusCode.DATA_LOSS,
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.CANCELLED,
    StatusCode.ABORTED,
]
READS: list[Callable[[MemoryStore], object]] = [
    lambda store: store.read(["users/ann"]),
    lambda store: store.read_one("users/ann"),
    lambda store: store.query(Query("users")),
    lambda store: store.query_all([Query("users")]),
    lambda store: list(store.pages(Query("users", limit=1))),
    lambda store: store.sum(Query("users"), "n"),
    lambda store: store.fold(Query("users"), ["n"], list, add_row),
]


def add_row(rows: list[Row], row: Row) -> None:
    rows.append(row)


def failing(code: StatusCode, times: int) -> Callable[[str], None]:
    """A hook that fails this many times."""
    left = [code] * times

    def fail(name: str) -> None:
        if left:
            raise StoreError(left.pop())

    return fail


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore(now, impatient())
    for number in range(5):
        store.put(f"numbers/{number}", {"n": number // 2, "s": str(number)})
    return store


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("code", FINAL)
def test_a_read_that_cannot_succeed_is_not_tried_again(code: StatusCode, read: Callable[[MemoryStore], object]) -> None:
    """A missing database, index or permission is raised at once, with its code."""
    store, tries = MemoryStore(now, impatient()), []

    def refuse(name: str) -> None:
        tries.append(name)
        raise StoreError(code)

    store.before_rpc = refuse
    with pytest.raises(StoreError) as caught:
        read(store)
    assert (caught.value.code, len(tries)) == (code, 1)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("code", PASSING)
def test_a_read_is_tried_again_while_that_may_help(code: StatusCode, read: Callable[[MemoryStore], object]) -> None:
    """The caller does not notice two failures."""
    store = MemoryStore(now, impatient())
    store.put("users/ann", {"n": 1})
    expected = read(store)
    store.before_rpc = failing(code, 2)
    assert read(store) == expected


@pytest.mark.parametrize("read", READS)
def test_lasting_silence_is_unavailable(read: Callable[[MemoryStore], object]) -> None:
    """The read gives up when no time is left; Firestore's error is the cause."""
    store = MemoryStore(now, impatient())
    store.before_rpc = failing(StatusCode.UNAVAILABLE, 1000)
    with pytest.raises(Unavailable) as caught:
        read(store)
    assert isinstance(caught.value.__cause__, StoreError)


@pytest.mark.parametrize("read", [Store.read, Store.query_all])
def test_a_passed_deadline_sends_nothing(store: MemoryStore, read: Callable[..., object]) -> None:
    """The read is Unavailable before the first round trip."""
    sent: list[str] = []
    store.before_rpc = sent.append
    with pytest.raises(Unavailable):
        read(store, [], Deadline.after(0))
    assert sent == []


def test_a_deadline_ends_the_attempts() -> None:
    """The deadline may come before the policy's limit."""
    seconds = [0.0]

    def fail(name: str) -> None:
        seconds[0] += 1
        raise StoreError(StatusCode.UNAVAILABLE)

    limited = MemoryStore(now, RetryPolicy(uniform=lambda low, high: 0.0, monotonic=lambda: seconds[0]))
    limited.before_rpc = fail
    with pytest.raises(Unavailable):
        limited.read(["users/ann"], Deadline.after(3, lambda: seconds[0]))
    assert seconds[0] == 3


def test_documents_are_read_by_path(store: MemoryStore) -> None:
    """Documents that do not exist are included."""
    found = store.read(["numbers/1", "numbers/9"])
    assert found["numbers/1"].data == {"n": 0, "s": "1"}
    assert not found["numbers/9"].exists
    assert store.read_one("numbers/2").id == "2"


def test_pages_continue_after_the_last_document(store: MemoryStore) -> None:
    """Each document comes once, even if many share a value."""
    pages = list(store.pages(Query("numbers", order_by="n", descending=True, limit=2)))
    assert [[document.id for document in page] for page in pages] == [["4", "3"], ["2", "1"], ["0"]]


def test_a_query_can_look_back(store: MemoryStore) -> None:
    """A query as of an earlier read does not see later changes."""
    before = store.read_one("numbers/0")
    store.put("numbers/0", {"n": -1})
    store.put("numbers/5", {"n": 5})
    assert len(store.query(Query("numbers"))) == 6
    assert [document.fields["n"] for document in store.query(Query("numbers"), read_time=before.read_time)] == [
        0, 0, 1, 1, 2,
    ]  # fmt: skip


def test_a_sum_is_of_the_documents_that_match(store: MemoryStore) -> None:
    """What is not a number adds nothing, and nothing is 0."""
    store.put("numbers/5", {"n": "5", "m": True})
    assert store.sum(Query("numbers"), "n") == 4
    assert store.sum(Query("numbers", where=[("n", ">", 1)], order_by="n"), "n") == 2
    assert store.sum(Query("numbers"), "m") == store.sum(Query("nothing"), "n") == 0


def test_several_queries_keep_their_order(store: MemoryStore) -> None:
    """Each query has its own list."""
    equal = [Query("numbers", where=[("n", "==", number)]) for number in (2, 7, 0)]
    assert [[document.id for document in found] for found in store.query_all(equal)] == [["4"], [], ["0", "1"]]


def test_a_stream_that_breaks_is_folded_again_from_the_start(store: MemoryStore) -> None:
    """Rows from before the break are not added twice, and each row has only the named fields."""
    store.after_rpc = failing(StatusCode.UNAVAILABLE, 1)
    starts: list[list[Row]] = []

    def start() -> list[Row]:
        starts.append([])
        return starts[-1]

    folded = store.fold(Query("numbers", order_by="n"), ["n"], start, add_row)
    assert folded == [{"n": 0}, {"n": 0}, {"n": 1}, {"n": 1}, {"n": 2}]
    assert [len(rows) for rows in starts] == [5, 5]


def test_an_error_in_the_fold_is_the_callers() -> None:
    """The error is raised and the fold is not tried again."""
    store = MemoryStore(now, impatient())
    store.put("users/ann", {})

    def fail(value: list[Row], row: Row) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.fold(Query("users"), [], list, fail)


def test_a_store_connects_once_at_its_first_call() -> None:
    """Building it connects to nothing; after a failed connection the next call tries again."""

    class Fake(Connection):
        def __init__(self) -> None:
            pass

        def batch_get(self, paths: object, timeout_seconds: float) -> dict[str, Document]:
            return {"a/b": Document("a/b", None, None)}

    connections: list[Connection] = []

    def connect() -> Connection:
        connections.append(Fake())
        if len(connections) == 1:
            raise ValueError("no project")
        return connections[-1]

    store = Store(connect)
    assert connections == []
    with pytest.raises(ValueError, match="no project"):
        store.read_one("a/b")
    store.read_one("a/b")
    store.read_one("a/b")
    assert len(connections) == 2


def test_without_credentials_the_operator_is_told() -> None:
    """The error is the same as if Firestore had refused the credentials."""

    def connect() -> Connection:
        raise DefaultCredentialsError("no file")

    with pytest.raises(StoreError) as caught:
        Store(connect).read_one("a/b")
    assert caught.value.code is StatusCode.UNAUTHENTICATED
    assert caught.value.advice
