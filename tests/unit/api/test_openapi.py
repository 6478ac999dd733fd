"""functions/openapi.yaml against the code that it describes."""

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

import errors
from api.endpoint import error_response
from api.operations import OPERATIONS, Operation
from api.parsing import parse
from credits.documents import is_user_id
from dev import generate
from tests.support.description import FILE, Answer, Description, violations

MAIN = FILE.with_name("main.py")
API = Description()
SCHEMAS: Mapping[str, Any] = API.document["components"]["schemas"]
USER_ID = API.validator(SCHEMAS["GrantOrder"]["properties"]["userId"])
ODD_TEXT = st.text(st.sampled_from("._/a\n\0\x7f\x85\u2028\N{PILE OF POO}"), max_size=6)
# One of each, as the code makes them.
ERRORS = (
    errors.InvalidRequest("x"),
    errors.InvalidRequest("x", [errors.FieldProblem("style", "x", ["anime"]), errors.FieldProblem("size", "x")]),
    errors.InsufficientCredits(required_credits=4, available_credits=1),
    errors.Unauthenticated("x"),
    errors.PermissionDenied("x"),
    errors.UserNotFound(),
    errors.GenerationNotFound(),
    errors.ReportNotFound(),
    errors.DeliveryNotFound(),
    errors.MethodNotAllowed(["GET", "HEAD"]),
    errors.IdempotencyInFlight(retry_after_seconds=5),
    errors.GenerationCanceled(3, "r1", is_replay=True),
    errors.GenerationEnded("failed", "r1"),
    errors.BodyTooLarge(max_bytes=100),
    errors.IdempotencyMismatch(),
    errors.TooManyPending(max_pending=5, retry_after_seconds=5),
    errors.GenerationFailed(3, "x", "TIMED_OUT"),
    errors.GenerationFailed(3, "x", "TIMED_OUT", is_replay=True),
    errors.GenerationFailed(3, "x", "PROVIDER_BUSY", retry_after_seconds=30),
    errors.Unavailable("x"),
    errors.Internal().with_error_id("x"),
    errors.BrokenDocument("users/x", "odd").with_error_id("x"),
)


def operation_ids(operation: Operation) -> str:
    return f"{operation.method} {operation.function}"


def described(operation: Operation) -> Mapping[str, Any]:
    part: Mapping[str, Any] = API.document["paths"][f"/{operation.function}"][operation.method.lower()]
    return part


def leaves(error: type[errors.ApiError]) -> Iterator[type[errors.ApiError]]:
    for its in error.__subclasses__():
        yield from leaves(its) if its.__subclasses__() else [its]


def parts(part: Any) -> Iterator[Mapping[str, Any]]:
    """Every map in the document, at any depth."""
    if isinstance(part, Mapping):
        yield part
    if isinstance(part, Mapping | list):
        for its in part.values() if isinstance(part, Mapping) else part:
            yield from parts(its)


def test_the_file_is_what_the_code_says(capsys: pytest.CaptureFixture[str]) -> None:
    """functions/openapi.yaml is up to date; otherwise run python -m dev.generate."""
    assert FILE.read_text(encoding="utf-8") == generate.as_yaml()
    assert generate.main("--check") == 0
    assert "up to date" in capsys.readouterr().out


