"""HTTP <-> handler: what comes in, what goes out, and what the log keeps of it."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import flask
import pytest
from firebase_functions import tasks_fn
from firebase_functions.https_fn import CallableRequest
from flask import Response
from grpc import StatusCode

import handlers
import logs
from api import operations
from api.auth import Gate
from api.endpoint import Endpoint, ScheduledRunFailed, TaskFailed
from api.operations import ALWAYS, Access, Operation
from api.parsing import field_names
from calls import Call, Caller, Ok, Png, Text, TryAgain
from errors import BrokenDocument, Unavailable
from handlers import Services
from schemas.replies import QuoteReply
from schemas.requests import Input, NoQuery
from setting_reader import ConfigurationError
from store import StoreError
from tests.support.builders import IMAGE_URL, ORDER, Backend, KnownTokens, failing, http_request

SECRET = "a prompt and a token"
PROBE = "probe"
REPLY = QuoteReply(required_credits=1, current_credits=2, covered=True)
CLAIMS: dict[str, Mapping[str, Any]] = {"ann": {"uid": "ann"}, "root": {"uid": "root", "admin": True}}
Handler = Callable[[Any, Call, Services], Ok | Text]


class Door:
    """An endpoint before a backend whose user ann has 10 credits; a token is the caller's name."""

    def __init__(self, answer_seconds: float = 57.0) -> None:
        self.backend = Backend()
        self.backend.add_user("ann", 10)
        self.tokens = KnownTokens(**CLAIMS)
        gate = Gate(self.tokens, require_auth=True, require_app_check=False)
        origins = ["https://shop.example"]
        self.endpoint = Endpoint(self.backend.services, gate, origins, "demo-x", answer_seconds)

    def call(
        self, function: str, method: str = "GET", token: str | None = "ann", headers: Any = (), **parts: Any
    ) -> Response:
        """A call with the token of this name."""
        signed = {**dict(headers), **({"Authorization": f"Bearer {token}"} if token else {})}
        return self.endpoint.serve(http_request(method, headers=signed, **parts), function)

    def post(self, function: str, body: Any, token: str | None = "ann", **headers: str) -> Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call(function, "POST", token, sent, json=body)


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Callable[[Handler], None]:
    """Deploys a function `probe` with this handler."""

    def deploy(handle: Handler, access: Access = Access.USERS, takes: type[Input] = NoQuery) -> None:
        operation = Operation(PROBE, "GET", handle, takes, [QuoteReply], access, ALWAYS)
        monkeypatch.setitem(operations.FUNCTIONS, PROBE, {"GET": operation})

    return deploy


def failing_deep(query: Any, call: Call, services: Services) -> Ok:
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        raise KeyError(SECRET) from error


def error_of(response: Response) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(response.get_data())["error"]
    assert error["code"] == response.status_code
    return error


def test_a_purchase_comes_in_as_json_and_goes_out_as_json(door: Door) -> None:
    """The answer has the contract's four fields and ends with a newline."""
    response = door.post("createGenerationRequest", ORDER, Idempotency_Key="key")
    raw = response.get_data(as_text=True)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert raw.endswith("}\n")
    body = json.loads(raw)
    assert set(body) == {"generationRequestId", "deductedCredits", "imageUrl", "currentCredits"}
    assert (body["deductedCredits"], body["imageUrl"], body["currentCredits"]) == (1, IMAGE_URL, 9)
    assert "Idempotent-Replayed" not in response.headers
    again = door.post("createGenerationRequest", ORDER, Idempotency_Key="key")
    assert (again.get_data(as_text=True), again.headers["Idempotent-Replayed"]) == (raw, "true")


def test_every_error_has_the_same_shape(door: Door) -> None:
    """Code, status, message and details, as JSON that ends with a newline."""
    door.backend.add_user("ann", 0)
    response = door.post("createGenerationRequest", ORDER)
    assert response.get_data(as_text=True) == (
        '{"error": {"code": 400, "status": "FAILED_PRECONDITION", "message": "Insufficient credits.", '
        '"details": {"reason": "INSUFFICIENT_CREDITS", "required": 1, "available": 0}}}\n'
    )
    assert response.headers["Content-Type"] == "application/json"


