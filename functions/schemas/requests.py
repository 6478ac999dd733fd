"""What clients send: bodies and query strings."""

from typing import Literal

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from schemas.fields import (
    KEY_HEADER,
    PREFER_HEADER,
    Color,
    DeliveryId,
    DeliveryStatus,
    Email,
    IdempotencyKey,
    Model,
    PageSize,
    PageToken,
    Prompt,
    ReportId,
    RequestIdParameter,
    Size,
    Status,
    Style,
    UserId,
    never_null,
)


class Input(BaseModel):
    """What a client sends: strict JSON types, and no other fields than these."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, alias_generator=AliasGenerator(validation_alias=to_camel)
    )


class Body(Input):
    """The JSON object of a POST."""


class QueryString(Input):
    """The parameters of a query string."""


class GenerationOptions(Body):
    """One image."""

    user_id: UserId
    model: Model
    style: Style
    color: Color
    size: Size
    prompt: Prompt = None


class GenerationOrder(GenerationOptions):
    """An image to buy."""

    idempotency_key: IdempotencyKey | None = Field(None, validation_alias=KEY_HEADER, json_schema_extra=never_null)
    prefer: str | None = Field(
        None,
        validation_alias=PREFER_HEADER,
        json_schema_extra=never_null,
        description="respond-async: answer 202 once the credits are reserved. wait=N: wait up to N seconds first.",
        examples=["respond-async"],
    )


class QuoteOrder(GenerationOptions):
    """An image to price."""


class CreditsOrder(Body):
    """An admin's change of a user's balance."""

    user_id: UserId
    credits: int = Field(ge=1, le=1_000_000_000, examples=[25])
    reason: str = Field(min_length=1, max_length=500, description="Kept in the ledger.", examples=["Order 1"])
    idempotency_key: IdempotencyKey = Field(validation_alias=KEY_HEADER)


class GrantOrder(CreditsOrder):
    """Credits to give."""


class RevocationOrder(CreditsOrder):
    """Credits to take back."""


class CancelOrder(Body):
    """A generation request to cancel."""

    generation_request_id: RequestIdParameter


class GenerationQuery(QueryString):
    """Which request to read."""

    generation_request_id: RequestIdParameter


class PictureQuery(GenerationQuery):
    """Which picture to show."""

    token: str = Field(min_length=1, max_length=64, description="From the imageUrl.", examples=["9c0d5f3a"])


class CreditsQuery(QueryString):
    """A page of a user's ledger."""

    user_id: UserId
    page_size: PageSize = 50
    after_id: PageToken | None = Field(None, validation_alias="pageToken", json_schema_extra=never_null)


class UserQuery(QueryString):
    """Which user to find."""

    email: Email


class GenerationsQuery(CreditsQuery):
    """A page of a user's requests."""

    status: Status | None = Field(None, json_schema_extra=never_null, description="Only requests of this status.")


class MakeReportQuery(QueryString):
    """How to show the report."""

    format: Literal["json", "html"] = Field("json", description="JSON, or a page for people.")


class ReportQuery(MakeReportQuery):
    """Which report to read; the latest without an id."""

    report_id: ReportId | None = Field(None, json_schema_extra=never_null)


class ReportsQuery(QueryString):
    """A page of the weekly reports."""

    page_size: PageSize = 50
    after_id: PageToken | None = Field(None, validation_alias="pageToken", json_schema_extra=never_null)


class DeliveriesQuery(ReportsQuery):
    """A page of the webhook deliveries."""

    status: DeliveryStatus | None = Field(None, json_schema_extra=never_null, description="Only those of this status.")


class ResendOrder(Body):
    """Which webhook delivery to send again."""

    delivery_id: DeliveryId


class NoQuery(QueryString):
    """No parameter."""
