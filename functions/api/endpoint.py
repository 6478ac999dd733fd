"""HTTP <-> handler: one way in for every function, one shape for every answer."""

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firebase_functions.https_fn import CallableRequest, FunctionsErrorCode, HttpsError
from flask import Request, Response, after_this_request

import logs
from api import cors
from api.auth import APP_CHECK_HEADER, Gate
from api.body import check_sizes, discard_rest, is_empty, json_object
from api.firebase_tokens import FirebaseTokens
from api.operations import FUNCTIONS, Access, Operation
from api.parsing import field_names, parse
from calls import Accepted, Call, Caller, HandlerResult, Png, Text, TryAgain
from config import Settings
from credits.documents import is_user_id
from errors import (
    REPLAYED,
    RETRY_AFTER,
    ApiError,
    BrokenDocument,
    Internal,
    InvalidRequest,
    MethodNotAllowed,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from handlers import Services
from images.catalog import quotable
from images.keeping import CACHE_CONTROL
from store import Deadline, StoreError, is_plain_id

APPLIED, LOCATION = "Preference-Applied", "Location"
TRACE_HEADER = "X-Cloud-Trace-Context"
# An answer must leave before the platform cuts it off.
ANSWER_SHARE = 0.95
# In characters: more than any id that a task is given.
MAX_ID_LENGTH = 300
NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}
POLICY_HEADER = "Content-Security-Policy"
# For answers that never change.
CACHE_HEADERS = {"Cache-Control": CACHE_CONTROL}


class ScheduledRunFailed(Exception):
    """A scheduled run failed; the log says why."""


class TaskFailed(HttpsError):
    """A task failed; the log says why. firebase_functions logs every exception of another type, too."""

    def __init__(self) -> None:
        # Not UNAVAILABLE: for a 503, Cloud Tasks slows the whole queue down.
        # https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues.tasks#HttpRequest
        super().__init__(FunctionsErrorCode.INTERNAL, "The task failed.")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Answers the requests of every function."""

    services: Services
    gate: Gate
    allowed_origins: Sequence[str]
    project: str | None
    answer_seconds: float

    @classmethod
    def build(cls, settings: Settings, services: Services) -> "Endpoint":
        """The endpoint of these settings; connects to nothing yet."""
        tokens = FirebaseTokens(services.firebase, settings.project, settings.revocation_check_seconds)
        gate = Gate(tokens, settings.require_auth, settings.require_app_check)
        answer_seconds = settings.timeout_seconds * ANSWER_SHARE
        return cls(services, gate, settings.allowed_origins, settings.project, answer_seconds)

    def serve(self, request: Request, function: str) -> Response:
        """Answers one request to a function, with its reply or with the error that its handler raises."""
        deadline = Deadline.after(self.answer_seconds)
        methods = FUNCTIONS[function]
        with self._traced(request):
            if cors.is_preflight(request, self.allowed_origins):
                response = cors.preflight(request, methods)
            else:
                response = self._answer(request, methods, deadline)
        discard_rest(request)
        response.headers.extend(cors.headers(request, self.allowed_origins))
        return response

    def run_scheduled(self, request: Request, run: Callable[[Services], None]) -> None:
        """Runs a scheduled function. Only a POST runs it; every other method gets 405.

        Raises:
            ScheduledRunFailed: it failed, and Cloud Scheduler tries again.
        """
        if request.method != "POST":
            # The Functions emulator sends a GET to learn if it is ready. on_schedule would answer it with 200.
            refusal = error_response(MethodNotAllowed(["POST"]))
            after_this_request(lambda _: refusal)
            return
        with self._traced(request), _failing_as(ScheduledRunFailed, "scheduled run failed"):
            run(self.services)

    def run_task(self, request: CallableRequest[Any], field: str, run: Callable[[str, Services], None]) -> None:
        """Runs a task on the document whose id is in this field. Without an id it ends: no retry would bring one.

        Raises:
            TaskFailed: it failed, and its queue tries again.
        """
        with self._traced(request.raw_request):
            found = request.data.get(field) if isinstance(request.data, dict) else None
            if not isinstance(found, str) or not is_plain_id(found, MAX_ID_LENGTH):
                logs.error("task without an id", field=field)
                return
            logs.carry(**{field: found})
            with _failing_as(TaskFailed, "task failed"):
                try:
                    run(found, self.services)
                except BrokenDocument as error:
                    # No retry mends it.
                    logs.error("broken document", **error.log_fields)

    def _traced(self, request: Request) -> contextlib.AbstractContextManager[None]:
        return logs.traced(logs.trace_id(request.headers.get(TRACE_HEADER)), self.project)

    def _answer(self, request: Request, methods: Mapping[str, Operation], deadline: Deadline) -> Response:
        try:
            operation = methods.get(request.method)
            if operation is None:
                raise MethodNotAllowed([*methods])
            check_sizes(request)
            caller = self._caller(request, operation, deadline)
            sent = _for_user(operation, _sent(request, operation), caller)
            call = Call(caller, deadline)
            order = parse(operation.input, sent, self._options(operation, call))
            return _rendered(operation.handle(order, call, self.services), request)
        except ApiError as error:
            return error_response(_log(error, error))
        # The boundary: unexpected errors are logged once, here. The client gets a generic message.
        except Exception as error:  # noqa: BLE001
            return error_response(_log(Internal(places=logs.places(error)), error))

    def _caller(self, request: Request, operation: Operation, deadline: Deadline) -> Caller:
        if operation.access is Access.PUBLIC:
            return Caller()
        headers = request.headers
        caller = self.gate.caller(headers.get("Authorization"), headers.get(APP_CHECK_HEADER), deadline)
        if operation.access is Access.ADMINS and not caller.is_admin:
            raise PermissionDenied("Only an admin may do this.")
        return caller

    def _options(self, operation: Operation, call: Call) -> Callable[[], Mapping[str, Sequence[str]]] | None:
        """The values that the catalog allows, looked up only if a request is refused."""
        if not operation.has_options:
            return None

        def allowed() -> Mapping[str, Sequence[str]]:
            try:
                return self.services.catalog.current(call.deadline).options()
            except ApiError:
                return {}

        return allowed


@contextlib.contextmanager
def _failing_as(failure: type[ScheduledRunFailed | TaskFailed], event: str) -> Iterator[None]:
    """The boundary, as in _answer: the libraries would log the exception's own message, so it ends here."""
    try:
        yield
    except TryAgain:
        raise failure from None
    except Exception as error:  # noqa: BLE001
        broken = error.log_fields if isinstance(error, BrokenDocument) else {}
        logs.error(event, **_cause_fields(error), **broken, places=logs.places(error))
        raise failure from None


