"""The sweep that a start calls, since no emulator calls scheduled functions."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import pytest

from dev.sweeps import sweeping
from tests.support.raw_server import HEAD, Act, hang_up, raw_server, sending
from tests.support.servers import wait_until

OK = HEAD + b"Content-Length: 0\r\n\r\n"
UNAVAILABLE = OK.replace(b"200 OK", b"503 Unavailable")
MISSING = OK.replace(b"200 OK", b"404 Not Found")


class Scheduled:
    """The functions of a run: acts on each call as it is told, and keeps what was asked."""

    def __init__(self, act: Act) -> None:
        self.act = act
        self.asked: list[bytes] = []

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        self.asked.append(request)
        self.act(connection, request)

    @contextmanager
    def swept(self, interval_seconds: float) -> Iterator[list[str]]:
        """What is said while it is swept."""
        said: list[str] = []
        with raw_server(self) as url, sweeping(f"{url}/project/region", said.append, interval_seconds):
            yield said

    def wait_for_calls(self, count: int) -> None:
        wait_until(lambda: len(self.asked) >= count, f"call {count} of the sweep")


def test_it_is_called_at_once_and_again_each_interval() -> None:
    """By the name that the Functions emulator gives it."""
    functions = Scheduled(sending(OK))
    with functions.swept(0.02) as said:
        functions.wait_for_calls(3)
    assert said == []
    assert {request.splitlines()[0] for request in functions.asked} == {
        b"POST /project/region/releaseExpiredReservations-0 HTTP/1.1"
    }
    assert all(request.endswith(b"\r\n\r\n{}") for request in functions.asked)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (sending(UNAVAILABLE), "status 503"),
        (sending(MISSING), "status 404"),
        (hang_up, "RemoteDisconnected"),
        (sending(b"?\r\n\r\n"), "BadStatusLine"),
    ],
)
def test_a_failure_is_said_once_and_it_goes_on(act: Act, words: str) -> None:
    """However often it fails."""
    functions = Scheduled(act)
    with functions.swept(0.02) as said:
        functions.wait_for_calls(4)
    assert said == [
        f"releaseExpiredReservations, which should run every minute, failed: {words}. It is tried again; the log may "
        "say why."
    ]


def test_the_end_waits_for_no_call_and_calls_no_more() -> None:
    """The user has pressed Ctrl-C, and a call that is broken off by it has not failed."""
    is_waiting, may_go_on = Event(), Event()

    def keep_waiting(connection: socket.socket, request: bytes) -> None:
        is_waiting.set()
        may_go_on.wait(30)

    functions = Scheduled(keep_waiting)
    said: list[str] = []
    with raw_server(functions) as url:
        with sweeping(url, said.append, 0):
            assert is_waiting.wait(30)
        may_go_on.set()
    assert (len(functions.asked), said) == (1, [])
