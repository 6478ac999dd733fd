"""One exception for each answer of the API other than 200: its status, message, details and headers.

The shape and the canonical codes are Google's: https://cloud.google.com/apis/design/errors. api/endpoint.py renders
these exceptions and api/openapi.py describes them from the class attributes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from errors.details import (
    FieldDetails,
    GenerationCanceledDetails,
    GenerationEndedDetails,
    GenerationFailedDetails,
    InFlightDetails,
    InsufficientCreditsDetails,
    InternalDetails,
    InvalidRequestDetails,
    MismatchDetails,
    NoDetails,
    TooManyPendingDetails,
    UnavailableDetails,
)

RETRY_AFTER = "Retry-After"
# Set on an answer that repeats an earlier one for the same Idempotency-Key.
REPLAYED = "Idempotent-Replayed"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field of a request, and the values allowed if they are a closed list."""

    field: str
    message: str
    allowed: Sequence[str] | None = None
    is_missing: bool = False

    def to_details(self) -> FieldDetails:
        """The problem as the client reads it."""
        problem: FieldDetails = {"field": self.field, "message": self.message}
        if self.allowed is not None:
            problem["allowed"] = list(self.allowed)
        return problem


class ApiError(Exception):
    """An answer other than 200. `header_names` are always sent, `optional_header_names` sometimes."""

    http_status: ClassVar[int] = 500
    status: ClassVar[str] = "INTERNAL"
    reason: ClassVar[str | None] = None
    details_type: ClassVar[type[Any]] = NoDetails
    header_names: ClassVar[tuple[str, ...]] = ()
    optional_header_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, message: str, headers: Mapping[str, str] | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})
        self.details = {"reason": self.reason, **details} if self.reason else details


class InvalidRequest(ApiError):
    """400: A field is missing, of the wrong type, unknown or out of range. Names every such field."""

    http_status = 400
    status = "INVALID_ARGUMENT"
    reason = "INVALID_REQUEST"
    details_type = InvalidRequestDetails

    def __init__(self, message: str, problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__(message, fields=[problem.to_details() for problem in problems])

    @classmethod
    def of_field(cls, field: str, message: str) -> "InvalidRequest":
        """The error for one field."""
        return cls(message, [FieldProblem(field, message)])

    @classmethod
    def of_page_token(cls) -> "InvalidRequest":
        """The error for a pageToken of another list, or one that somebody made up."""
        return cls.of_field("pageToken", "pageToken is not one that this endpoint gave.")


class InsufficientCredits(ApiError):
    """400: The balance is smaller than the price."""

    http_status = 400
    status = "FAILED_PRECONDITION"
    reason = "INSUFFICIENT_CREDITS"
    details_type = InsufficientCreditsDetails

    def __init__(self, required_credits: int, available_credits: int) -> None:
        super().__init__("Insufficient credits.", required=required_credits, available=available_credits)


class Unauthenticated(ApiError):
    """401: The ID token is missing or not valid."""

    http_status = 401
    status = "UNAUTHENTICATED"
    header_names = ("WWW-Authenticate",)

    def __init__(self, message: str, why: str = "") -> None:
        """`why` is for the log only: it would help an attacker."""
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})
        self.why = why


class PermissionDenied(ApiError):
    """403: The caller is known and may not do this."""

    http_status = 403
    status = "PERMISSION_DENIED"


class NotFound(ApiError):
    """404: The document does not exist."""

    http_status = 404
    status = "NOT_FOUND"
    what: ClassVar[str]

    def __init__(self) -> None:
        super().__init__(f"{self.what} not found.")


class UserNotFound(NotFound):
    """404: No such user."""

    what = "User"


class GenerationNotFound(NotFound):
    """404: No such generation request; for a picture also: it has no picture, or the token is wrong."""

    what = "Generation request"


class ReportNotFound(NotFound):
    """404: No such weekly report, or none yet."""

    what = "Report"


class DeliveryNotFound(NotFound):
    """404: No such webhook delivery; it is kept for 30 days."""

    what = "Webhook delivery"


class MethodNotAllowed(ApiError):
    """405: Not a method of this function. `Allow` names those that are."""

    http_status = 405
    status = "INVALID_ARGUMENT"
    header_names = ("Allow",)

    def __init__(self, allowed: Sequence[str]) -> None:
        methods = ", ".join(allowed)
        super().__init__(f"Method not allowed. Use {methods}.", headers={"Allow": methods})


