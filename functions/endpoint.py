"""HTTP <-> handler: method, JSON body, one error shape, one response shape."""

import io
import json
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from firebase_functions import logger
from flask import Request, Response

from errors import ApiError, BodyTooLarge, Internal, InvalidRequest, MethodNotAllowed
from handlers import Call, Page, Reply

MAX_BODY_BYTES = 2 * 1024 * 1024
# A page needs nothing but its own styles, so the browser may refuse everything else.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


Handler = Callable[[Call], Reply | Page]


def serve(request: Request, handlers: Mapping[str, Handler], reads_body: bool = False) -> Response:
    """Runs the method's handler and renders its answer, or whatever it raises.

    Args:
        request: as functions-framework gives it.
        handlers: by HTTP method.
        reads_body: the body must be a JSON object.
    """
    try:
        handle = handlers.get(request.method)
        if handle is None:
            raise MethodNotAllowed([*handlers])
        return _rendered(handle(_call(request, reads_body)))
    except Internal as error:
        logger.error("internal error", **error.log_fields)
        return _error_response(error)
    except ApiError as error:
        _log_cause(error)
        return _error_response(error)
    # The boundary: whatever was not foreseen is logged here, once, and tells the client nothing.
    except Exception:  # noqa: BLE001
        logger.error("unforeseen error", trace=traceback.format_exc())
        return _error_response(Internal())


def _log_cause(error: ApiError) -> None:
    """Why Firestore or the model failed: by type, since a model's own words may quote the prompt."""
    if error.http_status >= 500:
        cause = type(error.__cause__).__name__
        deeper = error.__cause__.__cause__ if error.__cause__ else None
        logger.warn("request failed", status=error.status, reason=error.reason, cause=cause, by=type(deeper).__name__)


def _call(request: Request, reads_body: bool) -> Call:
    body = _json_object(request) if reads_body else {}
    return Call(body, request.args.to_dict(), request.headers.get("Idempotency-Key"))


def _json_object(request: Request) -> Mapping[str, Any]:
    # Read by hand: a limit set on the request would also stop functions-framework, which reads the rest afterwards.
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


def _read(request: Request) -> bytes:
    try:
        raw = request.stream.read(MAX_BODY_BYTES + 1)
    # The boundary to the server, whose errors are its own: a chunk that is none, or a client that went away.
    except Exception as error:
        # functions-framework reads the rest after us, and would fail on it once more.
        request.stream = io.BytesIO()
        raise InvalidRequest("The body could not be read.") from error
    if len(raw) < min(request.content_length or 0, MAX_BODY_BYTES):
        raise InvalidRequest("The body is shorter than its Content-Length.")
    return raw


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _rendered(answer: Reply | Page) -> Response:
    if isinstance(answer, Page):
        return Response(answer.html, mimetype="text/html", headers=PAGE_HEADERS)
    return _response(200, answer.body, answer.headers)


def _error_response(error: ApiError) -> Response:
    body = {
        "error": {
            "code": error.http_status,
            "status": error.status,
            "message": error.message,
            "details": error.details,
        }
    }
    return _response(error.http_status, body, error.headers)


def _response(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    return Response(json.dumps(body, allow_nan=False), status, headers, mimetype="application/json")
