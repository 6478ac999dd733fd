"""Transactions: what they commit, repeat, give up and pass on."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from grpc import StatusCode

from errors import Unavailable
from store import Answer, Commit, Deadline, Document, Query, QueryFirst, RetryPolicy, StoreError, Version, Write
from store.retries import CONFLICTS, UNCLEAR
from tests.support.memory import MemoryStore
from tests.unit.store.helpers import adding, impatient, now

ALL_CONFLICTS = [code for code in StatusCode if code in CONFLICTS]
ALL_UNCLEAR = [code for code in StatusCode if code in UNCLEAR]
FINAL = [code for code in StatusCode if code not in CONFLICTS | UNCLEAR | {StatusCode.OK}]
MISSING = Document("numbers/a", None, None)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(now, impatient())


def failing(name: str, *codes: StatusCode) -> Callable[[str], None]:
    """A hook that fails this round trip with these codes in turn."""
    left = list(codes)

    def fail(rpc: str) -> None:
        if rpc == name and left:
            raise StoreError(left.pop(0))

    return fail


def sent_by(store: MemoryStore) -> list[str]:
    """The names of the round trips from now on."""
    sent: list[str] = []
    store.before_rpc = sent.append
    return sent


def creating(attempt_id: str) -> Callable[[Mapping[str, Document]], Commit[str] | Answer[str]]:
    """Creates numbers/a once and recognises its own earlier attempt."""

    def plan(documents: Mapping[str, Document]) -> Commit[str] | Answer[str]:
        existing = documents["numbers/a"]
        if existing.exists:
            return Answer("mine" if existing.fields["by"] == attempt_id else "another's")
        return Commit([Write("numbers/a", {"by": attempt_id})], lambda versions: "new")

    return plan


def test_an_answer_writes_nothing(store: MemoryStore) -> None:
    """A plan that answers ends the transaction after its read."""
    sent = sent_by(store)
    assert store.transact(["users/ann"], lambda documents: Answer(documents["users/ann"].data)) is None
    assert (store.everything(), sent) == ({}, ["BatchGetDocuments"])


def test_a_commit_writes_everything_or_nothing(store: MemoryStore) -> None:
    """One write whose condition fails keeps the others from being applied."""
    store.put("numbers/b", {})
    writes = [Write("numbers/a", {"n": 1}), Write("numbers/b", {"n": 1})]
    with pytest.raises(Unavailable):
        store.transact([], lambda documents: Commit(writes, lambda versions: None))
    assert store.everything() == {"numbers/b": {}}


def test_the_answer_gets_the_new_versions(store: MemoryStore) -> None:
    """The next write must name these versions."""

    def plan(documents: Mapping[str, Document]) -> Commit[Mapping[str, Version]]:
        return Commit([Write("numbers/a", {"n": 1}), Write("numbers/b", {"n": 1})], lambda versions: versions)

    versions = store.transact([], plan)
    assert versions == {path: document.version for path, document in store.read(["numbers/a", "numbers/b"]).items()}


def test_known_documents_save_the_read(store: MemoryStore) -> None:
    """It costs one round trip without a conflict; otherwise the documents are read."""
    sent = sent_by(store)
    assert store.transact(["numbers/a"], adding("numbers/a"), known={"numbers/a": MISSING}) == 1
    assert sent == ["Commit"]
    assert store.transact(["numbers/a"], adding("numbers/a"), known={"numbers/a": MISSING}) == 2
    assert sent == ["Commit", "Commit", "BatchGetDocuments", "Commit"]


def test_a_conflict_is_decided_again_on_what_is_there_now(store: MemoryStore) -> None:
    """A change by another process between read and commit is not overwritten."""
    other = store.beside()
    interferences = [5, 7]

    def interfere(name: str) -> None:
        if name == "Commit" and interferences:
            other.put("numbers/a", {"n": interferences.pop()})

    store.before_rpc = interfere
    assert store.transact(["numbers/a"], adding("numbers/a")) == 6
    assert store.everything() == {"numbers/a": {"n": 6}}


@pytest.mark.parametrize("code", ALL_CONFLICTS)
def test_lasting_conflicts_are_unavailable(store: MemoryStore, code: StatusCode) -> None:
    """The message says that there are too many changes; the code is kept for the log."""
    store.before_rpc = failing("Commit", *[code] * 1000)
    with pytest.raises(Unavailable, match="Too many changes") as caught:
        store.transact(["numbers/a"], adding("numbers/a"))
    assert isinstance(caught.value.__cause__, StoreError)
    assert caught.value.__cause__.code == code


@pytest.mark.parametrize("code", ALL_UNCLEAR)
def test_a_commit_whose_answer_was_lost_is_found(store: MemoryStore, code: StatusCode) -> None:
    """The plan recognises it, so it is applied once."""
    store.after_rpc = failing("Commit", code)
    assert store.transact(["numbers/a"], creating("me")) == "mine"


@pytest.mark.parametrize("code", ALL_UNCLEAR)
def test_a_commit_that_never_arrived_is_sent_again(store: MemoryStore, code: StatusCode) -> None:
    """A read shows that it was not applied."""
    store.before_rpc = failing("Commit", code)
    assert store.transact(["numbers/a"], creating("me")) == "new"


@pytest.mark.parametrize("code", FINAL)
def test_a_refusal_is_raised_after_one_check(store: MemoryStore, code: StatusCode) -> None:
    """Nothing was applied, and a retry would not help."""
    sent: list[str] = []
    fail = failing("Commit", *[code] * 1000)

    def refuse(name: str) -> None:
        sent.append(name)
        fail(name)

    store.before_rpc = refuse
    with pytest.raises(StoreError) as caught:
        store.transact(["numbers/a"], creating("me"))
    assert caught.value.code == code
    assert sent == ["BatchGetDocuments", "Commit", "BatchGetDocuments"]


def test_a_commit_without_a_database_is_not_a_conflict(store: MemoryStore) -> None:
    """An error that only an operator can fix is checked once and raised with its advice."""
    sent: list[str] = []

    def refuse(name: str) -> None:
        sent.append(name)
        if name == "Commit":
            raise StoreError(StatusCode.NOT_FOUND, "Create the database.")

    store.before_rpc = refuse
    with pytest.raises(StoreError) as caught:
        store.transact(["numbers/a"], creating("me"))
    assert caught.value.advice == "Create the database."
    assert sent == ["BatchGetDocuments", "Commit", "BatchGetDocuments"]


@pytest.mark.parametrize("code", FINAL)
def test_a_refusal_of_a_commit_that_was_applied_is_not_believed(store: MemoryStore, code: StatusCode) -> None:
    """A proxy may report any error after the write; a read finds the real outcome."""
    store.after_rpc = failing("Commit", code)
    assert store.transact(["numbers/a"], creating("me")) == "mine"


@pytest.mark.parametrize("code", [StatusCode.NOT_FOUND, StatusCode.FAILED_PRECONDITION, *FINAL])
def test_a_read_in_a_transaction_is_refused_as_any_read(store: MemoryStore, code: StatusCode) -> None:
    """A missing database or index is not a conflict: it is raised at once."""
    store.before_rpc = failing("BatchGetDocuments", code)
    with pytest.raises(StoreError) as caught:
        store.transact(["numbers/a"], adding("numbers/a"))
    assert caught.value.code == code


def test_silence_while_reading_is_waited_out(store: MemoryStore) -> None:
    """The read is sent again, and the plan does not notice."""
    store.before_rpc = failing("BatchGetDocuments", StatusCode.UNAVAILABLE, StatusCode.ABORTED)
    assert store.transact(["numbers/a"], adding("numbers/a")) == 1


def test_an_error_in_a_plan_is_the_callers(store: MemoryStore) -> None:
    """The error is raised, and nothing is written."""

    def plan(documents: Mapping[str, Document]) -> Answer[None]:
        raise ZeroDivisionError

    sent = sent_by(store)
    with pytest.raises(ZeroDivisionError):
        store.transact(["numbers/a"], plan)
    assert sent == ["BatchGetDocuments"]


def test_a_plan_can_run_queries_before_it_decides(store: MemoryStore) -> None:
    """The plan decides on the query's documents, and may ask for another query."""
    store.put("numbers/x", {"n": 1})
    store.put("letters/y", {"n": 2})
    sent = sent_by(store)

    def plan(documents: Mapping[str, Document]) -> QueryFirst[list[str]]:
        return QueryFirst(Query("numbers"), then_letters)

    def then_letters(numbers: list[Document]) -> QueryFirst[list[str]]:
        return QueryFirst(Query("letters"), lambda letters: then_write([*numbers, *letters]))

    def then_write(found: list[Document]) -> Commit[list[str]]:
        return Commit([Write("sums/z", {"n": len(found)})], lambda versions: [document.id for document in found])

    assert store.transact(["sums/z"], plan) == ["x", "y"]
    assert sent == ["BatchGetDocuments", "RunQuery", "RunQuery", "Commit"]


