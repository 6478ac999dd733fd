"""functions/openapi.yaml against the code that it describes."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

import errors
import make_openapi
import openapi_examples
import records
import validation
from catalog import Catalog
from database import is_plain_id
from description import FILE, Description, violations
from openapi_schemas import CATALOG, MODEL

MAIN = Path(__file__).resolve().parents[2] / "functions" / "main.py"
API = Description()
USER_ID = API.validator(API.document["components"]["parameters"]["userId"]["schema"])
ODD_TEXT = st.text(st.sampled_from("._/a\n\0\x7f\x85\u2028\N{PILE OF POO}"), max_size=6)


def subclasses(error: type[errors.ApiError]) -> Iterator[type[errors.ApiError]]:
    for its in error.__subclasses__():
        yield its
        yield from subclasses(its)


def routes() -> dict[str, set[str]]:
    """Every HTTP function of main.py with the methods of its route."""
    functions = [node for node in ast.parse(MAIN.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    return {
        function.name: {ast.literal_eval(key) for key in _route(function).keys if key is not None}
        for function in functions
        if any("on_request" in ast.unparse(decorator) for decorator in function.decorator_list)
    }


def _route(function: ast.FunctionDef) -> ast.Dict:
    [handlers] = [
        node.args[0]
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Route"
    ]
    assert isinstance(handlers, ast.Dict)
    return handlers


def bodies() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every request and answer of every operation, with where it is."""
    for path, operations in API.document["paths"].items():
        for method, operation in operations.items():
            requests = [("request", operation["requestBody"])] if "requestBody" in operation else []
            answers = [(status, API.resolved(answer)) for status, answer in operation["responses"].items()]
            for name, body in [*requests, *answers]:
                for media_type, content in body["content"].items():
                    yield f"{method} {path} {name} {media_type}", content


def examples(content: Mapping[str, Any]) -> list[Any]:
    named = [API.resolved(example)["value"] for example in content.get("examples", {}).values()]
    return [*named, *([content["example"]] if "example" in content else [])]


def parts(part: Any) -> Iterator[Mapping[str, Any]]:
    """Every part of the document, whether it is a schema or not."""
    if isinstance(part, Mapping):
        yield part
    if isinstance(part, Mapping | list):
        for its in part.values() if isinstance(part, Mapping) else part:
            yield from parts(its)


def test_the_file_is_what_the_code_says() -> None:
    """functions/openapi.yaml is up to date; else run scripts/make_openapi.py."""
    assert FILE.read_text(encoding="utf-8") == make_openapi.as_yaml()


def test_it_is_openapi_3_1() -> None:
    """The official schema of OpenAPI 3.1 accepts the document, with every reference in it."""
    assert API.document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(API.document).validate()


def test_every_function_and_method_is_described_and_no_other() -> None:
    """The paths are the HTTP functions of main.py, each with the methods of its route."""
    assert API.methods == routes()


def test_every_error_is_described() -> None:
    """Each ApiError of errors.py has a schema with its own code, status and reason, and some endpoint gives it."""
    given_by_some = {
        part["$ref"].rpartition("/")[2]
        for where, content in bodies()
        for part in parts(content)
        if "$ref" in part and "/schemas/" in part["$ref"]
    }
    for error in subclasses(errors.ApiError):
        schema = API.resolved(API.document["components"]["schemas"][error.__name__])
        fields = schema["properties"]["error"]["properties"]
        reason = fields["details"].get("properties", {}).get("reason", {"const": None})
        assert (fields["code"]["const"], fields["status"]["const"]) == (error.http_status, error.status)
        assert reason["const"] == error.reason
        assert error.__name__ in given_by_some


def test_every_body_has_examples_that_its_schema_accepts() -> None:
    """Requests, answers and errors are shown, and what is shown is true."""
    for where, content in bodies():
        shown = examples(content)
        assert shown, where
        for example in shown:
            assert violations(API.validator(content["schema"]), example) == [], where


def test_every_other_example_is_accepted_by_its_schema() -> None:
    """Those of parameters, and those within schemas."""
    for parameter in API.document["components"]["parameters"].values():
        if "example" in parameter:
            assert violations(API.validator(parameter["schema"]), parameter["example"]) == []
    for part in parts(API.document):
        if "type" in part and isinstance(part.get("examples"), list):
            for example in part["examples"]:
                assert violations(API.validator(part), example) == []


def test_the_example_requests_pass_the_validation_itself() -> None:
    """What the description shows as a request is none that the code would refuse."""
    catalog = Catalog(CATALOG["styles"], CATALOG["colors"], CATALOG["sizes"])
    validation.generation_request(openapi_examples.ORDER, catalog, MODEL["enum"])
    validation.grant_request(openapi_examples.GRANT_ORDER, openapi_examples.GRANT_KEY, None)


@settings(max_examples=500)
@given(ODD_TEXT | st.text(st.characters(exclude_categories=["Cs"]), max_size=140))
def test_the_pattern_of_a_user_id_is_the_rule_of_the_code(text: str) -> None:
    """JSON Schema's words accept exactly what database.is_plain_id accepts, but for lone surrogates."""
    assert USER_ID.is_valid(text) == is_plain_id(text, records.MAX_USER_ID_LENGTH)