def test_a_file_that_is_out_of_date_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--check changes nothing and fails; without it the file is written."""
    monkeypatch.setattr(generate, "FILE", tmp_path / "openapi.yaml")
    assert generate.main("--check") == 1
    assert generate.main() == 0
    assert generate.main("--check") == 0
    generate.FILE.write_text("openapi: 3.1.0\n")
    assert generate.main("--check") == 1
    assert generate.FILE.read_text() == "openapi: 3.1.0\n"


def test_it_is_openapi_3_1() -> None:
    """The official schema of OpenAPI 3.1 accepts the document, with every reference in it."""
    assert API.document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(API.document).validate()


def test_every_function_and_method_is_described_and_no_other() -> None:
    """The paths are the HTTP functions of main.py, each with the methods of the table but HEAD."""
    tree = ast.parse(MAIN.read_text(encoding="utf-8"))
    functions = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any("on_request" in ast.unparse(its) for its in node.decorator_list)
    }
    assert API.methods.keys() == functions
    assert API.methods == {
        function: {operation.method for operation in OPERATIONS if operation.function == function}
        for function in functions
    }


def test_operations_have_names_of_their_own() -> None:
    """Generators of clients make a method of each operationId."""
    names = [described(operation)["operationId"] for operation in OPERATIONS]
    assert len({*names}) == len(names)


@pytest.mark.parametrize("operation", OPERATIONS, ids=operation_ids)
def test_every_status_is_described(operation: Operation) -> None:
    """200, 202 for purchases, 304 for pictures, and one answer for each status that an error of the operation has."""
    statuses = {
        200,
        *([202] if operation.takes_preference else []),
        *([304] if operation.draws else []),
        *(error.http_status for error in operation.errors),
    }
    assert {int(status) for status in described(operation)["responses"]} == statuses


@pytest.mark.parametrize("operation", OPERATIONS, ids=operation_ids)
def test_every_field_of_an_input_is_described_once(operation: Operation) -> None:
    """A query's as parameters, a body's in its schema, and headers as headers."""
    part = described(operation)
    parameters = {its["name"]: its["in"] for its in part.get("parameters", [])}
    body = SCHEMAS[operation.input.__name__]["properties"] if operation.has_body else {}
    names = {str(its.validation_alias) for its in operation.input.model_fields.values()}
    assert parameters.keys() | body.keys() == names
    assert not parameters.keys() & body.keys()
    assert all(place == ("header" if name in operation.headers else "query") for name, place in parameters.items())


@pytest.mark.parametrize("operation", OPERATIONS, ids=operation_ids)
def test_a_caller_may_leave_out_their_own_id(operation: Operation) -> None:
    """userId is optional exactly in what users do for themselves."""
    part = described(operation)
    required = [its["name"] for its in part.get("parameters", []) if its["required"]]
    required += SCHEMAS[operation.input.__name__]["required"] if operation.has_body else []
    has_user = "user_id" in operation.input.model_fields
    assert ("userId" in required) == (has_user and not operation.acts_for_user)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_is_as_described(error: errors.ApiError) -> None:
    """Status, body and headers of each error are described for every operation that can give it."""
    response = error_response(error)
    answer = Answer(response.status_code, dict(response.headers), response.data)
    givers = [operation for operation in OPERATIONS if isinstance(error, tuple(operation.errors))]
    assert givers
    for operation in givers:
        assert API.problems(operation.function, operation.method, answer) == []


def test_no_error_is_forgotten() -> None:
    """The errors above are all that errors.py has."""
    assert {*leaves(errors.ApiError)} <= {type(error) for error in ERRORS}


@pytest.mark.parametrize("operation", OPERATIONS, ids=operation_ids)
def test_every_json_body_has_an_example_that_its_schema_accepts(operation: Operation) -> None:
    """Requests and answers are shown, and what is shown is true."""
    part = described(operation)
    contents = [part["responses"]["200"]["content"], part.get("requestBody", {}).get("content", {})]
    for content in (its["application/json"] for its in contents if "application/json" in its):
        assert violations(API.validator(content["schema"]), content["example"]) == []


def test_every_example_is_accepted_by_its_schema() -> None:
    """Those of each field and of each parameter."""
    for part in parts(API.document):
        if "examples" in part and ("type" in part or "anyOf" in part):
            for example in part["examples"]:
                assert violations(API.validator(part), example) == [], part


@pytest.mark.parametrize("operation", OPERATIONS, ids=operation_ids)
def test_the_example_of_a_request_is_one_that_the_code_accepts(operation: Operation) -> None:
    """What the document shows as a request is parsed without an error."""
    part = described(operation)
    body = part["requestBody"]["content"]["application/json"]["example"] if operation.has_body else {}
    shown = {its["name"]: its["schema"]["examples"][0] for its in part.get("parameters", []) if _has_example(its)}
    parse(operation.input, {**body, **shown})


def _has_example(parameter: Mapping[str, Any]) -> bool:
    return "examples" in parameter["schema"]


def test_nothing_but_what_is_described_can_be_sent() -> None:
    """Every object with named fields excludes all others."""
    objects = [part for part in parts(API.document["components"]) if part.get("type") == "object"]
    assert all(part["additionalProperties"] is False for part in objects if "properties" in part)
    assert len(objects) > 20


def test_no_schema_is_a_boolean() -> None:
    """openapi-python-client refuses those."""
    for part in parts(API.document):
        for place in ("properties", "schema", "items", "propertyNames"):
            its = part.get(place)
            assert not isinstance(its, bool)
            assert place != "properties" or not any(isinstance(field, bool) for field in (its or {}).values())


GRANTED = {"transactionId": "x", "userId": "ann", "grantedCredits": 5, "currentCredits": 5}
JSON = {"Content-Type": "application/json"}


def judged(method: str = "POST", status: int = 200, headers: Mapping[str, str] = JSON, **fields: Any) -> list[str]:
    """What the description says of an answer of grantCredits."""
    return API.problems("grantCredits", method, Answer(status, headers, json.dumps({**GRANTED, **fields}).encode()))


def test_an_answer_that_is_not_as_described_is_noticed() -> None:
    """The judge of the other tests sees an odd field, type, number, header, content type, status and method."""
    assert judged() == judged(headers={**JSON, errors.REPLAYED: "true", "Date": "x"}) == []
    assert judged(extra=1)
    assert judged(userId=1)
    assert judged(grantedCredits=0)
    assert judged(grantedCredits=float("nan"))
    assert judged(headers={**JSON, errors.REPLAYED: "false"})
    assert judged(headers={**JSON, "Retry-After": "5"})
    assert judged(headers={"Content-Type": "text/html"})
    assert judged(status=201)
    assert judged(method="HEAD")
    no_token = error_response(errors.Unauthenticated("x"))
    assert API.problems("grantCredits", "POST", Answer(401, JSON, no_token.data)) == [
        "header www-authenticate is missing"
    ]


@settings(max_examples=500)
@given(ODD_TEXT | st.text(st.characters(exclude_categories=["Cs"]), max_size=140))
def test_the_pattern_of_a_user_id_is_the_rule_of_the_code(text: str) -> None:
    """JSON Schema's words accept exactly what is_user_id accepts, but for lone surrogates."""
    assert USER_ID.is_valid(text) == is_user_id(text)