def test_a_plans_query_runs_again_after_a_conflict(store: MemoryStore) -> None:
    """The result of the query may have changed too."""
    store.before_rpc = failing("Commit", StatusCode.ABORTED)

    def plan(documents: Mapping[str, Document]) -> QueryFirst[int]:
        return QueryFirst(Query("numbers"), then)

    def then(found: list[Document]) -> Commit[int]:
        return Commit([Write("sums/z", {"n": len(found)})], lambda versions: len(found))

    other = store.beside()
    fail = failing("Commit", StatusCode.ABORTED)

    def interfere(name: str) -> None:
        if name == "Commit":
            other.put("numbers/x", {})
        fail(name)

    store.before_rpc = interfere
    assert store.transact(["sums/z"], plan) == 1
    assert len(store.queries) == 2


def test_a_plans_query_that_firestore_refuses_is_raised_at_once(store: MemoryStore) -> None:
    """A missing index is not a conflict."""
    store.before_rpc = failing("RunQuery", StatusCode.FAILED_PRECONDITION)
    with pytest.raises(StoreError):
        store.transact([], lambda documents: QueryFirst(Query("numbers"), lambda found: Answer(None)))


def test_a_passed_deadline_sends_nothing(store: MemoryStore) -> None:
    """Nothing is sent even if the documents are known."""
    sent = sent_by(store)
    with pytest.raises(Unavailable):
        store.transact(["numbers/a"], adding("numbers/a"), Deadline.after(0), known={"numbers/a": MISSING}, turn="ann")
    assert sent == []