def test_another_method_is_refused_with_those_allowed(door: Door) -> None:
    """In the header, too; before anything else is looked at."""
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "HEAD"):
        response = door.call("createGenerationRequest", method, token=None)
        assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    error = error_of(door.call("getWeeklyReport", "DELETE"))
    assert (error["status"], error["message"]) == ("INVALID_ARGUMENT", "Method not allowed. Use GET, POST, HEAD.")


def test_head_is_answered_like_get(door: Door) -> None:
    """The server leaves the body out."""
    head = door.call("getUserCredits", "HEAD", query_string={"userId": "ann"})
    get = door.call("getUserCredits", "GET", query_string={"userId": "ann"})
    assert (head.status_code, head.headers["Content-Type"]) == (get.status_code, get.headers["Content-Type"])


def test_without_a_token_nothing_is_looked_at(door: Door) -> None:
    """401 comes before the body and before the parameters."""
    sent: list[str] = []
    door.backend.store.before_rpc = sent.append
    response = door.post("createGenerationRequest", {"nonsense": 1}, token=None)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert error_of(door.call("getUserCredits", token="stranger"))["status"] == "UNAUTHENTICATED"
    assert sent == []


def test_a_call_without_a_user_is_the_callers_own(door: Door) -> None:
    """In a body and in a query."""
    mine = {name: value for name, value in ORDER.items() if name != "userId"}
    assert door.post("createGenerationRequest", mine).status_code == 200
    assert json.loads(door.call("getUserCredits").get_data())["currentCredits"] == 9


def test_a_caller_without_a_name_must_say_who_pays(door: Door) -> None:
    """As in the emulator, where no token is required."""
    anybody = replace(door.endpoint, gate=Gate(door.tokens, require_auth=False, require_app_check=False))
    error = error_of(anybody.serve(http_request("GET"), "getUserCredits"))
    assert (error["code"], error["message"]) == (400, "userId parameter is required.")
    named = http_request("GET", query_string={"userId": "ann"})
    assert anybody.serve(named, "getUserCredits").status_code == 200


def test_only_an_admin_acts_for_somebody_else(door: Door) -> None:
    """403 for users, on reading and on writing; nothing tells whether the other exists."""
    door.backend.add_user("bob", 10)
    for response in (
        door.post("createGenerationRequest", {**ORDER, "userId": "bob"}),
        door.post("quoteGeneration", {**ORDER, "userId": "bob"}),
        door.call("getUserCredits", query_string={"userId": "bob"}),
        door.call("getUserCredits", query_string={"userId": "nobody"}),
        door.call("listGenerationRequests", query_string={"userId": "bob"}),
    ):
        error = error_of(response)
        assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED")
    assert door.backend.balance("bob") == 10
    assert door.call("getUserCredits", token="root", query_string={"userId": "bob"}).status_code == 200


def test_only_an_admin_calls_what_is_for_admins(door: Door) -> None:
    """403 comes before the body is looked at."""
    grant = {"userId": "ann", "credits": 5, "reason": "because"}
    assert error_of(door.post("grantCredits", {"nonsense": 1}))["code"] == 403
    assert error_of(door.call("getWeeklyReport"))["code"] == 403
    assert door.post("grantCredits", grant, token="root", Idempotency_Key="key").status_code == 200
    assert door.backend.balance() == 15


def test_a_bad_user_id_is_named_with_the_other_bad_fields(door: Door) -> None:
    """It is a bad request and not somebody else's account."""
    error = error_of(door.post("createGenerationRequest", {"userId": "a/b", "style": 5}))
    assert error["code"] == 400
    assert [field["field"] for field in error["details"]["fields"]] == ["userId", "model", "style", "color", "size"]


def test_bad_options_are_named_with_those_allowed(door: Door) -> None:
    """From the catalog, which is looked up for the answer."""
    error = error_of(door.post("createGenerationRequest", {"style": "x", "color": "vibrant", "prompt": 5}))
    assert error["message"] == (
        "Missing required fields: model, size. Invalid style 'x'. Available styles: realistic. prompt must be a string."
    )
    assert [field.get("allowed") for field in error["details"]["fields"]] == [
        ["model-a"],
        ["realistic"],
        ["512x512"],
        None,
    ]


