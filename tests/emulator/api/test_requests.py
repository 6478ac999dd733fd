"""What holds for the requests of every function: methods, parameters, sizes, and which web pages may call."""

import pytest

from api.operations import FUNCTIONS
from tests.support.assembly import in_process
from tests.support.calls import Function, InProcess
from tests.support.contract import error_of, fields_at_fault, order
from tests.support.projects import Project
from tests.support.servers import FunctionServer

ORIGIN = "https://shop.example"
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
READING = {
    "getUserCredits": "userId={user}",
    "listGenerationRequests": "userId={user}",
    "getGenerationRequest": "generationRequestId={request}",
    "openapi": "",
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_another_method_is_refused(server: FunctionServer, function: str) -> None:
    """A method that the function does not have gets 405, with Allow; HEAD is allowed if GET is."""
    allowed = [*FUNCTIONS[function]]
    assert ("HEAD" in allowed) == ("GET" in allowed)
    for method in set(METHODS) - set(allowed):
        response = server.of(function).call(method)
        assert (response.status_code, response.headers["Allow"]) == (405, ", ".join(allowed)), method
        if method != "HEAD":
            assert error_of(response)["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize("function", READING)
def test_head_gives_what_get_does_without_the_body(
    server: FunctionServer, create: Function, common_project: Project, function: str
) -> None:
    """Status, type and length are GET's, for an error too; every answer ends with a newline."""
    user_id = common_project.add_user(5)
    request_id = create.post(order(user_id)).json()["generationRequestId"]
    query = READING[function].format(user=user_id, request=request_id)
    for sent, status in ((query, 200), ("bad=1", 400)):
        got, head = (server.of(function).call(method, params=sent) for method in ("GET", "HEAD"))
        assert (got.status_code, head.status_code, head.content) == (status, status, b"")
        assert got.text.endswith("\n")
        assert [head.headers[name] for name in ("Content-Type", "Content-Length")] == [
            got.headers[name] for name in ("Content-Type", "Content-Length")
        ]


@pytest.mark.parametrize(
    ("function", "method", "parameter", "message"),
    [
        ("getUserCredits", "GET", "pagesize", "Unknown parameter 'pagesize'. Did you mean 'pageSize'?"),
        ("listGenerationRequests", "GET", "state", "Unknown parameter 'state'. Did you mean 'status'?"),
        ("getGenerationRequest", "GET", "zzz", "Unknown parameter 'zzz'."),
        ("openapi", "GET", "version", "Unknown parameter 'version'."),
        ("createGenerationRequest", "POST", "zzz", "Unknown parameter 'zzz'."),
        ("quoteGeneration", "POST", "userId", "Unknown parameter 'userId'. It is a field of the body."),
    ],
)
def test_an_unknown_parameter_is_refused_by_name(
    server: FunctionServer, common_project: Project, function: str, method: str, parameter: str, message: str
) -> None:
    """A misspelt optional parameter is not taken for its default; the answer suggests what was meant."""
    user_id = common_project.add_user(5)
    query = READING.get(function, "").format(user=user_id, request="unknown")
    target = server.of(function)
    response = target.call(method, params=f"{query}&{parameter}=1", json=order(user_id) if method == "POST" else None)
    error = error_of(response)
    assert (error["code"], fields_at_fault(error), error["message"]) == (400, [parameter], message)
    assert common_project.balance(user_id) == 5


def test_a_long_query_or_heavy_headers_are_refused(create: Function) -> None:
    """2 KiB of query and 16 KiB of headers are the limits: 400, by name."""
    query = error_of(create.call("POST", params={"x": "y" * 2_048}, json={}))
    assert (query["code"], fields_at_fault(query)) == (400, ["query"])
    heavy = {f"X-{number}": "y" * 6_000 for number in range(3)}
    headers = error_of(create.post({}, heavy))
    assert (headers["code"], fields_at_fault(headers)) == (400, ["headers"])


@pytest.fixture(scope="session")
def shop(common_project: Project) -> InProcess:
    return in_process(common_project, ALLOWED_ORIGINS=ORIGIN)


PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
}


def test_an_allowed_page_may_call_and_read_the_answer(shop: InProcess) -> None:
    """The preflight names methods and headers; the answer, an error too, is readable with its headers."""
    create = shop.of("createGenerationRequest")
    asked = create.call("OPTIONS", headers={"Origin": ORIGIN, **PREFLIGHT})
    assert (asked.status_code, asked.text) == (204, "")
    assert asked.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert asked.headers["Access-Control-Allow-Methods"] == "POST"
    allowed = {name.strip().lower() for name in asked.headers["Access-Control-Allow-Headers"].split(",")}
    assert {"authorization", "content-type", "idempotency-key", "x-firebase-appcheck"} <= allowed
    answer = create.post({}, {"Origin": ORIGIN})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (400, ORIGIN)
    assert "Idempotent-Replayed" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{ORIGIN}.evil.example", f"{ORIGIN}:8443"])
def test_another_page_may_not(shop: InProcess, origin: str) -> None:
    """No header that a browser would accept."""
    create = shop.of("createGenerationRequest")
    asked = create.call("OPTIONS", headers={"Origin": origin, **PREFLIGHT})
    answer = create.post({}, {"Origin": origin})
    for response in (asked, answer):
        assert "Access-Control-Allow-Origin" not in response.headers
    assert asked.status_code == 405


def test_the_local_console_may_call_an_emulator(create: Function) -> None:
    """With no origin configured, the Emulator UI's is the one allowed."""
    origin = "http://127.0.0.1:4000"
    assert create.post({}, {"Origin": origin}).headers["Access-Control-Allow-Origin"] == origin
    preflight = create.call("OPTIONS", headers={"Origin": origin, **PREFLIGHT})
    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (204, origin)
