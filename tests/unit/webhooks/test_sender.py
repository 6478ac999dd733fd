"""One attempt at a webhook, on real sockets: every way in which a receiver can answer, and not answer."""

import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook

from tests.support.raw_server import HEAD, Act, Drip, hang_up, raw_server, reset, sending
from tests.unit.webhooks.helpers import SECRET
from tests.unit.webhooks.test_messages import DELIVERY
from webhooks import messages
from webhooks.sender import AttemptResult, Receiver, send

SHORT_SECONDS = 0.3


def answer_of(act: Act, timeout_seconds: float = 5.0) -> AttemptResult:
    with raw_server(act) as url:
        return send(Receiver(f"{url}/s3cret", SECRET), DELIVERY, datetime.now(UTC), timeout_seconds)


def test_a_receiver_gets_what_it_can_verify(httpserver: HTTPServer) -> None:
    """The whole of it, with the stock library."""
    httpserver.expect_request("/hook", method="POST").respond_with_data("ok")
    answer = send(Receiver(httpserver.url_for("/hook"), SECRET), DELIVERY, datetime.now(UTC))
    assert answer == AttemptResult("200", is_success=True)
    ((request, _),) = httpserver.log
    assert request.get_data() == messages.body(DELIVERY)
    assert Webhook(SECRET).verify(request.get_data(), dict(request.headers))["type"] == DELIVERY.type
    assert request.content_type == "application/json"


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, AttemptResult("200", is_success=True)),
        (202, {}, AttemptResult("202", is_success=True)),
        (204, {}, AttemptResult("204", is_success=True)),
        (299, {}, AttemptResult("299", is_success=True)),
        (301, {"Location": "/"}, AttemptResult("redirect 301")),
        (302, {"Location": "/"}, AttemptResult("redirect 302")),
        (308, {"Location": "/"}, AttemptResult("redirect 308")),
        (304, {}, AttemptResult("status 304")),
        (400, {}, AttemptResult("status 400")),
        (404, {}, AttemptResult("status 404")),
        (410, {}, AttemptResult("status 410")),
        (429, {"Retry-After": "3600"}, AttemptResult("status 429")),
        (500, {}, AttemptResult("status 500")),
        (503, {"Retry-After": "3600"}, AttemptResult("status 503")),
    ],
)
def test_only_2xx_is_success(
    httpserver: HTTPServer, status: int, headers: Mapping[str, str], expected: AttemptResult
) -> None:
    """A redirect is named and not followed, and nothing is sent twice."""
    httpserver.expect_request("/hook").respond_with_data("", status=status, headers=headers)
    httpserver.expect_request("/").respond_with_data("followed")
    assert send(Receiver(httpserver.url_for("/hook"), SECRET), DELIVERY, datetime.now(UTC)) == expected
    assert len(httpserver.log) == 1


@pytest.mark.parametrize("act", [reset, hang_up, sending(b"what?\r\n\r\n")])
def test_a_broken_connection_is_named_by_its_error(act: Act) -> None:
    """The message of the library is not kept: it quotes the address."""
    answer = answer_of(act)
    assert not answer.is_success
    assert answer.words.isidentifier()


@pytest.mark.parametrize(
    ("begin", "byte"),
    [(b"HTTP/1.1 200 OK\r\nX: ", b"x"), (b"", b"H"), (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2", b"0")],
)
def test_a_server_that_drips_is_given_up_in_time(begin: bytes, byte: bytes) -> None:
    """Each byte would start the socket's own time-out again."""
    start = time.monotonic()
    assert answer_of(Drip(begin, byte), SHORT_SECONDS) == AttemptResult("no answer in time")
    assert time.monotonic() - start < SHORT_SECONDS + 2


def hang(connection: socket.socket, request: bytes) -> None:
    """Takes the request and says nothing until the client goes."""
    connection.recv(1)


def test_a_server_that_hangs_is_given_up_in_time() -> None:
    """It has taken the request."""
    start = time.monotonic()
    assert answer_of(hang, SHORT_SECONDS) == AttemptResult("no answer in time")
    assert time.monotonic() - start < SHORT_SECONDS + 2


def test_the_body_of_the_answer_is_not_read() -> None:
    """However long it drips: the status says all."""
    assert answer_of(Drip(HEAD + b"\r\n", b"x")) == AttemptResult("200", is_success=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://a..b/s3cret",
        f"http://{'a' * 300}.example/s3cret",
        "http://127.0.0.1:9/s3cret",
        "http://no.invalid/s3cret",
        "http://[/s3cret",
    ],
)
def test_an_address_that_cannot_be_reached_fails_softly(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    """With the name of an error, which does not quote the address: it is a credential."""
    answer = send(Receiver(url, SECRET), DELIVERY, datetime.now(UTC))
    assert not answer.is_success
    assert answer.words.isidentifier() or answer.words == "no answer in time"
    assert "s3cret" not in "".join(capfd.readouterr()) + answer.words


def test_what_cannot_be_sent_is_an_answer_too() -> None:
    """A value that is not JSON would otherwise end the attempt without a record."""
    odd = replace(DELIVERY, data={"x": object()})
    assert send(Receiver("http://127.0.0.1:9", SECRET), odd, datetime.now(UTC)) == AttemptResult("TypeError")


def test_neither_address_nor_secret_is_shown() -> None:
    """In no message and no log line that shows a receiver."""
    assert "s3cret" not in repr(Receiver("https://x/s3cret", "s3cret"))
