"""When a start says that it is ready: only once a function has read the catalog for a user of this run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from dev import Problem
from dev.ports import free_ports
from dev.readiness import Readiness

USER = {"localId": "u1", "idToken": "t1"}
OFFER = "Invalid style '?'. Available styles: anime, sketch"


class Emulators:
    """Answers for the Auth emulator, and with `answer` for every function."""

    def __init__(self) -> None:
        self.answer: tuple[int, str, str] = (404, "text/html", "not yet")
        self.received: list[tuple[str, Any, str | None]] = []

    def error(self, status: int, message: str) -> None:
        self.answer = (status, "application/json", json.dumps({"error": {"message": message}}))

    def reply(self, path: str, body: Any, authorization: str | None) -> tuple[int, str, str]:
        self.received.append((path, body, authorization))
        return self.answer if path.startswith("/project/") else (200, "application/json", json.dumps(USER))


@contextmanager
def served(emulators: Emulators) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, kind, text = emulators.reply(self.path, body, self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def emulators() -> Emulators:
    return Emulators()


@pytest.fixture
def readiness(emulators: Emulators) -> Iterator[Readiness]:
    with served(emulators) as url:
        yield Readiness(f"{url}/project/region", url, require_app_check=False)


def test_it_is_ready_once_a_function_lists_the_catalog(emulators: Emulators, readiness: Readiness) -> None:
    """It asks with the token of a user whom it signs up for this, once, and deletes afterwards."""
    assert not readiness.reached()
    emulators.error(400, OFFER)
    assert readiness.reached()
    paths = [path.rpartition("/")[2] for path, _, _ in emulators.received]
    assert paths == ["accounts:signUp?key=any", "quoteGeneration?", "quoteGeneration?", "accounts:delete?key=any"]
    [asked] = {(body["userId"], token) for path, body, token in emulators.received if path.startswith("/project/")}
    assert asked == ("u1", "Bearer t1")


def test_it_waits_while_the_catalog_cannot_be_read(emulators: Emulators, readiness: Readiness) -> None:
    """A 503 means that it is not ready yet, and its message is kept for the operator."""
    emulators.error(503, "The catalog could not be read.")
    assert not readiness.reached()
    assert readiness.last == "quoteGeneration answered 503: The catalog could not be read."


@pytest.mark.parametrize(
    ("status", "message"), [(401, "Invalid token."), (400, "Another mistake."), (500, "Internal.")]
)
def test_an_answer_that_waiting_does_not_better_is_a_problem(
    emulators: Emulators, readiness: Readiness, status: int, message: str
) -> None:
    """A function of another project refuses the token, for one."""
    emulators.error(status, message)
    with pytest.raises(
        Problem, match=f"The functions cannot sell anything. quoteGeneration answered {status}: {message}"
    ):
        readiness.reached()


def test_with_app_check_a_refusal_is_as_far_as_a_call_gets(emulators: Emulators) -> None:
    """Nobody can have an app's token on this machine."""
    emulators.error(401, "Send an App Check token.")
    with served(emulators) as url:
        assert Readiness(f"{url}/project/region", url, require_app_check=True).reached()


def test_it_waits_while_nothing_listens() -> None:
    """Neither Auth nor the functions."""
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    assert not Readiness(f"{url}/project/region", url, require_app_check=False).reached()
