"""One exception for each answer: its status, message, details and headers."""

import inspect
import json
from typing import Any, get_args, get_type_hints

import pytest

import errors
from api.endpoint import error_response
from errors import (
    ApiError,
    BodyTooLarge,
    BrokenDocument,
    DeliveryNotFound,
    FieldProblem,
    GenerationCanceled,
    GenerationEnded,
    GenerationFailed,
    GenerationNotFound,
    IdempotencyInFlight,
    IdempotencyMismatch,
    InsufficientCredits,
    Internal,
    InvalidRequest,
    MethodNotAllowed,
    PermissionDenied,
    ReportNotFound,
    TooManyPending,
    Unauthenticated,
    Unavailable,
    UserNotFound,
)

ONE_OF_EACH: list[ApiError] = [
    InvalidRequest("bad", [FieldProblem("style", "bad", ["anime"]), FieldProblem("x", "bad")]),
    InsufficientCredits(3, 1),
    Unauthenticated("no"),
    PermissionDenied("no"),
    UserNotFound(),
    GenerationNotFound(),
    ReportNotFound(),
    DeliveryNotFound(),
    MethodNotAllowed(["GET", "HEAD"]),
    IdempotencyInFlight(2),
    BodyTooLarge(65_536),
    IdempotencyMismatch(),
    GenerationCanceled(3, "r1"),
    GenerationEnded("completed", "r1"),
    TooManyPending(5, 2),
    GenerationFailed(3, "r1", "TIMED_OUT"),
    Unavailable("away"),
    Internal(places=["here"]).with_error_id("e1"),
    BrokenDocument("users/ann", "wrong").with_error_id("e1"),
]
EACH = pytest.mark.parametrize("error", ONE_OF_EACH, ids=lambda error: type(error).__name__)


def test_there_is_one_of_each_here() -> None:
    """A new exception comes with its tests."""
    classes = {
        found
        for _, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, ApiError) and found not in (ApiError, errors.NotFound)
    }
    assert {type(error) for error in ONE_OF_EACH} == classes


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (InsufficientCredits(3, 1), (400, "FAILED_PRECONDITION", "Insufficient credits.", "INSUFFICIENT_CREDITS")),
        (UserNotFound(), (404, "NOT_FOUND", "User not found.", None)),
        (BodyTooLarge(1), (413, "INVALID_ARGUMENT", "The body must not exceed 1 bytes.", None)),
        (MethodNotAllowed(["GET"]), (405, "INVALID_ARGUMENT", "Method not allowed. Use GET.", None)),
        (
            GenerationFailed(3, "r1", "TIMED_OUT"),
            (500, "INTERNAL", "AI generation failed, credits refunded.", "GENERATION_FAILED"),
        ),
        (
            IdempotencyInFlight(2),
            (409, "ABORTED", "A request with this Idempotency-Key is still in flight.", "IDEMPOTENCY_IN_FLIGHT"),
        ),
        (
            IdempotencyMismatch(),
            (
                422,
                "INVALID_ARGUMENT",
                "This Idempotency-Key was already used for a different request.",
                "IDEMPOTENCY_MISMATCH",
            ),
        ),
        (
            TooManyPending(5, 2),
            (
                429,
                "RESOURCE_EXHAUSTED",
                "Too many generations in flight. A user may have 5 at once.",
                "TOO_MANY_PENDING",
            ),
        ),
        (InvalidRequest("bad"), (400, "INVALID_ARGUMENT", "bad", "INVALID_REQUEST")),
        (Unauthenticated("no"), (401, "UNAUTHENTICATED", "no", None)),
        (PermissionDenied("no"), (403, "PERMISSION_DENIED", "no", None)),
        (Unavailable("away"), (503, "UNAVAILABLE", "away", None)),
        (Internal(), (500, "INTERNAL", "Internal error.", None)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_the_contracts_answer(error: ApiError, answer: tuple[int, str, str, str | None]) -> None:
    """Status, canonical code, message and reason as in the table of the design."""
    assert (error.http_status, error.status, error.message, error.details.get("reason")) == answer


@EACH
def test_an_error_has_the_details_and_headers_that_its_class_promises(error: ApiError) -> None:
    """OpenAPI describes them from the class."""
    hints = get_type_hints(error.details_type)
    assert set(error.details_type.__required_keys__) <= set(error.details) <= set(hints)
    if "reason" in hints:
        assert get_args(hints["reason"]) == (error.details["reason"],)
    # A replay's header comes on top, and only then.
    assert set(error.headers) == set(error.header_names) - {errors.REPLAYED}


@EACH
def test_an_error_is_rendered_in_firebases_own_shape(error: ApiError) -> None:
    """As JSON that ends with a newline, with its headers."""
    response = error_response(error)
    raw = response.get_data(as_text=True)
    assert raw.endswith("}\n")
    body: dict[str, Any] = json.loads(raw)["error"]
    assert set(body) == {"code", "status", "message", "details"}
    assert (body["code"], body["status"]) == (response.status_code, error.status)
    assert response.headers["Content-Type"] == "application/json"
    assert all(response.headers[name] == value for name, value in error.headers.items())


@EACH
def test_each_class_says_when_it_is_the_answer(error: ApiError) -> None:
    """The docstring begins with the status and is a sentence."""
    doc = inspect.getdoc(type(error)) or ""
    assert doc.startswith(f"{error.http_status}: ")
    assert doc.endswith(".")


def test_a_field_problem_names_the_values_allowed_if_they_are_a_closed_list() -> None:
    """Otherwise the key is not there."""
    assert FieldProblem("style", "bad", ["anime"]).to_details() == {
        "field": "style",
        "message": "bad",
        "allowed": ["anime"],
    }
    assert FieldProblem("x", "bad").to_details() == {"field": "x", "message": "bad"}


def test_what_goes_to_the_log_does_not_go_to_the_client() -> None:
    """An internal error shows the id of its line and nothing more."""
    error = BrokenDocument("users/ann", "credits is wrong").with_error_id("e1")
    assert error.log_fields == {"document": "users/ann", "problem": "credits is wrong"}
    assert error.details == {"errorId": "e1"}
    assert "ann" not in error_response(error).get_data(as_text=True)


def test_a_header_of_one_answer_is_not_on_another() -> None:
    """Each exception has its own."""
    GenerationFailed(3, "r1", "PROVIDER_BUSY", is_replay=True, retry_after_seconds=2)
    assert GenerationFailed(3, "r1", "TIMED_OUT").headers == {}
