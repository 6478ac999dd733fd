"""Reading a request within its limits."""

import io
from typing import Any

import pytest
from flask import Request

from api.body import MAX_BODY_BYTES, MAX_HEADERS_BYTES, MAX_QUERY_BYTES, check_sizes, discard_rest, json_object
from errors import BodyTooLarge, InvalidRequest
from tests.support.builders import http_request

JSON = "application/json"


def posted(data: bytes | str, content_type: str | None = JSON, **parts: Any) -> Request:
    raw = data.encode() if isinstance(data, str) else data
    return http_request(
        "POST", input_stream=io.BytesIO(raw), content_length=len(raw), content_type=content_type, **parts
    )


def promised(content_length: int, stream: io.BytesIO) -> Request:
    """A request that declares a length that its stream may not hold."""
    overrides = {"CONTENT_LENGTH": str(content_length)}
    return http_request("POST", input_stream=stream, content_type=JSON, environ_overrides=overrides)


class BrokenStream(io.BytesIO):
    """A client that goes away while it sends."""

    def read(self, size: int | None = -1) -> bytes:
        raise OSError("gone")


def test_a_json_object_is_read() -> None:
    """With or without a charset."""
    assert json_object(posted('{"a": [1, null, "ü"]}')) == {"a": [1, None, "ü"]}
    assert json_object(posted('{"a": 1}', "application/json; charset=utf-8")) == {"a": 1}


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_must_be_sent_as_json(content_type: str | None) -> None:
    """A form of another site's page is not taken for a purchase."""
    with pytest.raises(InvalidRequest, match="Content-Type must be application/json"):
        json_object(posted("{}", content_type))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"a": ' + b"1" * 5_000 + b"}",
    ],
)
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    """Python would take NaN, and fails in its own ways on deep nesting and on endless numbers."""
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        json_object(posted(raw))


@pytest.mark.parametrize("raw", ["[]", "null", "5", '"text"', "true"])
def test_the_body_is_an_object(raw: str) -> None:
    """No other JSON value has fields."""
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        json_object(posted(raw))


def test_a_body_over_the_limit_is_refused() -> None:
    """By its declared length, before anything is read, or by what arrives if none is declared."""
    fits = b'{"a": "' + b"x" * (MAX_BODY_BYTES - 9) + b'"}'
    assert len(fits) == MAX_BODY_BYTES
    assert json_object(posted(fits))
    declared = posted(fits + b" ")
    with pytest.raises(BodyTooLarge):
        json_object(declared)
    chunked = http_request(
        "POST",
        input_stream=io.BytesIO(fits + b" "),
        content_type=JSON,
        environ_overrides={"wsgi.input_terminated": True},
    )
    with pytest.raises(BodyTooLarge):
        json_object(chunked)


def test_a_body_that_does_not_arrive_is_refused() -> None:
    """Cut short, or broken off by the client or the server."""
    for stream in (io.BytesIO(b"{}"), BrokenStream(b"{}")):
        with pytest.raises(InvalidRequest, match=r"could not be read|is shorter"):
            json_object(promised(100, stream))


def test_the_query_and_the_headers_have_limits() -> None:
    """Each is named."""
    check_sizes(http_request(query_string="x" * MAX_QUERY_BYTES))
    for request, field in (
        (http_request(query_string="x" * (MAX_QUERY_BYTES + 1)), "query"),
        (http_request(headers={"X-Long": "y" * MAX_HEADERS_BYTES}), "headers"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            check_sizes(request)
        assert caught.value.details["fields"][0]["field"] == field


def test_the_rest_of_a_body_is_read_and_not_kept() -> None:
    """The client gets its answer only once its body has been read; a stranger's is held in no memory."""
    body = io.BytesIO(b"x" * 1_000_000)
    request = http_request("POST", input_stream=body, content_length=1_000_000)
    discard_rest(request)
    assert body.read() == b""
    assert request.get_data() == b""


def test_a_body_that_cannot_be_read_is_left() -> None:
    """An answer is given all the same."""
    request = promised(100, BrokenStream(b"{}"))
    discard_rest(request)
    assert request.get_data() == b""