def _sent(request: Request, operation: Operation) -> Mapping[str, Any]:
    """The fields of the body or of the query, with the Idempotency-Key if the operation takes one.

    Raises:
        InvalidRequest: something was sent in the wrong one of the two, where it would be ignored.
    """
    if not operation.has_body:
        if not is_empty(request):
            raise InvalidRequest.of_field("body", "Send parameters in the query string, and no body.")
        return request.args.to_dict()
    if request.query_string and request.args:
        name = quotable(next(iter(request.args)))
        hint = " It is a field of the body." if name in field_names(operation.input) else ""
        raise InvalidRequest.of_field(name, f"Unknown parameter '{name}'.{hint}")
    body = json_object(request)
    # https://firebase.google.com/docs/functions/callable-reference
    if [*body] == ["data"]:
        raise InvalidRequest.of_field(
            "data",
            "This is a plain HTTP endpoint and not a callable function. Send the fields themselves, not inside 'data'.",
        )
    for header in operation.headers:
        if header in body:
            raise InvalidRequest.of_field(header, f"{header} is a header, not a field of the body.")
    return {**body, **{header: request.headers.get(header) for header in operation.headers}}


def _for_user(operation: Operation, sent: Mapping[str, Any], caller: Caller) -> Mapping[str, Any]:
    """The fields, with the caller as their user if they name none.

    Raises:
        PermissionDenied: the caller may not act for that user.
    """
    if not operation.acts_for_user:
        return sent
    named = sent.get("userId")
    if named is None:
        return {**sent, "userId": caller.user_id}
    # Parsing refuses a bad user id, together with every other bad field.
    if is_user_id(named):
        caller.must_act_for(named)
    return sent


def _log(error: ApiError, origin: Exception) -> ApiError:
    """Logs what an operator has to know. Not the message of a library's exception, which may quote the prompt."""
    if isinstance(error, Internal):
        error_id = uuid.uuid4().hex
        event = "broken document" if isinstance(error, BrokenDocument) else "internal error"
        logs.error(event, **_cause_fields(origin), errorId=error_id, **error.log_fields)
        return error.with_error_id(error_id)
    if error.http_status >= 500:
        causes = [type(each).__name__ for each in logs.chain(error)][1:]
        logs.warn("request failed", status=error.status, reason=error.reason, **_cause_fields(origin), causes=causes)
    if isinstance(error, Unauthenticated):
        logs.info("token refused", why=error.why)
    return error


def _cause_fields(error: Exception) -> Mapping[str, str | None]:
    """Log fields: Firestore's code, if it is the cause, and what an operator has to do, if a retry cannot help."""
    found = next((each for each in logs.chain(error) if isinstance(each, StoreError)), None)
    if found:
        return {"advice": found.advice, "firestore": found.code.name}
    return {"advice": error.advice} if isinstance(error, Unavailable) else {}


def _rendered(answer: HandlerResult, request: Request) -> Response:
    if isinstance(answer, Png):
        return _png_response(answer, request)
    if isinstance(answer, Text):
        return Response(answer.text, mimetype=answer.media_type, headers=_page_headers(answer))
    body = answer.reply.model_dump(mode="json", by_alias=True)
    headers = {REPLAYED: "true"} if answer.is_replay else {}
    if answer.applied:
        headers[APPLIED] = answer.applied
    if isinstance(answer, Accepted):
        headers |= {LOCATION: answer.location, RETRY_AFTER: str(answer.retry_after_seconds)}
        return _json(202, body, headers)
    return _json(200, body, headers)


def _page_headers(page: Text) -> Mapping[str, str]:
    """A page needs only its own styles, so the browser may refuse everything else."""
    policy = f"default-src 'none'; style-src {page.style_source}; img-src data:; frame-ancestors 'none'"
    return {POLICY_HEADER: policy, **NO_SNIFFING}


def _png_response(answer: Png, request: Request) -> Response:
    """The picture, or 304 without drawing it if the client has it already."""
    if request.if_none_match.contains_weak(answer.etag):
        response = Response(status=304, headers=CACHE_HEADERS)
    else:
        response = Response(answer.draw(), mimetype="image/png", headers=NO_SNIFFING | CACHE_HEADERS)
    response.set_etag(answer.etag)
    return response


def error_response(error: ApiError) -> Response:
    """The answer of an error, in Firebase's own shape."""
    body = {
        "error": {
            "code": error.http_status,
            "status": error.status,
            "message": error.message,
            "details": error.details,
        }
    }
    return _json(error.http_status, body, error.headers)


def _json(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    # The line end makes a terminal's next prompt start on its own line.
    return Response(json.dumps(body, allow_nan=False) + "\n", status, headers, mimetype="application/json")
