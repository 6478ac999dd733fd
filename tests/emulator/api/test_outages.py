"""Firestore or Firebase Authentication goes away, or answers too slowly."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.assembly import in_process
from tests.support.contract import ORDER, error_of, order
from tests.support.identities import Account
from tests.support.projects import Project
from tests.support.proxies import FirestoreProxy
from tests.support.servers import FunctionServer


def test_firestore_away_is_an_honest_503_and_the_next_call_works(project: Project) -> None:
    """Away at the first call: 503 with Retry-After. Back: the next call succeeds. Away and back again: the same."""
    user_id = project.add_user(10)
    with (
        FirestoreProxy() as proxy,
        FunctionServer(
            "createGenerationRequest", project.id, FIRESTORE_EMULATOR_HOST=proxy.host, TIMEOUT_SECONDS="6"
        ) as server,
    ):
        for left in (9, 8):
            response = server.post(order(user_id))
            error = error_of(response)
            assert (response.status_code, error["status"]) == (503, "UNAVAILABLE")
            assert int(response.headers["Retry-After"]) > 0
            # With it the client can ask what became of the purchase.
            assert error["details"]["idempotencyKey"]
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
def test_a_token_that_nobody_checks_in_time_buys_nothing(
    project: Project, drips: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Firebase Authentication silent, or dripping: an honest 503 with Retry-After, and nothing is written."""
    buyer = Account.new(project.id)
    project.add_user(10, buyer.user_id)
    before = project.everything()
    with listener(drips) as host:
        monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", host)
        create = in_process(project, REQUIRE_AUTH="true", TIMEOUT_SECONDS="2").of("createGenerationRequest")
        began = time.monotonic()
        response = create.post(ORDER, buyer.headers())
        assert (response.status_code, error_of(response)["status"]) == (503, "UNAVAILABLE")
        assert int(response.headers["Retry-After"]) > 0
        assert time.monotonic() - began < 2
    assert project.everything() == before
