"""The `details` of each error: what a client's code can act on."""

from typing import Literal, NotRequired

# pydantic, which describes these types for OpenAPI, needs this one on Python 3.11.
from typing_extensions import TypedDict


class FieldDetails(TypedDict):
    """One field at fault."""

    field: str
    message: str
    allowed: NotRequired[list[str]]


class NoDetails(TypedDict):
    """Nothing more than the message."""


class InvalidRequestDetails(TypedDict):
    """Every field at fault."""

    reason: Literal["INVALID_REQUEST"]
    fields: list[FieldDetails]


class InsufficientCreditsDetails(TypedDict):
    """How many credits are needed, and how many there are."""

    reason: Literal["INSUFFICIENT_CREDITS"]
    required: int
    available: int


class InFlightDetails(TypedDict):
    """Try again with the same key."""

    reason: Literal["IDEMPOTENCY_IN_FLIGHT"]


class MismatchDetails(TypedDict):
    """Send a new key."""

    reason: Literal["IDEMPOTENCY_MISMATCH"]


class TooManyPendingDetails(TypedDict):
    """How many generations a user may have in flight."""

    reason: Literal["TOO_MANY_PENDING"]
    maxPending: int


class GenerationFailedDetails(TypedDict):
    """Why there is no image, what was given back, and for which request."""

    reason: Literal["GENERATION_FAILED"]
    failure: str
    refundedCredits: int
    generationRequestId: str


class GenerationCanceledDetails(TypedDict):
    """What was given back, and for which request."""

    reason: Literal["GENERATION_CANCELED"]
    refundedCredits: int
    generationRequestId: str


class GenerationEndedDetails(TypedDict):
    """How the request had ended."""

    reason: Literal["GENERATION_ENDED"]
    outcome: Literal["completed", "failed"]
    generationRequestId: str


class UnavailableDetails(TypedDict):
    """For a purchase, the key to send again."""

    idempotencyKey: NotRequired[str]


class InternalDetails(TypedDict):
    """The id of the log line that has the cause."""

    errorId: str
