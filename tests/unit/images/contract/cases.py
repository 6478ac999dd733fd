"""Ways in which a provider fails, and what each has to become."""

import gzip
import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from pytest_httpserver import HTTPServer

from credits.documents import PROVIDER_BUSY, PROVIDER_FAILED, REFUSED_CONTENT, TIMED_OUT
from images.provider import MAX_ANSWER_BYTES
from tests.support.builders import Stopwatch
from tests.support.providers import CHATTER, Provider
from tests.support.raw_server import HEAD, Act, Drip, hang_up, raw_server, reset, sending

HTML = f"<!doctype html><title>502</title><p>{CHATTER}".encode()
# What is not a JSON object.
NO_OBJECTS = (HTML, b"", b"[]", b"null", b'"x"', b'{"a":', b"\xff\xfe", b"[" * 100_000)
DRIPPED_BYTES = 5

# Makes a provider answer so; gives its address. The stopwatch is the one that the deadline is on.
Serve = Callable[[Provider, HTTPServer, Stopwatch], AbstractContextManager[str]]


@dataclass(frozen=True)
class Case:
    """One way to fail."""

    name: str
    failure: str
    serve: Serve
    retry_after_seconds: int | None = None


def answering(status: int, body: bytes | None = None, **headers: str) -> Serve:
    """An HTTP answer; its body is the provider's own kind of error unless given."""

    @contextmanager
    def serve(provider: Provider, httpserver: HTTPServer, _: Stopwatch) -> Iterator[str]:
        sent = json.dumps(provider.error).encode() if body is None else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        httpserver.expect_request(provider.path, "POST").respond_with_data(sent, status, named, "application/json")
        yield httpserver.url_for("").rstrip("/")

    return serve


def on_a_socket(act: Act) -> Serve:
    """What no HTTP server would do."""
    return lambda provider, httpserver, stopwatch: raw_server(act)


def of_provider(bodies: Callable[[Provider], tuple[int, object]]) -> Serve:
    """An answer of the provider's own."""

    def serve(provider: Provider, httpserver: HTTPServer, stopwatch: Stopwatch) -> AbstractContextManager[str]:
        status, body = bodies(provider)
        return answering(status, json.dumps(body).encode())(provider, httpserver, stopwatch)

    return serve


@contextmanager
def redirecting(provider: Provider, httpserver: HTTPServer, _: Stopwatch) -> Iterator[str]:
    """To a place where the picture is: it is not followed, since a key would go along."""
    httpserver.expect_request(provider.path).respond_with_data("", 307, {"Location": httpserver.url_for("/elsewhere")})
    httpserver.expect_request("/elsewhere").respond_with_data(provider.success(b"picture"))
    yield httpserver.url_for("").rstrip("/")


def too_large(encoding: str) -> Serve:
    """A picture, and white space after it."""

    def serve(provider: Provider, httpserver: HTTPServer, stopwatch: Stopwatch) -> AbstractContextManager[str]:
        body = provider.success(b"picture") + b" " * MAX_ANSWER_BYTES
        sent = gzip.compress(body, 1) if encoding == "gzip" else body
        return answering(200, sent, Content_Encoding=encoding)(provider, httpserver, stopwatch)

    return serve


def breaking_off_past_the_deadline(
    provider: Provider, httpserver: HTTPServer, stopwatch: Stopwatch
) -> AbstractContextManager[str]:
    """As a provider does that has a time-out of its own."""

    def act(connection: socket.socket, request: bytes) -> None:
        stopwatch.forward(10_000)
        reset(connection, request)

    return raw_server(act)


def dripping_past_the_deadline(
    provider: Provider, httpserver: HTTPServer, stopwatch: Stopwatch
) -> AbstractContextManager[str]:
    """A body that comes byte by byte; after some bytes the deadline passes."""

    def pass_deadline(count: int) -> None:
        if count == DRIPPED_BYTES:
            stopwatch.forward(10_000)

    return raw_server(Drip(HEAD + b"Content-Length: 1000000\r\n\r\n", b" ", pass_deadline))


CASES: Sequence[Case] = (
    Case("refusal", REFUSED_CONTENT, of_provider(lambda provider: provider.refusals[0])),
    Case("429", PROVIDER_BUSY, answering(429, Retry_After="7"), 7),
    Case("503", PROVIDER_BUSY, answering(503)),
    Case("500", PROVIDER_FAILED, answering(500)),
    *(
        Case(str(status), PROVIDER_FAILED, answering(status))
        for status in (204, 400, 401, 402, 403, 404, 422, 504, 599)
    ),
    Case("HTML instead of JSON", PROVIDER_FAILED, answering(200, HTML)),
    Case("HTML and 429", PROVIDER_BUSY, answering(429, HTML, Retry_After="5000"), 3_600),
    Case("no picture", PROVIDER_FAILED, of_provider(lambda provider: (200, provider.no_pictures[-1]))),
    Case("redirect", PROVIDER_FAILED, redirecting),
    Case("too large", PROVIDER_FAILED, too_large("identity")),
    Case("too large once unpacked", PROVIDER_FAILED, too_large("gzip")),
    Case("truncated", PROVIDER_FAILED, on_a_socket(sending(HEAD + b"Content-Length: 99\r\n\r\n{"))),
    Case(
        "truncated chunk",
        PROVIDER_FAILED,
        on_a_socket(sending(HEAD + b"Transfer-Encoding: chunked\r\n\r\n63\r\n{")),
    ),
    Case(
        "not what it says it is",
        PROVIDER_FAILED,
        on_a_socket(sending(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")),
    ),
    Case("not HTTP", PROVIDER_FAILED, on_a_socket(sending(b"SSH-2.0-x\r\n"))),
    Case("reset", PROVIDER_FAILED, on_a_socket(reset)),
    Case("no answer", PROVIDER_FAILED, on_a_socket(hang_up)),
    Case("broken off past the deadline", TIMED_OUT, breaking_off_past_the_deadline),
    Case("slow drip", TIMED_OUT, dripping_past_the_deadline),
)
