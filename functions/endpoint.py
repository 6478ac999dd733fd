"""HTTP <-> handler: method, JSON body, one error shape, one response shape."""

import json
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from firebase_functions import logger
from flask import Request, Response

from errors import ApiError, BodyTooLarge, Internal, InvalidRequest, MethodNotAllowed
from handlers import Call, Reply

MAX_BODY_BYTES = 2 * 1024 * 1024


def serve(request: Request, method: str, handle: Callable[[Call], Reply]) -> Response:
    """Parses the request, runs the handler and renders its reply, or whatever it raises, as JSON."""
    try:
        reply = handle(_call(request, method))
        return _response(200, reply.body, reply.headers)
    except Internal as error:
        logger.error("internal error", **error.log_fields)
        return _error_response(error)
    except ApiError as error:
        return _error_response(error)
    # The boundary: whatever was not foreseen is logged here, once, and tells the client nothing.
    except Exception:  # noqa: BLE001
        logger.error("unforeseen error", trace=traceback.format_exc())
        return _error_response(Internal())


def _call(request: Request, method: str) -> Call:
    if request.method != method:
        raise MethodNotAllowed([method])
    body = _json_object(request) if method == "POST" else {}
    return Call(body, request.args.to_dict(), request.headers.get("Idempotency-Key"))


def _json_object(request: Request) -> Mapping[str, Any]:
    # Read by hand: a limit set on the request would also stop functions-framework, which reads the rest afterwards.
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)
    raw = request.stream.read(MAX_BODY_BYTES + 1)
    if len(raw) > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)
    if not request.is_json:
        raise InvalidRequest("Content-Type must be application/json.")
    try:
        body = json.loads(raw.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body must be a JSON object.") from error
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


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
    return Response(json.dumps(body), status, headers, mimetype="application/json")
