"""HTTP <-> handler: origin, method, caller, JSON body, one error shape, one response shape."""

import contextlib
import io
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from flask import Request, Response
from werkzeug.datastructures import Headers

import logs
from auth import APP_CHECK_HEADER, Gate
from errors import ApiError, BodyTooLarge, BrokenDocument, Internal, InvalidRequest, MethodNotAllowed, PermissionDenied
from handlers import NOBODY, Call, Caller, Page, Reply
from validation import KEY_HEADER

MAX_BODY_BYTES = 64 * 1024
# Below what the server itself takes (gunicorn: a line of 4,094 bytes), so that the answer is ours.
MAX_QUERY_BYTES = 2 * 1024
MAX_HEADERS_BYTES = 16 * 1024
# What Cloud Run lets through: https://cloud.google.com/run/quotas#request_limits
MOST_DISCARDED_BYTES = 32 * 1024 * 1024
PREFLIGHT_SECONDS = 3600
TRACE_HEADER = "X-Cloud-Trace-Context"
# A page needs nothing but its own styles, so the browser may refuse everything else.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


Handler = Callable[[Call], Reply | Page]


class ScheduledRunFailed(Exception):
    """A scheduled run failed; the log says where."""


@dataclass(frozen=True, slots=True)
class Route:
    """What one function answers: a handler for each method, and what a call must bring."""

    handlers: Mapping[str, Handler]
    reads_body: bool = False
    admin_only: bool = False
    is_public: bool = False


@dataclass(frozen=True, slots=True)
class Boundary:
    """What every function answers through."""

    gate: Gate
    allowed_origins: Sequence[str]
    project: str | None
    monotonic: Callable[[], float]

    def serve(self, request: Request, route: Route) -> Response:
        """Runs the method's handler and renders its answer, or whatever it raises."""
        began_at_seconds = self.monotonic()
        with self._traced(request):
            if self._is_preflight(request):
                response = _preflight(route)
            else:
                response = _answered(request, route, self.gate, began_at_seconds)
        _discard_rest(request)
        response.headers.extend(self._origin_headers(request))
        return response

    def run_scheduled(self, request: Request, run: Callable[[], None]) -> None:
        """Runs what a schedule asks for.

        Raises:
            ScheduledRunFailed: it did not get done, so that Cloud Scheduler tries again.
        """
        with self._traced(request):
            try:
                run()
            # The boundary, as above: the server would log whatever words the exception has.
            except Exception as error:  # noqa: BLE001
                logs.error("scheduled run failed", places=logs.where(error))
                raise ScheduledRunFailed(type(error).__name__) from None

    def _traced(self, request: Request) -> contextlib.AbstractContextManager[None]:
        return logs.traced(logs.trace_id(request.headers.get(TRACE_HEADER)), self.project)

    def _is_preflight(self, request: Request) -> bool:
        asks = "Access-Control-Request-Method" in request.headers
        return request.method == "OPTIONS" and asks and request.headers.get("Origin") in self.allowed_origins

    def _origin_headers(self, request: Request) -> Mapping[str, str]:
        # The library's own CORS answers any OPTIONS with 200 and lets no page read these headers.
        if not self.allowed_origins:
            return {}
        origin = request.headers.get("Origin")
        if origin is None or origin not in self.allowed_origins:
            return {"Vary": "Origin"}
        exposed = "Idempotent-Replayed, Retry-After, Allow, WWW-Authenticate"
        return {"Vary": "Origin", "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": exposed}


def _preflight(route: Route) -> Response:
    headers = {
        "Access-Control-Allow-Methods": ", ".join(route.handlers),
        "Access-Control-Allow-Headers": f"Authorization, Content-Type, {KEY_HEADER}, {APP_CHECK_HEADER}",
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }
    return Response(status=204, headers=headers)


def _answered(request: Request, route: Route, gate: Gate, began_at_seconds: float) -> Response:
    try:
        handle = route.handlers.get(request.method)
        if handle is None:
            raise MethodNotAllowed([*route.handlers])
        return _rendered(handle(_call(request, route, gate, began_at_seconds)))
    except ApiError as error:
        return error_response(_logged(error))
    # The boundary: whatever was not foreseen is logged here, once, and tells the client nothing.
    except Exception as error:  # noqa: BLE001
        return error_response(_logged(Internal(places=logs.where(error))))


def _logged(error: ApiError) -> ApiError:
    """Logs what an operator has to know of; by type, since a foreign exception's words may quote the prompt."""
    if isinstance(error, Internal):
        error_id = uuid.uuid4().hex
        event = "broken document" if isinstance(error, BrokenDocument) else "internal error"
        logs.error(event, errorId=error_id, **error.log_fields)
        return error.found_under(error_id)
    if error.http_status >= 500:
        cause = type(error.__cause__).__name__
        deeper = error.__cause__.__cause__ if error.__cause__ else None
        logs.warn("request failed", status=error.status, reason=error.reason, cause=cause, by=type(deeper).__name__)
    return error


def _call(request: Request, route: Route, gate: Gate, began_at_seconds: float) -> Call:
    _check_sizes(request)
    caller = NOBODY if route.is_public else _caller(request, gate)
    if route.admin_only and not caller.is_admin:
        raise PermissionDenied("Only an admin may do this.")
    body = _json_object(request) if route.reads_body else {}
    return Call(body, request.args.to_dict(), request.headers.get(KEY_HEADER), caller, began_at_seconds)


def _caller(request: Request, gate: Gate) -> Caller:
    return gate.caller(request.headers.get("Authorization"), request.headers.get(APP_CHECK_HEADER))


def _check_sizes(request: Request) -> None:
    if len(request.query_string) > MAX_QUERY_BYTES:
        raise InvalidRequest.of_field("query", f"The query must not exceed {MAX_QUERY_BYTES} bytes.")
    if _size(request.headers) > MAX_HEADERS_BYTES:
        raise InvalidRequest.of_field("headers", f"The headers must not exceed {MAX_HEADERS_BYTES} bytes.")


def _size(headers: Headers) -> int:
    return sum(len(name) + len(value) for name, value in headers)


def _json_object(request: Request) -> Mapping[str, Any]:
    # Read by hand: a limit set on the request would also stop what discards the rest.
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
        raise InvalidRequest("The body could not be read.") from error
    if len(raw) < min(request.content_length or 0, MAX_BODY_BYTES):
        raise InvalidRequest("The body is shorter than its Content-Length.")
    return raw


def _discard_rest(request: Request) -> None:
    """Reads what nobody wanted, so that the client gets its answer, and keeps none of it.

    functions-framework would read it into memory, and fail where the server cannot read it.
    """
    with contextlib.suppress(Exception):
        discarded_bytes = 0
        while discarded_bytes < MOST_DISCARDED_BYTES and (piece := request.stream.read(MAX_BODY_BYTES)):
            discarded_bytes += len(piece)
    request.stream = io.BytesIO()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _rendered(answer: Reply | Page) -> Response:
    if isinstance(answer, Page):
        return Response(answer.text, mimetype=answer.mimetype, headers=PAGE_HEADERS)
    return _response(200, answer.body, answer.headers)


def error_response(error: ApiError) -> Response:
    """The answer that a client gets."""
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
