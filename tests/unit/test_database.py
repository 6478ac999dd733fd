"""Turns and retries."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials

from builders import Clock, impatient
from database import Answer, Turns, connect
from errors import Unavailable
from memory import MemoryDatabase


def test_a_turn_excludes_others_of_its_key_only() -> None:
    """Two threads never hold the same key at once, and another key does not wait."""
    turns, inside, most = Turns(), [0], [0]
    guard = threading.Lock()

    def hold(_: int) -> None:
        with turns.taken("ann", 10):
            with guard:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with turns.taken("bob", 10), guard:
                inside[0] -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(hold, range(200)))
    assert most == [1]


def test_turns_come_in_order() -> None:
    """First come, first served."""
    turns, served, waiting = Turns(), [], []

    def queue_up(number: int) -> None:
        with turns.taken("ann", 10):
            served.append(number)

    with turns.taken("ann", 10):
        for number in range(5):
            thread = threading.Thread(target=queue_up, args=(number,))
            thread.start()
            waiting.append(thread)
            while len(turns._queues["ann"]) < number + 2:
                pass
    for thread in waiting:
        thread.join()
    assert served == [0, 1, 2, 3, 4]


def test_a_turn_that_does_not_come_is_given_up() -> None:
    """Waiting is bounded, and the one who gave up does not block the next."""
    turns = Turns()
    with turns.taken("ann", 1), pytest.raises(Unavailable), turns.taken("ann", 0.01):
        pass
    with turns.taken("ann", 0.01):
        pass
    assert turns._queues == {}


@pytest.mark.parametrize("error", [exceptions.PermissionDenied, exceptions.NotFound, exceptions.FailedPrecondition])
def test_a_read_that_cannot_succeed_is_not_tried_again(error: type[Exception]) -> None:
    """No database, no index or no permission surfaces at once."""
    db, tries = MemoryDatabase(Clock(), impatient()), []

    def refuse(name: str) -> None:
        tries.append(name)
        raise error("no")

    db.before_rpc = refuse
    with pytest.raises(error):
        db.read(["users/ann"])
    assert len(tries) == 1


def test_an_answer_writes_nothing() -> None:
    """A plan that answers ends the transaction after its read."""
    db = MemoryDatabase(Clock(), impatient())
    assert db.run_transaction(["users/ann"], lambda documents: Answer(documents["users/ann"].data)) is None
    assert db.everything() == {}


def test_production_is_reached_unless_an_emulator_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without FIRESTORE_EMULATOR_HOST the client is for Google's Firestore, with the reconnecting channel."""
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    monkeypatch.setattr("google.auth.default", lambda **_: (AnonymousCredentials(), "some-project"))
    client = connect("some-project")
    assert client._firestore_api.transport.host == "firestore.googleapis.com:443"
    assert client.project == "some-project"
