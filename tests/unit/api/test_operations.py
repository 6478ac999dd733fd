"""The table of operations: which function answers which method, for whom, with which errors."""

import ast
from pathlib import Path

import pytest

from api.operations import FUNCTIONS, OPERATIONS, Access, Operation
from errors import (
    BodyTooLarge,
    IdempotencyMismatch,
    Internal,
    InvalidRequest,
    MethodNotAllowed,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    UserNotFound,
)

MAIN = Path(__file__).resolve().parents[3] / "functions" / "main.py"
EACH = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.function}")


def test_each_function_answers_its_methods() -> None:
    """What answers GET answers HEAD too; the order is that of the Allow header."""
    assert {function: [*methods] for function, methods in FUNCTIONS.items()} == {
        "createGenerationRequest": ["POST"],
        "cancelGenerationRequest": ["POST"],
        "quoteGeneration": ["POST"],
        "getGenerationRequest": ["GET", "HEAD"],
        "listGenerationRequests": ["GET", "HEAD"],
        "getUserCredits": ["GET", "HEAD"],
        "findUser": ["GET", "HEAD"],
        "grantCredits": ["POST"],
        "revokeCredits": ["POST"],
        "getWeeklyReport": ["GET", "POST", "HEAD"],
        "listWeeklyReports": ["GET", "HEAD"],
        "listWebhookDeliveries": ["GET", "HEAD"],
        "resendWebhookDelivery": ["POST"],
        "getCatalog": ["GET", "HEAD"],
        "simulatedImage": ["GET", "HEAD"],
        "openapi": ["GET", "HEAD"],
    }


def test_main_serves_every_function_of_the_table_and_no_other() -> None:
    """Each under its own name."""
    served = {}
    for node in ast.walk(ast.parse(MAIN.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "serve":
                    served[node.name] = ast.literal_eval(call.args[1])
    assert served == {function: function for function in FUNCTIONS}


def test_who_may_call_what() -> None:
    """Credits are given and reports are read by admins only; everything of a user is the user's."""
    access = {(each.method, each.function): each.access for each in OPERATIONS}
    admins = {call for call, who in access.items() if who is Access.ADMINS}
    public = {call for call, who in access.items() if who is Access.PUBLIC}
    assert admins == {
        ("GET", "findUser"),
        ("POST", "grantCredits"),
        ("POST", "revokeCredits"),
        ("GET", "getWeeklyReport"),
        ("POST", "getWeeklyReport"),
        ("GET", "listWeeklyReports"),
        ("GET", "listWebhookDeliveries"),
        ("POST", "resendWebhookDelivery"),
    }
    assert public == {("GET", "openapi"), ("GET", "getCatalog"), ("GET", "simulatedImage")}


@EACH
def test_each_operation_lists_the_errors_of_its_kind(operation: Operation) -> None:
    """Bad requests and methods always; tokens if it is not public; the body's limit and the key's if it takes them."""
    errors = set(operation.errors)
    assert len(errors) == len(operation.errors)
    assert errors >= {InvalidRequest, MethodNotAllowed, Internal}
    is_signed_in = operation.access is not Access.PUBLIC
    assert (errors >= {Unauthenticated, PermissionDenied, Unavailable}) == is_signed_in
    assert (BodyTooLarge in errors) == operation.has_body
    assert (IdempotencyMismatch in errors) == operation.takes_key


@EACH
def test_an_operation_on_a_user_who_must_exist_may_not_find_them(operation: Operation) -> None:
    """A grant opens an account instead, and a request is found by its own id."""
    needs_user = operation.acts_for_user or operation.function in (
        "findUser",
        "revokeCredits",
        "cancelGenerationRequest",
    )
    assert (UserNotFound in operation.errors) == needs_user


@EACH
def test_only_a_post_takes_a_body(operation: Operation) -> None:
    """A GET has its query; the manual report has no body either."""
    assert operation.has_body == (operation.method == "POST" and operation.function != "getWeeklyReport")


def test_the_catalog_decides_what_can_be_bought_and_priced() -> None:
    """Only these two name the values allowed."""
    assert [each.function for each in OPERATIONS if each.has_options] == ["createGenerationRequest", "quoteGeneration"]
