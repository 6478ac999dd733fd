"""Waits for work that cannot be trusted to end, such as talking to somebody else's server."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")


class TookTooLong(Exception):
    """The work did not end in time. It goes on, and nobody waits for it."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """What the work returns or raises, if it ends within that many seconds.

    It runs in a thread of its own, since a time-out of a socket starts again with each byte that arrives, and names of
    hosts and credentials are looked up with time-outs of their own.

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
    if not wait([future], seconds).done:
        raise TookTooLong()
    return future.result()