@pytest.mark.parametrize(("deadline_seconds", "ended_seconds"), [(4, 4), (60, 15)])
def test_a_transaction_ends_at_the_sooner_of_its_limit_and_the_deadline(
    deadline_seconds: float, ended_seconds: float
) -> None:
    """This holds for any number of failed attempts, of any duration."""
    seconds = [0.0]

    def fail(name: str) -> None:
        seconds[0] += 0.5
        if name == "Commit":
            raise StoreError(StatusCode.ABORTED)

    policy = RetryPolicy(uniform=lambda low, high: 0.0, sleep=lambda pause: None, monotonic=lambda: seconds[0])
    store = MemoryStore(now, policy)
    store.before_rpc = fail
    with pytest.raises(Unavailable):
        store.transact(["numbers/a"], adding("numbers/a"), Deadline.after(deadline_seconds, lambda: seconds[0]))
    assert seconds[0] == ended_seconds


def test_waiting_for_a_turn_is_part_of_the_step() -> None:
    """A call gives up a turn that does not come before the deadline, and the next call gets it."""
    store = MemoryStore(now)

    def hold(documents: Mapping[str, Document]) -> Answer[None]:
        with pytest.raises(Unavailable, match="at once"):
            store.transact(["numbers/a"], adding("numbers/a"), Deadline.after(0.02), turn="ann")
        return Answer(None)

    store.transact(["numbers/a"], hold, turn="ann")
    assert store.transact(["numbers/a"], adding("numbers/a"), turn="ann") == 1


@pytest.mark.parametrize("turn", [None, "ann"])
def test_many_threads_lose_no_update(turn: str | None) -> None:
    """With a turn there is no conflict, so each update costs one commit."""
    store = MemoryStore(now, RetryPolicy(first_pause_seconds=0.001))
    commits: list[str] = []
    store.before_rpc = lambda name: commits.append(name) if name == "Commit" else None
    with ThreadPoolExecutor(8) as threads:
        totals = list(threads.map(lambda _: store.transact(["numbers/a"], adding("numbers/a"), turn=turn), range(80)))
    assert sorted(totals) == list(range(1, 81))
    assert len(commits) >= 80
    assert turn is None or len(commits) == 80
