"""Which function answers which method, for whom, with which handler, and with which errors. One row each.

api/endpoint.py serves from this table and api/openapi.py describes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel

import handlers
import webhook_handlers
from calls import Call, HandlerResult
from errors import (
    ApiError,
    BodyTooLarge,
    DeliveryNotFound,
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
from handlers import Services
from schemas import replies, requests
from schemas.fields import KEY_HEADER, PREFER_HEADER
from schemas.report import OlderReport, WeeklyReport, WeeklyReportsReply


class Access(Enum):
    """Who may call."""

    PUBLIC = "Everybody, without a token."
    USERS = "Users for themselves, admins for everybody."
    ADMINS = "Admins."


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one function; `replies` are the models of a 200 answer, or its media type if it is not JSON."""

    function: str
    method: str
    handle: Callable[[Any, Call, Services], HandlerResult]
    input: type[requests.Input]
    replies: Sequence[type[BaseModel] | str]
    access: Access
    errors: Sequence[type[ApiError]]

    @property
    def has_body(self) -> bool:
        """Whether the input is a JSON body; otherwise it is the query string."""
        return issubclass(self.input, requests.Body)

    @property
    def takes_key(self) -> bool:
        """Whether it takes an Idempotency-Key."""
        return KEY_HEADER in self.headers

    @property
    def headers(self) -> Sequence[str]:
        """The fields of the input that are headers."""
        names = {field.validation_alias for field in self.input.model_fields.values()}
        return [header for header in (KEY_HEADER, PREFER_HEADER) if header in names]

    @property
    def takes_preference(self) -> bool:
        """Whether the client can prefer an answer before the work is done."""
        return PREFER_HEADER in self.headers

    @property
    def draws(self) -> bool:
        """Whether the answer is a picture, which clients cache."""
        return PICTURE in self.replies

    @property
    def models(self) -> Sequence[type[BaseModel]]:
        """The replies in JSON."""
        return [reply for reply in self.replies if not isinstance(reply, str)]

    @property
    def media_types(self) -> Sequence[str]:
        """The media types of a 200 answer other than JSON."""
        return [reply for reply in self.replies if isinstance(reply, str)]

    @property
    def acts_for_user(self) -> bool:
        """Whether the input has a user, by default the caller."""
        return self.access is Access.USERS and "user_id" in self.input.model_fields

    @property
    def has_options(self) -> bool:
        """Whether the catalog decides what some fields may hold."""
        return issubclass(self.input, requests.GenerationOptions)


ALWAYS = (InvalidRequest, MethodNotAllowed, Internal)
SIGNED_IN = (*ALWAYS, Unauthenticated, PermissionDenied, Unavailable)
BUYING = (
    InsufficientCredits,
    UserNotFound,
    IdempotencyInFlight,
    GenerationCanceled,
    BodyTooLarge,
    IdempotencyMismatch,
    TooManyPending,
    GenerationFailed,
)

USERS, ADMINS = Access.USERS, Access.ADMINS
PAGE, PICTURE = "text/html", "image/png"
# fmt: off
OPERATIONS = (
    Operation("createGenerationRequest", "POST", handlers.create_generation_request,
              requests.GenerationOrder, [replies.GenerationReply], USERS, [*SIGNED_IN, *BUYING]),
    Operation("cancelGenerationRequest", "POST", handlers.cancel_generation_request,
              requests.CancelOrder, [replies.CancellationReply], USERS,
              [*SIGNED_IN, GenerationNotFound, UserNotFound, GenerationEnded, BodyTooLarge]),
    Operation("quoteGeneration", "POST", handlers.quote_generation,
              requests.QuoteOrder, [replies.QuoteReply], USERS, [*SIGNED_IN, UserNotFound, BodyTooLarge]),
    Operation("getGenerationRequest", "GET", handlers.get_generation_request,
              requests.GenerationQuery, [replies.Generation], USERS, [*SIGNED_IN, GenerationNotFound]),
    Operation("listGenerationRequests", "GET", handlers.list_generation_requests,
              requests.GenerationsQuery, [replies.GenerationsReply], USERS, [*SIGNED_IN, UserNotFound]),
    Operation("getUserCredits", "GET", handlers.get_user_credits,
              requests.CreditsQuery, [replies.CreditsReply], USERS, [*SIGNED_IN, UserNotFound]),
    Operation("findUser", "GET", handlers.find_user,
              requests.UserQuery, [replies.UserReply], ADMINS, [*SIGNED_IN, UserNotFound]),
    Operation("grantCredits", "POST", handlers.grant_credits,
              requests.GrantOrder, [replies.GrantReply], ADMINS, [*SIGNED_IN, BodyTooLarge, IdempotencyMismatch]),
    Operation("revokeCredits", "POST", handlers.revoke_credits,
              requests.RevocationOrder, [replies.RevocationReply], ADMINS,
              [*SIGNED_IN, UserNotFound, BodyTooLarge, IdempotencyMismatch]),
    Operation("getWeeklyReport", "GET", handlers.read_weekly_report,
              requests.ReportQuery, [WeeklyReport, OlderReport, PAGE], ADMINS, [*SIGNED_IN, ReportNotFound]),
    Operation("getWeeklyReport", "POST", handlers.make_weekly_report,
              requests.MakeReportQuery, [WeeklyReport, PAGE], ADMINS, SIGNED_IN),
    Operation("listWeeklyReports", "GET", handlers.list_weekly_reports,
              requests.ReportsQuery, [WeeklyReportsReply], ADMINS, SIGNED_IN),
    Operation("listWebhookDeliveries", "GET", webhook_handlers.list_webhook_deliveries,
              requests.DeliveriesQuery, [replies.WebhookDeliveriesReply], ADMINS, SIGNED_IN),
    Operation("resendWebhookDelivery", "POST", webhook_handlers.resend_webhook_delivery,
              requests.ResendOrder, [replies.WebhookDelivery], ADMINS, [*SIGNED_IN, DeliveryNotFound, BodyTooLarge]),
    Operation("getCatalog", "GET", handlers.get_catalog,
              requests.NoQuery, [replies.CatalogReply], Access.PUBLIC, [*ALWAYS, Unavailable]),
    Operation("simulatedImage", "GET", handlers.show_simulated_image,
              requests.PictureQuery, [PICTURE], Access.PUBLIC, [*ALWAYS, GenerationNotFound, Unavailable]),
    Operation("openapi", "GET", handlers.describe_api,
              requests.NoQuery, ["application/yaml"], Access.PUBLIC, ALWAYS),
)
# fmt: on


def _by_method(function: str) -> Mapping[str, Operation]:
    """A function that answers GET also answers HEAD."""
    found = {operation.method: operation for operation in OPERATIONS if operation.function == function}
    return {**found, "HEAD": found["GET"]} if "GET" in found else found


# The operations of each function, by method.
FUNCTIONS: Mapping[str, Mapping[str, Operation]] = {each.function: _by_method(each.function) for each in OPERATIONS}
