"""One exception for each answer that the API can give; endpoint.py renders them, nothing else does.

The shape and the canonical codes are Google's: https://cloud.google.com/apis/design/errors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field of a request, and what it may be where that is a closed list."""

    field: str
    message: str
    allowed: Sequence[str] | None = None

    def to_dict(self) -> dict[str, Any]:
        problem: dict[str, Any] = {"field": self.field, "message": self.message}
        if self.allowed is not None:
            problem["allowed"] = list(self.allowed)
        return problem


class ApiError(Exception):
    """An answer other than 200: HTTP status, canonical code, message for the client, details, headers."""

    http_status: ClassVar[int] = 500
    status: ClassVar[str] = "INTERNAL"
    reason: ClassVar[str | None] = None

    def __init__(self, message: str, headers: Mapping[str, str] | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})
        self.details = {"reason": self.reason, **details} if self.reason else details


class InvalidRequest(ApiError):
    """400: at least one field is missing, mistyped or out of its range; names every one."""

    http_status = 400
    status = "INVALID_ARGUMENT"
    reason = "INVALID_REQUEST"

    def __init__(self, message: str, problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__(message, fields=[problem.to_dict() for problem in problems])
        self.problems = problems

    @classmethod
    def of_field(cls, field: str, message: str, allowed: Sequence[str] | None = None) -> "InvalidRequest":
        return cls(message, [FieldProblem(field, message, allowed)])


class InsufficientCredits(ApiError):
    """400: the balance is smaller than the price."""

    http_status = 400
    status = "FAILED_PRECONDITION"
    reason = "INSUFFICIENT_CREDITS"

    def __init__(self, required_credits: int, available_credits: int) -> None:
        super().__init__("Insufficient credits.", required=required_credits, available=available_credits)


class Unauthenticated(ApiError):
    """401: no identity, or none that can be believed."""

    http_status = 401
    status = "UNAUTHENTICATED"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class PermissionDenied(ApiError):
    """403: the caller is known, and may not do this."""

    http_status = 403
    status = "PERMISSION_DENIED"


class UserNotFound(ApiError):
    """404: no document of that user."""

    http_status = 404
    status = "NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("User not found.")


class GenerationNotFound(ApiError):
    """404: no such generation request."""

    http_status = 404
    status = "NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Generation request not found.")


class ReportNotFound(ApiError):
    """404: no such weekly report, or none yet."""

    http_status = 404
    status = "NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Report not found.")


class MethodNotAllowed(ApiError):
    """405: not a method of this function; `Allow` names those that are."""

    http_status = 405
    status = "INVALID_ARGUMENT"

    def __init__(self, allowed: Sequence[str]) -> None:
        methods = ", ".join(allowed)
        super().__init__(f"Method not allowed. Use {methods}.", headers={"Allow": methods})


class IdempotencyInFlight(ApiError):
    """409: the first request with this Idempotency-Key has not ended yet."""

    http_status = 409
    status = "ABORTED"
    reason = "IDEMPOTENCY_IN_FLIGHT"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            "A request with this Idempotency-Key is still in flight.",
            headers={"Retry-After": str(retry_after_seconds)},
        )


class IdempotencyMismatch(ApiError):
    """422: this Idempotency-Key was used for a different request."""

    http_status = 422
    status = "INVALID_ARGUMENT"
    reason = "IDEMPOTENCY_MISMATCH"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was already used for a different request.")


class BodyTooLarge(ApiError):
    """413: the body is over the limit."""

    http_status = 413
    status = "INVALID_ARGUMENT"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body must not exceed {limit_bytes} bytes.")


class TooManyPending(ApiError):
    """429: the user has as many generations in flight as one user may; ending one makes room."""

    http_status = 429
    status = "RESOURCE_EXHAUSTED"
    reason = "TOO_MANY_PENDING"

    def __init__(self, most_pending: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"Too many generations in flight. A user may have {most_pending} at once.",
            headers={"Retry-After": str(retry_after_seconds)},
            maxPending=most_pending,
        )


class GenerationFailed(ApiError):
    """500: the model gave no image; the credits are back."""

    http_status = 500
    status = "INTERNAL"
    reason = "GENERATION_FAILED"

    def __init__(
        self, refunded_credits: int, generation_request_id: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(
            "AI generation failed, credits refunded.",
            headers,
            refundedCredits=refunded_credits,
            generationRequestId=generation_request_id,
        )


class Unavailable(ApiError):
    """503: Firestore is away, or others kept changing the same documents; worth trying again."""

    http_status = 503
    status = "UNAVAILABLE"

    def __init__(self, message: str, retry_after_seconds: int = 2) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_seconds)})


class Internal(ApiError):
    """500: anything unforeseen. The client learns nothing of the cause but the id under which the log has it."""

    def __init__(self, **log_fields: Any) -> None:
        super().__init__("Internal error.")
        self.log_fields = log_fields

    def found_under(self, error_id: str) -> "Internal":
        """The same answer, with the id under which the log tells more."""
        self.details["errorId"] = error_id
        return self


class BrokenDocument(Internal):
    """500: a stored document does not hold what it must; names it for the operator."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(document=path, problem=problem)