def test_bad_fields_are_named_without_a_catalog_too(door: Door) -> None:
    """Firestore is away, or somebody deleted every style: the client still learns what it can repair."""
    door.backend.store.remove("styles/realistic")
    error = error_of(door.post("createGenerationRequest", {"style": 5}))
    assert error["code"] == 400
    assert error["message"] == "Missing required fields: model, color, size. style must be a string."
    assert all("allowed" not in field for field in error["details"]["fields"])


def test_an_option_that_is_not_on_offer_is_a_bad_request(door: Door) -> None:
    """In the contract's words, with the values allowed."""
    error = error_of(door.post("createGenerationRequest", {**ORDER, "style": "x"}))
    assert (error["message"], error["details"]["fields"]) == (
        "Invalid style 'x'. Available styles: realistic",
        [{"field": "style", "message": "Invalid style 'x'. Available styles: realistic", "allowed": ["realistic"]}],
    )


def test_the_key_is_a_header_and_not_a_field(door: Door) -> None:
    """In the body it is refused by name, whatever the header says; so it cannot be taken for one that counts."""
    for headers in ({}, {"Idempotency_Key": "key"}):
        error = error_of(door.post("createGenerationRequest", {**ORDER, "Idempotency-Key": "key"}, **headers))
        assert (error["code"], error["details"]["fields"][0]["field"]) == (400, "Idempotency-Key")
    error = error_of(door.post("quoteGeneration", {**ORDER, "Idempotency-Key": "key"}))
    assert (error["code"], error["details"]["fields"][0]["field"]) == (400, "Idempotency-Key")
    assert door.backend.balance() == 10


def test_a_post_takes_no_parameters(door: Door) -> None:
    """A user id in the query would be overlooked otherwise."""
    error = error_of(door.call("createGenerationRequest", "POST", json=ORDER, query_string={"userId": "ann"}))
    assert (error["code"], error["message"]) == (400, "Unknown parameter 'userId'. It is a field of the body.")
    error = error_of(door.call("createGenerationRequest", "POST", json=ORDER, query_string={"x": "1"}))
    assert (error["code"], error["message"]) == (400, "Unknown parameter 'x'.")
    assert door.backend.balance() == 10


@pytest.mark.parametrize("operation", operations.OPERATIONS, ids=lambda each: f"{each.method} {each.function}")
def test_every_function_refuses_what_it_does_not_know_by_name(door: Door, operation: Operation) -> None:
    """A field of the body or a parameter, with the nearest known name; a parameter beside a body too."""
    known = [name for name in field_names(operation.input) if name != "Idempotency-Key"]
    names = [f"{name}x" for name in known] or ["zzz"]
    parts = {"json" if operation.has_body else "query_string": dict.fromkeys(names, "1")}
    error = error_of(door.call(operation.function, operation.method, "root", **parts))
    kind = "field" if operation.has_body else "parameter"
    said = [field["message"] for field in error["details"]["fields"] if field["field"] in names]
    assert error["code"] == 400
    assert said == [f"Unknown {kind} '{name}x'. Did you mean '{name}'?" for name in known] or [f"Unknown {kind} 'zzz'."]
    if operation.has_body:
        beside = door.call(operation.function, operation.method, "root", json={}, query_string={"zzz": "1"})
        assert error_of(beside)["message"] == "Unknown parameter 'zzz'."


@pytest.mark.parametrize("function", ["createGenerationRequest", "quoteGeneration", "grantCredits"])
@pytest.mark.parametrize("inside", [ORDER, {}, None, [1]])
def test_the_envelope_of_a_callable_function_is_called_by_its_name(door: Door, function: str, inside: object) -> None:
    """Firebase's client for callable functions sends everything inside of "data"; each field is there, and none is."""
    error = error_of(door.post(function, {"data": inside}, token="root"))
    assert error["code"] == 400
    assert "plain HTTP endpoint and not a callable function" in error["message"]
    assert [field["field"] for field in error["details"]["fields"]] == ["data"]


def test_data_among_other_fields_is_an_unknown_field(door: Door) -> None:
    """Like any other name."""
    error = error_of(door.post("createGenerationRequest", {**ORDER, "data": {}}))
    assert error["message"] == "Unknown field 'data'."


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("body", [b'{"format": "html"}', b"format=html", b"[]", b"x" * 100_000])
def test_where_nobody_would_read_a_body_none_is_taken(door: Door, method: str, body: bytes) -> None:
    """A field in it would be overlooked."""
    error = error_of(door.call("getWeeklyReport", method, "root", data=body, content_type="application/json"))
    assert (error["code"], error["details"]["fields"][0]["field"]) == (400, "body")


