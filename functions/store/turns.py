"""Turns within this process, so that one user's requests do not conflict with each other."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock

from errors import Unavailable


class Turns:
    """First come, first served for each key."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._queues: dict[str, deque[Event]] = {}

    @contextmanager
    def taken(self, key: str, timeout_seconds: float) -> Iterator[None]:
        """Waits for a turn of this key and holds it.

        Raises:
            Unavailable: the turn did not come in time.
        """
        turn = Event()
        with self._guard:
            queue = self._queues.setdefault(key, deque())
            queue.append(turn)
            queue[0].set()
        try:
            if not turn.wait(timeout_seconds):
                raise Unavailable("Too many requests at once. Try again.")
            yield
        finally:
            with self._guard:
                queue.remove(turn)
                if queue:
                    queue[0].set()
                else:
                    del self._queues[key]
