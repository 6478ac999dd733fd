"""What each error of errors.py looks like to a client: its schema, its headers, and an example from the code itself."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import endpoint
import errors
import ledger
import openapi_examples
import validation
from catalog import Catalog
from errors import ApiError
from handlers import REPLAYED
from openapi_schemas import (
    BALANCE,
    CATALOG,
    CREDITS,
    MODEL,
    REQUEST_ID,
    TEXT,
    Schema,
    closed,
    described,
    header,
    reference,
)

PROBLEM = closed(
    "What is wrong with one field, header or parameter.",
    {
        "field": described(TEXT, "Its name."),
        "message": described(TEXT, "What is wrong, in words."),
        "allowed": {"type": "array", "items": TEXT, "description": "The values that it may have, where they are few."},
    },
    optional=["allowed"],
)


def _refusal() -> errors.InvalidRequest:
    """What a purchase of a size that is not on offer gets."""
    catalog = Catalog(CATALOG["styles"], CATALOG["colors"], CATALOG["sizes"])
    try:
        validation.generation_request({**openapi_examples.ORDER, "size": "64x64"}, catalog, MODEL["enum"])
    except errors.InvalidRequest as error:
        return error
    raise AssertionError("a size that is not on offer was accepted")


@dataclass(frozen=True)
class Shape:
    """An instance of an error, and what details and headers others of its class may have."""

    example: ApiError
    details: Mapping[str, Schema] = field(default_factory=dict)
    optional_details: Sequence[str] = ()
    optional_headers: Sequence[str] = ()


SHAPES: Sequence[Shape] = (
    Shape(
        _refusal(),
        {
            "fields": {
                "type": "array",
                "items": reference("FieldProblem"),
                "description": "Every field at fault. Empty where the body itself is no JSON object.",
            }
        },
    ),
    Shape(
        errors.InsufficientCredits(required_credits=4, available_credits=1),
        {"required": described(CREDITS, "The price."), "available": described(BALANCE, "The balance.")},
    ),
    Shape(errors.Unauthenticated("The ID token is invalid, expired or revoked. Sign in again.")),
    Shape(errors.PermissionDenied("Only an admin may use another user's account.")),
    Shape(errors.UserNotFound()),
    Shape(errors.GenerationNotFound()),
    Shape(errors.ReportNotFound()),
    Shape(errors.MethodNotAllowed(["POST"])),
    Shape(errors.IdempotencyInFlight(ledger.IN_FLIGHT_RETRY_SECONDS)),
    Shape(errors.BodyTooLarge(endpoint.MAX_BODY_BYTES)),
    Shape(errors.IdempotencyMismatch()),
    Shape(
        errors.TooManyPending(most_pending=5, retry_after_seconds=ledger.IN_FLIGHT_RETRY_SECONDS),
        {"maxPending": {"type": "integer", "minimum": 1, "description": "How many a user may have at once."}},
    ),
    Shape(
        errors.GenerationFailed(refunded_credits=3, generation_request_id=openapi_examples.FAILED_ID),
        {
            "refundedCredits": described(CREDITS, "What is back in the balance."),
            "generationRequestId": REQUEST_ID,
        },
        optional_headers=[*REPLAYED],
    ),
    Shape(
        errors.Internal().found_under("5f0c6d1f3c0b4d0f9f6e4a1b2c3d4e5f"),
        {"errorId": described(TEXT, "The id under which the log tells more. Quote it to whoever runs this API.")},
    ),
    Shape(
        errors.Unavailable("Firestore did not answer in time. Try again."),
        {
            "idempotencyKey": described(
                TEXT,
                "The key of a purchase whose end is not known, the client's own or one chosen for it. "
                "Sent again with this key, the request tells how it ended.",
            )
        },
        optional_details=["idempotencyKey"],
    ),
)
_BY_CLASS = {type(shape.example): shape for shape in SHAPES}
# Told apart in the log only.
SAME_AS: Mapping[type[ApiError], type[ApiError]] = {errors.BrokenDocument: errors.Internal}


def schemas() -> dict[str, Schema]:
    """Each error's schema, by its name."""
    found = {error.__name__: _schema(shape) for error, shape in _BY_CLASS.items()}
    same = {error.__name__: described(reference(other.__name__), meaning(error)) for error, other in SAME_AS.items()}
    return {"FieldProblem": PROBLEM, **found, **same}


def examples() -> dict[str, Any]:
    """Each error as the code renders it, by its name."""
    return {
        error.__name__: {"summary": meaning(error), "value": endpoint.error_response(shape.example).json}
        for error, shape in _BY_CLASS.items()
    }


def by_status(classes: Iterable[type[ApiError]]) -> list[list[type[ApiError]]]:
    """The errors, together those of one HTTP status."""
    ordered = sorted(classes, key=lambda error: (error.http_status, error.__name__))
    return [list(group) for _, group in groupby(ordered, key=lambda error: error.http_status)]


def response_name(classes: Sequence[type[ApiError]]) -> str:
    return "Or".join(error.__name__ for error in classes)


def response(classes: Sequence[type[ApiError]]) -> dict[str, Any]:
    """The answer of one HTTP status, which is any of these errors."""
    names = [error.__name__ for error in classes]
    shown = [error.__name__ for error in classes if error not in SAME_AS]
    schema = reference(names[0]) if len(names) == 1 else {"anyOf": [reference(name) for name in names]}
    content = {"schema": schema, "examples": {name: reference(name, "examples") for name in shown}}
    headers = _headers([_BY_CLASS[SAME_AS.get(error, error)] for error in classes])
    return {
        "description": _one_of([meaning(error) for error in classes if error not in SAME_AS]),
        **({"headers": headers} if headers else {}),
        "content": {"application/json": content},
    }


def meaning(error: type[ApiError]) -> str:
    """What the error's docstring says, without the HTTP status that it begins with."""
    text = " ".join((error.__doc__ or "").split())
    found = re.fullmatch(r"\d{3}: (.)(.*)", text)
    assert found, f"the docstring of {error.__name__} must begin with its HTTP status"
    return found[1].upper() + found[2]


def _one_of(meanings: Sequence[str]) -> str:
    return meanings[0] if len(meanings) == 1 else "One of:\n\n" + "".join(f"- {meaning}\n" for meaning in meanings)


def _headers(shapes: Sequence[Shape]) -> dict[str, Any]:
    """Those of the answer: required are those that all of these errors have."""
    always = [{*shape.example.headers} for shape in shapes]
    sometimes = {name for shape in shapes for name in shape.optional_headers}
    names = sorted(sometimes.union(*always))
    return {name: header(name, all(name in its for its in always)) for name in names}


def _schema(shape: Shape) -> Schema:
    error = shape.example
    reason = {"reason": {"const": error.reason}} if error.reason else {}
    details = closed("What a program may want to know.", {**reason, **shape.details}, shape.optional_details)
    body = closed(
        "The error in Google's shape.",
        {
            "code": {"const": error.http_status},
            "status": {"const": error.status},
            "message": described(TEXT, "For people."),
            "details": details,
        },
    )
    return closed(meaning(type(error)), {"error": body})
