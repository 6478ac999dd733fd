"""Reads requests, within limits."""

import contextlib
import io
import json
from collections.abc import Mapping
from typing import Any, NoReturn

from flask import Request

from errors import BodyTooLarge, InvalidRequest

MAX_BODY_BYTES = 64 * 1024
# Below the server's own limit (gunicorn: a line of 4,094 bytes), so that the answer comes from here.
MAX_QUERY_BYTES = 2 * 1024
MAX_HEADERS_BYTES = 16 * 1024
# Cloud Run's own limit: https://cloud.google.com/run/quotas#request_limits
MAX_DISCARDED_BYTES = 32 * 1024 * 1024


def check_sizes(request: Request) -> None:
    """Refuses a query or headers over their limits.

    Raises:
        InvalidRequest: names the one that is too large.
    """
    if len(request.query_string) > MAX_QUERY_BYTES:
        raise InvalidRequest.of_field("query", f"The query must not exceed {MAX_QUERY_BYTES} bytes.")
    if sum(len(name) + len(value) for name, value in request.headers) > MAX_HEADERS_BYTES:
        raise InvalidRequest.of_field("headers", f"The headers must not exceed {MAX_HEADERS_BYTES} bytes.")


def json_object(request: Request) -> Mapping[str, Any]:
    """The JSON object in the body.

    Raises:
        BodyTooLarge: the body is over the limit.
        InvalidRequest: it is not one JSON object, sent as JSON.
    """
    # Flask's own limit on the request would also stop discard_rest.
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)
    raw = _read(request)
    if len(raw) > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)
    if not request.is_json:
        raise InvalidRequest("Content-Type must be application/json.")
    try:
        body = json.loads(raw.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return body


def is_empty(request: Request) -> bool:
    """Whether the body is empty: no byte, or {}, which some clients always send.

    Raises:
        InvalidRequest: it cannot be read.
    """
    return _read(request).strip() in (b"", b"{}")


def discard_rest(request: Request) -> None:
    """Reads and drops the rest of the body, so that the client gets its answer.

    Otherwise functions-framework would read it into memory, and fail if the server cannot read it.
    """
    with contextlib.suppress(Exception):
        discarded_bytes = 0
        while discarded_bytes < MAX_DISCARDED_BYTES and (piece := request.stream.read(MAX_BODY_BYTES)):
            discarded_bytes += len(piece)
    request.stream = io.BytesIO()


def _read(request: Request) -> bytes:
    try:
        raw = request.stream.read(MAX_BODY_BYTES + 1)
    # The boundary to the server, which raises its own errors for a broken chunk or a lost client.
    except Exception as error:
        raise InvalidRequest("The body could not be read.") from error
    if len(raw) < min(request.content_length or 0, MAX_BODY_BYTES):
        raise InvalidRequest("The body is shorter than its Content-Length.")
    return raw


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