@pytest.mark.parametrize("body", [b"", b"{}", b" {}\n"])
def test_an_empty_body_is_none(door: Door, body: bytes) -> None:
    """Some clients always send one."""
    response = door.call("getUserCredits", "GET", data=body, content_type="application/json")
    assert response.status_code == 200


@pytest.mark.parametrize("body", [[], 5, "text"])
def test_a_body_must_be_an_object(door: Door, body: object) -> None:
    """No other JSON value is taken for one."""
    assert error_of(door.post("createGenerationRequest", body))["message"] == "The body must be a JSON object."


def test_a_body_over_the_limit_is_413(door: Door) -> None:
    """With the contract's status."""
    error = error_of(door.post("createGenerationRequest", {"prompt": "x" * 70_000}))
    assert (error["code"], error["status"]) == (413, "INVALID_ARGUMENT")


def test_an_unexpected_error_is_found_by_its_id(
    door: Door, probe: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, with the answer's errorId, the trace, and where it happened; the exception's words are nowhere."""
    probe(failing_deep)
    error = error_of(door.call(PROBE, headers={"X-Cloud-Trace-Context": "abc123/1;o=1"}))
    assert (error["code"], error["message"], set(error["details"])) == (500, "Internal error.", {"errorId"})
    [line] = capsys.readouterr().err.splitlines()
    logged = json.loads(line)
    assert logged["errorId"] == error["details"]["errorId"]
    assert logged["logging.googleapis.com/trace"] == "projects/demo-x/traces/abc123"
    assert logged["places"][0].startswith("KeyError: ")
    assert logged["places"][1].startswith("ValueError: ")
    assert all("failing_deep" in place for place in logged["places"])
    assert SECRET not in line


def test_a_broken_document_is_named_in_the_log_only(
    door: Door, probe: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The client gets the id of the line."""

    def broken(query: Any, call: Call, services: Services) -> Ok:
        raise BrokenDocument("users/ann", "credits is wrong")

    probe(broken)
    error = error_of(door.call(PROBE))
    assert (error["message"], set(error["details"])) == ("Internal error.", {"errorId"})
    logged = json.loads(capsys.readouterr().err)
    assert (logged["message"], logged["document"], logged["errorId"]) == (
        "broken document",
        "users/ann",
        error["details"]["errorId"],
    )


def test_an_answer_of_503_is_logged_by_the_types_of_its_causes(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    """An operator sees that Firestore was away, and nothing that it said."""
    door.backend.store.before_rpc = failing(StatusCode.UNAVAILABLE, "BatchGetDocuments", times=1_000)
    response = door.call("getUserCredits")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    logged = json.loads(capsys.readouterr().out)
    assert (logged["status"], logged["causes"], logged["firestore"]) == ("UNAVAILABLE", ["StoreError"], "UNAVAILABLE")


ADVICE = "Create the Firestore database: https://console.cloud.google.com/x"


def refusing(name: str) -> None:
    raise StoreError(StatusCode.NOT_FOUND, ADVICE)


@pytest.mark.parametrize("function", ["createGenerationRequest", "quoteGeneration", "getUserCredits"])
def test_what_only_the_operator_can_mend_is_said_in_the_log(
    door: Door, function: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, in one line with what to do right after the event; the client gets the generic message."""
    sent: list[str] = []

    def refuse(name: str) -> None:
        sent.append(name)
        refusing(name)

    door.backend.store.before_rpc = refuse
    response = door.call(function) if function.startswith("get") else door.post(function, ORDER)
    error = error_of(response)
    assert (error["code"], error["message"], set(error["details"])) == (500, "Internal error.", {"errorId"})
    [line] = capsys.readouterr().err.splitlines()
    logged = json.loads(line)
    assert [*logged][:3] == ["message", "advice", "firestore"]
    assert (logged["advice"], logged["firestore"]) == (ADVICE, "NOT_FOUND")
    assert logged["errorId"] == error["details"]["errorId"]
    # Nothing is tried twice.
    assert len(set(sent)) == len(sent)


def test_a_scheduled_run_says_what_the_operator_can_mend(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    """Its log line has the advice of the error, as that of a refused call has."""
    door.backend.store.before_rpc = refusing
    with pytest.raises(ScheduledRunFailed):
        door.endpoint.run_scheduled(http_request("POST"), handlers.release_expired_reservations)
    assert json.loads(capsys.readouterr().err)["advice"] == ADVICE


def test_an_answer_of_503_says_what_the_operator_can_mend(
    door: Door, probe: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """As when Firebase Authentication is not switched on."""

    def refuse(query: Any, call: Call, services: Services) -> Ok:
        raise Unavailable("away", advice=ADVICE)

    probe(refuse)
    response = door.call(PROBE)
    assert (response.status_code, ADVICE in response.get_data(as_text=True)) == (503, False)
    assert json.loads(capsys.readouterr().out)["advice"] == ADVICE


@pytest.mark.parametrize(("token", "why"), [(None, "no bearer token"), ("stranger", "expired 5 s ago")])
def test_a_refused_token_leaves_one_line_with_the_reason(
    door: Door, token: str | None, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """For the operator: the client learns nothing of it, and the log nothing of the token."""
    response = door.call("getUserCredits", token=token)
    assert response.status_code == 401
    assert "expired 5" not in response.get_data(as_text=True)
    [line] = capsys.readouterr().out.splitlines()
    logged = json.loads(line)
    assert (logged["message"], logged["why"], logged["severity"]) == ("token refused", why, "INFO")
    assert "stranger" not in line


def test_an_answer_of_400_is_not_logged(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    """A client's mistake is not the operator's."""
    door.post("createGenerationRequest", {})
    assert capsys.readouterr() == ("", "")


def test_one_deadline_is_handed_down(door: Door, probe: Callable[..., None]) -> None:
    """The token's check and the handler get the same one, made when the request came in."""
    seen: list[Call] = []

    def note(query: Any, call: Call, services: Services) -> Ok:
        seen.append(call)
        return Ok(REPLY)

    probe(note)
    assert door.call(PROBE).status_code == 200
    [call] = seen
    assert door.tokens.deadlines == [call.deadline]
    assert door.tokens.deadlines[0] is call.deadline
    assert 50 < call.deadline.left_seconds <= 57


def test_a_request_whose_time_is_up_buys_nothing() -> None:
    """503, before Firestore is asked for anything that could be written."""
    door = Door(answer_seconds=0)
    sent: list[str] = []
    door.backend.store.before_rpc = sent.append
    response = door.post("createGenerationRequest", ORDER)
    error = error_of(response)
    assert (error["code"], error["status"], response.headers["Retry-After"]) == (503, "UNAVAILABLE", "2")
    assert sent == []
    assert door.backend.balance() == 10


def test_a_public_function_asks_for_no_token_and_knows_nobody(door: Door, probe: Callable[..., None]) -> None:
    """Not even a bad one is looked at."""
    seen: list[Caller] = []

    def note(query: Any, call: Call, services: Services) -> Ok:
        seen.append(call.caller)
        return Ok(REPLY)

    probe(note, Access.PUBLIC)
    for token in (None, "stranger", "root"):
        assert door.call(PROBE, token=token).status_code == 200
    assert seen == [Caller()] * 3
    assert not any(caller.is_admin for caller in seen)


def test_a_page_may_run_nothing(door: Door, probe: Callable[..., None]) -> None:
    """A text goes out as it is, under a policy that allows its own styles only: none, if it names none."""
    for named, allowed in (((), "'none'"), (("'sha256-abc'",), "'sha256-abc'")):
        probe(lambda query, call, services, named=named: Text("<p>ü</p>", "text/html", *named))
        response = door.call(PROBE)
        assert response.get_data(as_text=True) == "<p>ü</p>"
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert f"default-src 'none'; style-src {allowed};" in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_picture_is_kept_by_whoever_has_it(door: Door, probe: Callable[..., None]) -> None:
    """It comes with a version, for good; who names the version gets 304, and nothing is drawn."""
    drawn: list[bytes] = []

    def draw() -> bytes:
        drawn.append(b"a picture")
        return drawn[-1]

    probe(lambda query, call, services: Png("v1", draw), Access.PUBLIC)
    first = door.call(PROBE)
    assert (first.get_data(), first.headers["Content-Type"]) == (b"a picture", "image/png")
    for known in ('"v1"', 'W/"v1"', '"v0", "v1"', "*"):
        again = door.call(PROBE, headers={"If-None-Match": known})
        assert (again.status_code, again.get_data(), again.headers["ETag"]) == (304, b"", '"v1"')
        assert again.headers["Cache-Control"] == first.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert len(drawn) == 1
    assert door.call(PROBE, headers={"If-None-Match": '"v0"'}).status_code == 200


def test_a_listed_page_may_call(door: Door) -> None:
    """The preflight is answered without a token; the answer, an error too, can be read."""
    origin = {"Origin": "https://shop.example"}
    asked = door.call("createGenerationRequest", "OPTIONS", None, {**origin, "Access-Control-Request-Method": "POST"})
    assert (asked.status_code, asked.headers["Access-Control-Allow-Methods"]) == (204, "POST")
    assert asked.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    answer = door.call("createGenerationRequest", "POST", None, origin, json={})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, "https://shop.example")


def test_a_body_that_nobody_reads_is_discarded(door: Door) -> None:
    """A stranger's is read to its end, so that the answer arrives, and nothing of it is kept in memory."""
    body = io.BytesIO(b"x" * 1_000_000)
    stranger = http_request("POST", input_stream=body)
    response = door.endpoint.serve(stranger, "createGenerationRequest")
    assert response.status_code == 401
    assert body.read() == b""
    assert stranger.get_data() == b""


@pytest.mark.parametrize("trace", ["", "/1", "ü", '"}', "\n"])
def test_a_trace_that_is_not_one_is_replaced(
    door: Door, probe: Callable[..., None], trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the header holds, the line is one line of JSON with a trace in it."""
    probe(failing_deep)
    door.call(PROBE, headers={"X-Cloud-Trace-Context": trace.strip()} if trace else {})
    [line] = capsys.readouterr().err.splitlines()
    assert len(json.loads(line)["logging.googleapis.com/trace"]) == len("projects/demo-x/traces/") + 32


def test_a_scheduled_run_gets_the_services(door: Door) -> None:
    """And its end without an exception is its success."""
    seen: list[Services] = []
    door.endpoint.run_scheduled(http_request("POST"), seen.append)
    assert seen == [door.backend.services]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS", "DELETE"])
def test_only_a_post_runs_what_is_scheduled(door: Door, method: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The Functions emulator's GET /__/health runs nothing; whoever asks is told how to, in the contract's shape."""
    ran: list[Services] = []

    def view(path: str) -> str:
        # As on_schedule does: the answer is empty and 200.
        door.endpoint.run_scheduled(flask.request, ran.append)
        return ""

    server = flask.Flask(__name__)
    server.add_url_rule("/<path:path>", view_func=view, methods=[method, "POST"])
    answer = server.test_client().open("/__/health", method=method)
    assert (answer.status_code, answer.headers["Allow"], ran) == (405, "POST", [])
    assert method == "HEAD" or json.loads(answer.data)["error"]["message"] == "Method not allowed. Use POST."
    assert capsys.readouterr() == ("", "")
    assert server.test_client().post("/x").status_code == 200
    assert ran == [door.backend.services]


@pytest.mark.parametrize("error", [KeyError(SECRET), Unavailable("away")])
def test_a_scheduled_run_fails_without_the_words_of_its_cause(
    door: Door, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """The scheduler sees the failure and tries again; the log has the place."""

    def run(services: Services) -> None:
        raise error

    with pytest.raises(ScheduledRunFailed) as caught:
        door.endpoint.run_scheduled(http_request("POST"), run)
    assert caught.value.__suppress_context__
    logged = capsys.readouterr().err
    assert type(error).__name__ in logged
    assert SECRET not in logged


def task(data: Any) -> CallableRequest[Any]:
    """A task as its function gets it from the library."""
    return CallableRequest(data=data, raw_request=http_request("POST"))


def test_a_task_gets_its_id_and_the_services(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line that it logs has the id."""
    seen: list[tuple[str, Services]] = []

    def run(found: str, services: Services) -> None:
        seen.append((found, services))
        logs.info("ran")

    door.endpoint.run_task(task({"orderId": "x1"}), "orderId", run)
    assert seen == [("x1", door.backend.services)]
    assert json.loads(capsys.readouterr().out)["orderId"] == "x1"


@pytest.mark.parametrize(
    "data", [None, [], "x1", {}, {"other": "x1"}, *({"orderId": odd} for odd in (None, 5, "", "a/b", "..", "x" * 301))]
)
def test_a_task_without_an_id_is_logged_and_ends(door: Door, data: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Tried again it would have none either. What it has instead is not logged."""

    def run(found: str, services: Services) -> None:
        raise AssertionError

    door.endpoint.run_task(task(data), "orderId", run)
    logged = json.loads(capsys.readouterr().err)
    assert (logged["message"], logged["field"], "orderId" in logged) == ("task without an id", "orderId", False)


@pytest.mark.parametrize("error", [KeyError(SECRET), Unavailable("away")])
def test_a_task_fails_without_the_words_of_its_cause(
    door: Door, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library logs the message of what reaches it, and its queue tries again."""

    def run(found: str, services: Services) -> None:
        raise error

    with pytest.raises(TaskFailed) as caught:
        door.endpoint.run_task(task({"orderId": "x1"}), "orderId", run)
    assert caught.value.__suppress_context__
    logged = capsys.readouterr().err
    assert type(error).__name__ in logged
    assert "x1" in logged
    assert SECRET not in logged + str(caught.value)


def test_a_task_that_is_to_be_tried_again_logs_nothing_more(
    door: Door, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Its handler said what happened; the queue gets a 500, for which firebase_functions logs nothing either."""

    def run(found: str, services: Services) -> None:
        raise TryAgain

    def called(request: Any) -> None:
        door.endpoint.run_task(request, "orderId", run)

    dispatched: Any = tasks_fn.on_task_dispatched()(called)
    with flask.Flask(__name__).test_request_context(method="POST", json={"data": {"orderId": "x1"}}):
        answer = dispatched(flask.request)
    assert (answer.status_code, capsys.readouterr(), caplog.records) == (500, ("", ""), [])


def test_a_task_that_meets_a_broken_document_names_it_and_ends(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    """No retry mends it."""

    def run(found: str, services: Services) -> None:
        raise BrokenDocument("orders/x1", "cost is odd")

    door.endpoint.run_task(task({"orderId": "x1"}), "orderId", run)
    logged = json.loads(capsys.readouterr().err)
    assert (logged["message"], logged["document"], logged["problem"]) == ("broken document", "orders/x1", "cost is odd")


def test_a_scheduled_run_that_meets_a_broken_document_fails_and_names_it(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it was to do is not done."""

    def run(services: Services) -> None:
        raise BrokenDocument("orders/x1", "cost is odd")

    with pytest.raises(ScheduledRunFailed):
        door.endpoint.run_scheduled(http_request("POST"), run)
    logged = json.loads(capsys.readouterr().err)
    assert (logged["message"], logged["document"]) == ("scheduled run failed", "orders/x1")


def test_a_task_says_what_the_operator_can_mend(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    """Its log line has the advice of the error."""
    door.backend.store.before_rpc = refusing
    with pytest.raises(TaskFailed):
        door.endpoint.run_task(
            task({"orderId": "x1"}), "orderId", lambda found, services: handlers.release_expired_reservations(services)
        )
    assert json.loads(capsys.readouterr().err)["advice"] == ADVICE


def test_an_endpoint_is_built_from_the_settings() -> None:
    """Its answer leaves before the time-out of the settings; a token is needed unless they say otherwise."""
    backend = Backend(TIMEOUT_SECONDS="100", REQUIRE_AUTH="true", ALLOWED_ORIGINS="https://shop.example")
    endpoint = Endpoint.build(backend.settings, backend.services)
    assert (endpoint.answer_seconds, endpoint.services) == (95.0, backend.services)
    assert "https://shop.example" in endpoint.allowed_origins
    assert endpoint.serve(http_request("GET"), "getUserCredits").status_code == 401
    with pytest.raises(ConfigurationError):
        Backend(FIRESTORE_EMULATOR_HOST="", REQUIRE_AUTH="false")
