"""Firestore or Firebase Authentication goes away, or answers too slowly."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from contract import ORDER, error_of, order
from identities import Account
from projects import Project
from proxies import FirestoreProxy
from servers import FunctionServer


def test_firestore_away_is_an_honest_503_and_the_next_call_works(project: Project) -> None:
    """Away at the first call: 503 with Retry-After. Back: the next call succeeds. Away and back again: the same."""
    user_id = project.add_user(10)
    with (
        FirestoreProxy() as proxy,
        FunctionServer(
            "createGenerationRequest", project.id, FIRESTORE_EMULATOR_HOST=proxy.host, TIMEOUT_SECONDS="8"
        ) as server,
    ):
        for left in (9, 8):
            response = server.post(order(user_id))
            assert (response.status_code, error_of(response)["status"]) == (503, "UNAVAILABLE")
            assert int(response.headers["Retry-After"]) > 0
            proxy.up()
            assert server.post(order(user_id)).status_code == 200
            assert project.balance(user_id) == left
            proxy.down()
        assert "internal error" not in server.log()


@contextlib.contextmanager
def listener(drips: bool) -> Iterator[str]:
    """A host that takes connections and says nothing, or one byte after the other of an answer without end."""
    over = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            connection, _ = server.accept()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not over.wait(0.1):
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, daemon=True)
        if drips:
            thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        over.set()


@pytest.mark.parametrize("drips", [False, True])
def test_a_token_that_nobody_checks_in_time_buys_nothing(project: Project, drips: bool) -> None:
    """Firebase Authentication silent, or dripping: an honest 503 with Retry-After, and nothing is written."""
    buyer = Account.new(project.id)
    project.add_user(10, buyer.user_id)
    before = project.everything()
    with (
        listener(drips) as host,
        FunctionServer(
            "createGenerationRequest",
            project.id,
            REQUIRE_AUTH="true",
            FIREBASE_AUTH_EMULATOR_HOST=host,
            TIMEOUT_SECONDS="4",
        ) as server,
    ):
        response = server.post(ORDER, headers=buyer.headers())
        assert (response.status_code, error_of(response)["status"]) == (503, "UNAVAILABLE")
        assert int(response.headers["Retry-After"]) > 0
    assert project.everything() == before
