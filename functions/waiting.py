"""Waits for work that cannot be trusted to end, such as talking to somebody else's server.

It runs in another thread, since a time-out of a socket starts again with each byte that arrives, and names of hosts and
credentials are looked up with time-outs of their own.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


class TookTooLong(Exception):
    """The work did not end in time. If it had begun, it goes on, and nobody waits for it."""


class Threads:
    """Threads for short work, at most `max_threads` at a time. More work waits for one, within its own time."""

    def __init__(self, max_threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(max_threads, thread_name_prefix=name)

    def within(self, seconds: float, work: Callable[[], T]) -> T:
        """As the function below."""
        future = self._threads.submit(work)
        try:
            return _result(future, seconds)
        finally:
            # What has not begun in time must not stand in line.
            future.cancel()


def within(seconds: float, work: Callable[[], T]) -> T:
    """What the work returns or raises, if it ends within that many seconds. It has a thread of its own.

    Raises:
        TookTooLong: it did not end in time.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        # The boundary of the thread: raised again below.
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return _result(future, seconds)


def _result(future: Future[T], seconds: float) -> T:
    if not wait([future], seconds).done:
        raise TookTooLong()
    return future.result()