class IdempotencyInFlight(ApiError):
    """409: The first request with this Idempotency-Key has not ended yet."""

    http_status = 409
    status = "ABORTED"
    reason = "IDEMPOTENCY_IN_FLIGHT"
    details_type = InFlightDetails
    header_names = (RETRY_AFTER,)

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            "A request with this Idempotency-Key is still in flight.", headers={RETRY_AFTER: str(retry_after_seconds)}
        )


class GenerationCanceled(ApiError):
    """409: There is no image, since the request was canceled; the credits were refunded."""

    http_status = 409
    status = "ABORTED"
    reason = "GENERATION_CANCELED"
    details_type = GenerationCanceledDetails
    optional_header_names = (REPLAYED,)

    def __init__(self, refunded_credits: int, generation_request_id: str, *, is_replay: bool = False) -> None:
        super().__init__(
            "The request was canceled, credits refunded.",
            headers={REPLAYED: "true"} if is_replay else {},
            refundedCredits=refunded_credits,
            generationRequestId=generation_request_id,
        )


class GenerationEnded(ApiError):
    """409: The request had ended before it could be canceled."""

    http_status = 409
    status = "ABORTED"
    reason = "GENERATION_ENDED"
    details_type = GenerationEndedDetails

    def __init__(self, outcome: str, generation_request_id: str) -> None:
        super().__init__(
            f"The request has already {outcome}." if outcome == "failed" else "The request is already completed.",
            outcome=outcome,
            generationRequestId=generation_request_id,
        )


class BodyTooLarge(ApiError):
    """413: The body is over the limit."""

    http_status = 413
    status = "INVALID_ARGUMENT"

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The body must not exceed {max_bytes} bytes.")


class IdempotencyMismatch(ApiError):
    """422: This Idempotency-Key was used for a different request."""

    http_status = 422
    status = "INVALID_ARGUMENT"
    reason = "IDEMPOTENCY_MISMATCH"
    details_type = MismatchDetails

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was already used for a different request.")


class TooManyPending(ApiError):
    """429: The user has as many generations in flight as allowed. Each one that ends makes room."""

    http_status = 429
    status = "RESOURCE_EXHAUSTED"
    reason = "TOO_MANY_PENDING"
    details_type = TooManyPendingDetails
    header_names = (RETRY_AFTER,)

    def __init__(self, max_pending: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"Too many generations in flight. A user may have {max_pending} at once.",
            headers={RETRY_AFTER: str(retry_after_seconds)},
            maxPending=max_pending,
        )


class GenerationFailed(ApiError):
    """500: There is no image, since the model failed or was too late; the credits were refunded."""

    http_status = 500
    status = "INTERNAL"
    reason = "GENERATION_FAILED"
    details_type = GenerationFailedDetails
    optional_header_names = (REPLAYED, RETRY_AFTER)

    def __init__(
        self,
        refunded_credits: int,
        generation_request_id: str,
        failure: str,
        *,
        retry_after_seconds: int | None = None,
        is_replay: bool = False,
    ) -> None:
        """`retry_after_seconds` is what a busy provider asks for."""
        super().__init__(
            "AI generation failed, credits refunded.",
            failure=failure,
            refundedCredits=refunded_credits,
            generationRequestId=generation_request_id,
        )
        if is_replay:
            self.headers[REPLAYED] = "true"
        if retry_after_seconds is not None:
            self.headers[RETRY_AFTER] = str(retry_after_seconds)


class Unavailable(ApiError):
    """503: The answer could not be made in time, or Firestore, Firebase or the catalog is not available. Try again."""

    http_status = 503
    status = "UNAVAILABLE"
    details_type = UnavailableDetails
    header_names = (RETRY_AFTER,)

    def __init__(self, message: str, retry_after_seconds: int = 2, advice: str | None = None) -> None:
        """`advice` is for the log: what an operator has to do, if a retry cannot help."""
        super().__init__(message, headers={RETRY_AFTER: str(retry_after_seconds)})
        self.advice = advice


class Internal(ApiError):
    """500: Unexpected. The client gets a generic message and the id of the log line that has the cause."""

    details_type = InternalDetails

    def __init__(self, **log_fields: Any) -> None:
        super().__init__("Internal error.")
        self.log_fields = log_fields

    def with_error_id(self, error_id: str) -> "Internal":
        """The same answer with the id of its log line."""
        self.details["errorId"] = error_id
        return self


class BrokenDocument(Internal):
    """500: A stored document has a wrong value. The log names the document."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(document=path, problem=problem)
