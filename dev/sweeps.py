"""Calls the sweep once a minute, as Cloud Scheduler does when deployed: no emulator calls scheduled functions."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

SWEEP = "releaseExpiredReservations"
INTERVAL_SECONDS = 60.0
ANSWER_SECONDS = 240.0


@contextmanager
def sweeping(
    functions_url: str, say: Callable[[str], None], interval_seconds: float = INTERVAL_SECONDS
) -> Iterator[None]:
    """Inside, the sweep is called now and once an interval. The first failure is said, and no call is waited for."""
    stopped = threading.Event()
    # A daemon, since a call that is under way may take minutes.
    threading.Thread(target=_sweep, args=(functions_url, say, interval_seconds, stopped), daemon=True).start()
    try:
        yield
    finally:
        stopped.set()


def _sweep(functions_url: str, say: Callable[[str], None], interval_seconds: float, stopped: threading.Event) -> None:
    has_said = False
    while not stopped.is_set():
        failure = _failure(f"{functions_url}/{SWEEP}-0")
        # A call that the stop broke off has not failed.
        if failure and not has_said and not stopped.is_set():
            say(f"{SWEEP}, which should run every minute, failed: {failure}. It is tried again; the log may say why.")
            has_said = True
        stopped.wait(interval_seconds)


def _failure(url: str) -> str | None:
    """Calls it. What went wrong, if anything."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=ANSWER_SECONDS)
    try:
        connection.request("POST", parts.path, "{}", {"Content-Type": "application/json"})
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()
    return None if status == 200 else f"status {status}"
