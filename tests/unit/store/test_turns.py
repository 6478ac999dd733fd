"""Turns: one holder for each key, in order."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from errors import Unavailable
from store import turns as turns_module
from store.turns import Turns


def test_a_turn_excludes_others_of_its_key_only() -> None:
    """Two threads never hold the same key at once; another key does not wait."""
    turns, inside, highest = Turns(), [0], [0]
    guard = threading.Lock()

    def hold(_: int) -> None:
        with turns.taken("ann", 10):
            with guard:
                inside[0] += 1
                highest[0] = max(highest[0], inside[0])
            with turns.taken("bob", 10), guard:
                inside[0] -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(hold, range(200)))
    assert highest == [1]


def test_turns_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """First come, first served."""
    queued = threading.Semaphore(0)

    class Announced(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            queued.release()
            return super().wait(timeout)

    monkeypatch.setattr(turns_module, "Event", Announced)
    turns, served, waiting = Turns(), [], []

    def queue_up(number: int) -> None:
        with turns.taken("ann", 10):
            served.append(number)

    with turns.taken("ann", 10):
        queued.acquire()
        for number in range(5):
            thread = threading.Thread(target=queue_up, args=(number,))
            thread.start()
            waiting.append(thread)
            # Each one is in the queue before the next one starts.
            assert queued.acquire(timeout=10)
    for thread in waiting:
        thread.join()
    assert served == [0, 1, 2, 3, 4]


def test_a_turn_that_does_not_come_is_given_up() -> None:
    """Waiting has a time limit, and a thread that gave up does not block the next one."""
    turns = Turns()
    with turns.taken("ann", 1), pytest.raises(Unavailable), turns.taken("ann", 0.01):
        pass
    with turns.taken("ann", 0.01):
        pass


def test_a_turn_ends_with_an_error_too() -> None:
    """The exception is raised, and the next thread gets the turn."""
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.taken("ann", 1):
        raise ZeroDivisionError
    with turns.taken("ann", 0.01):
        pass
