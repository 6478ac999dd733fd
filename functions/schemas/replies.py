"""What clients get with status 200."""

from typing import Any, Literal

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from schemas.fields import (
    BalanceCredits,
    Color,
    CostCredits,
    DeliveryStatus,
    EntryId,
    Model,
    NextPageToken,
    OwnerId,
    RequestId,
    Size,
    Status,
    Style,
    Timestamp,
    is_none,
    never_null,
)


class Reply(BaseModel):
    """What a client gets with status 200."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        from_attributes=True,
        alias_generator=AliasGenerator(serialization_alias=to_camel),
    )


class GenerationReply(Reply):
    """The image that was bought."""

    generation_request_id: RequestId
    deducted_credits: CostCredits
    image_url: str = Field(description="Where the image is.", examples=["https://images.example.com/1.png"])
    current_credits: BalanceCredits


class PendingReply(Reply):
    """A purchase whose image is being made."""

    generation_request_id: RequestId
    deducted_credits: CostCredits
    current_credits: BalanceCredits
    status: Literal["pending"] = "pending"


class CancellationReply(Reply):
    """The request that was canceled, and the credits that were given back."""

    generation_request_id: RequestId
    status: Literal["canceled"] = "canceled"
    refunded_credits: CostCredits
    current_credits: BalanceCredits


class SizePrice(Reply):
    """One size on offer."""

    size: Size
    credits: CostCredits


class CatalogReply(Reply):
    """What is on offer."""

    models: list[Model]
    styles: list[Style]
    colors: list[Color]
    sizes: list[SizePrice]


class QuoteReply(Reply):
    """What an image would cost."""

    required_credits: CostCredits
    current_credits: BalanceCredits
    covered: bool = Field(description="Whether the balance covers the price.")


class GrantReply(Reply):
    """The credits that were given."""

    transaction_id: EntryId = Field(examples=["5f3a9c0d-grant"])
    user_id: OwnerId
    granted_credits: CostCredits
    current_credits: BalanceCredits


class RevocationReply(Reply):
    """The credits that were taken back."""

    transaction_id: EntryId | None = Field(
        description="The ledger entry; null if nothing was taken.", examples=["5f3a9c0d-revocation"]
    )
    user_id: OwnerId
    revoked_credits: int = Field(ge=0, description="What was taken.", examples=[20])
    missing_credits: int = Field(ge=0, description="What was asked for and not there.", examples=[5])
    current_credits: BalanceCredits


class Transaction(Reply):
    """One ledger entry."""

    id: EntryId
    type: Literal["deduction", "refund", "grant", "revocation"]
    credits: CostCredits
    balance_after: int | None = Field(description="The balance right after it; null if none is stored.", examples=[97])
    generation_request_id: str | None = Field(
        description="The request of a deduction or refund.", examples=["5f3a9c0d"]
    )
    timestamp: Timestamp
    reason: str | None = Field(
        None, exclude_if=is_none, json_schema_extra=never_null, description="Why the credits were given or taken back."
    )


class CreditsReply(Reply):
    """A balance and a page of its ledger, newest first."""

    current_credits: BalanceCredits
    transactions: list[Transaction]
    next_page_token: NextPageToken = None


class UserReply(Reply):
    """A user who can sign in."""

    user_id: OwnerId
    email: str = Field(description="The account's e-mail address.", examples=["testuser1@example.com"])
    email_verified: bool = Field(
        description="Whether the user proved that the address is theirs; otherwise anybody may have signed up with it."
    )


class Generation(Reply):
    """One generation request."""

    generation_request_id: RequestId
    user_id: OwnerId
    model: Model
    style: Style
    color: Color
    size: Size
    prompt: str | None = Field(examples=["a lighthouse at dawn"])
    cost: CostCredits
    status: Status = Field(examples=["completed"])
    created_at: Timestamp
    updated_at: Timestamp
    image_url: str | None = Field(
        None,
        exclude_if=is_none,
        json_schema_extra=never_null,
        description="Of a completed request.",
        examples=["https://images.example.com/1.png"],
    )
    failure: str | None = Field(
        None,
        exclude_if=is_none,
        json_schema_extra=never_null,
        description="Why there is no image: REFUSED_CONTENT, PROVIDER_BUSY, TIMED_OUT, PROVIDER_FAILED, "
        "STORAGE_FAILED, LEASE_EXPIRED, ACCOUNT_DELETED, or in older requests GENERATION_FAILED.",
        examples=["PROVIDER_BUSY"],
    )


class GenerationsReply(Reply):
    """A page of a user's generation requests, newest first."""

    generation_requests: list[Generation]
    next_page_token: NextPageToken = None


class WebhookDelivery(Reply):
    """One event on its way to a receiver."""

    id: str = Field(description="The webhook-id that the receiver gets.", examples=["5f3a9c0d-completed"])
    type: str = Field(description="What happened.", examples=["generation.completed"])
    status: DeliveryStatus = Field(examples=["delivered"])
    attempts: int = Field(ge=0, description="How many attempts have ended.", examples=[1])
    created_at: Timestamp
    last_attempt_at: Timestamp | None = Field(
        description="Null before the first attempt has ended.", examples=["2026-03-09T00:00:01.000000Z"]
    )
    last_answer: str | None = Field(
        description="200, status 500, redirect 302, no answer in time, or the name of an error.", examples=["200"]
    )
    data: dict[str, Any] = Field(description="The event's data.", examples=[{"userId": "testUser1"}])


class WebhookDeliveriesReply(Reply):
    """A page of the webhook deliveries, newest first."""

    deliveries: list[WebhookDelivery]
    next_page_token: NextPageToken = None
