"""The fields that several models share: their limits, descriptions, examples, and how they are read and written."""

import base64
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from credits.documents import MAX_USER_ID_LENGTH, is_user_id
from store import is_plain_id

KEY_HEADER = "Idempotency-Key"
PREFER_HEADER = "Prefer"
# The UTC day on which the week of a report ends; a manual report carries the time too.
REPORT_ID = r"report_([0-9]{4}-[0-9]{2}-[0-9]{2})(T[0-9]{6}Z)?"
MAX_REQUEST_ID_LENGTH = 128
MAX_ENTRY_ID_LENGTH = 300
# https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.3, without the angle brackets
MAX_EMAIL_LENGTH = 254
MAX_PAGE_SIZE = 200
# The type of an error whose message goes to the client as it is.
CONTRACT_ERROR = "contract"


def _user_id(value: Any) -> Any:
    if isinstance(value, str) and not is_user_id(value):
        raise PydanticCustomError(
            CONTRACT_ERROR,
            f"Invalid userId. It must have 1 to {MAX_USER_ID_LENGTH} characters, none of them '/' or a control "
            "character, and not be '.', '..' or '__…__'.",
        )
    return value


def _key(value: Any) -> Any:
    if isinstance(value, str) and not (1 <= len(value) <= 255 and all("\x21" <= each <= "\x7e" for each in value)):
        raise PydanticCustomError(CONTRACT_ERROR, f"{KEY_HEADER} must be 1 to 255 visible ASCII characters.")
    return value


def _given_id(name: str, max_length: int) -> BeforeValidator:
    """Refuses what cannot be an id that this API gave."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and value and not is_plain_id(value, max_length):
            raise PydanticCustomError(CONTRACT_ERROR, f"{name} is not one that this API gave.")
        return value

    return BeforeValidator(check)


def _report_id(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(REPORT_ID, value):
        raise PydanticCustomError(
            CONTRACT_ERROR, "reportId must have the form report_YYYY-MM-DD or report_YYYY-MM-DDTHHMMSSZ."
        )
    return value


def _id_in_token(value: Any) -> Any:
    """The id in the token: that of the last document on the previous page."""
    try:
        found = base64.b64decode(value, altchars=b"-_", validate=True).decode()
    except ValueError:
        found = ""
    if not is_plain_id(found, MAX_ENTRY_ID_LENGTH):
        raise PydanticCustomError(CONTRACT_ERROR, "pageToken is not one that this endpoint gave.")
    return found


def page_token(last_id: str | None) -> str | None:
    """The opaque token of the page after this document; None if there is no such page."""
    return None if last_id is None else base64.urlsafe_b64encode(last_id.encode()).decode()


def _email(value: Any) -> Any:
    if isinstance(value, str) and not (len(value) <= MAX_EMAIL_LENGTH and re.fullmatch(_EMAIL, value)):
        raise PydanticCustomError(
            CONTRACT_ERROR, f"email must be an e-mail address of at most {MAX_EMAIL_LENGTH} characters."
        )
    return value


def _digits(value: Any) -> Any:
    """The integer in a query parameter, which is always text."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 9 else value


def in_utc(moment: datetime) -> str:
    """A time in ISO 8601, always with six digits of a second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def is_none(value: object) -> bool:
    """For fields that a reply leaves out if they are None."""
    return value is None


def never_null(schema: dict[str, Any]) -> None:
    """For a field that is left out if it is None: its schema does not allow null."""
    kind, _ = schema.pop("anyOf")
    del schema["default"]
    schema.update(kind | schema)


# store.is_plain_id as a pattern of JSON Schema; pydantic's own patterns have no lookahead.
_PLAIN_ID = {"pattern": r"^(?!\.{1,2}$)(?!__[^/]*__$)[^/\x00-\x1f\x7f-\x9f]+$"}
# Firebase decides whether somebody has it; this much the Admin SDK wants.
_EMAIL = r"[^@\x00-\x20\x7f]+@[^@\x00-\x20\x7f]+"
_PAGE_TOKEN = {"pattern": "^[A-Za-z0-9_-]+=*$"}
_AN_ID = "5f3a9c0d"

# The limits stand before the validator, so that they describe what a client sends.
UserId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_USER_ID_LENGTH,
        json_schema_extra=_PLAIN_ID,
        description="The user who pays and reads: the uid of Firebase Authentication. An admin may name anybody.",
        examples=["testUser1"],
    ),
    BeforeValidator(_user_id),
]
Email = Annotated[
    str,
    Field(
        max_length=MAX_EMAIL_LENGTH,
        json_schema_extra={"pattern": f"^{_EMAIL}$"},
        description="The e-mail address of an account in Firebase Authentication.",
        examples=["testuser1@example.com"],
    ),
    BeforeValidator(_email),
]
IdempotencyKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="One key for each purchase or grant. Sent again, it gives the first answer again.",
        examples=["order-1"],
    ),
    BeforeValidator(_key),
]
RequestIdParameter = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_REQUEST_ID_LENGTH,
        json_schema_extra=_PLAIN_ID,
        description="The request's id.",
        examples=[_AN_ID],
    ),
    _given_id("generationRequestId", MAX_REQUEST_ID_LENGTH),
]
DeliveryId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_ENTRY_ID_LENGTH,
        json_schema_extra=_PLAIN_ID,
        description="The delivery's id: the webhook-id that the receiver gets.",
        examples=[f"{_AN_ID}-completed"],
    ),
    _given_id("deliveryId", MAX_ENTRY_ID_LENGTH),
]
ReportId = Annotated[
    str,
    Field(
        json_schema_extra={"pattern": f"^{REPORT_ID}$"},
        description="Named by the UTC day on which its week ends; a manual report has the time too.",
        examples=["report_2026-03-09"],
    ),
    BeforeValidator(_report_id),
]
PageSize = Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE, description="How many at most."), BeforeValidator(_digits)]
PageToken = Annotated[
    str,
    Field(json_schema_extra=_PAGE_TOKEN, description="The nextPageToken of the previous page.", examples=["aWQx"]),
    BeforeValidator(_id_in_token),
]
OwnerId = Annotated[str, Field(description="The user's id.", examples=["testUser1"])]
RequestId = Annotated[str, Field(description="The id of the generation request.", examples=[_AN_ID])]
EntryId = Annotated[str, Field(description="The id of the ledger entry.", examples=[f"{_AN_ID}-deduction"])]
Model = Annotated[str, Field(description="One of the models in the catalog.", examples=["model-a"])]
Style = Annotated[str, Field(description="One of the styles in the catalog.", examples=["realistic"])]
Color = Annotated[str, Field(description="One of the colors in the catalog.", examples=["vibrant"])]
Size = Annotated[str, Field(description="One of the sizes in the catalog.", examples=["1024x1024"])]
Prompt = Annotated[
    Annotated[str, Field(max_length=4_000)] | None,
    Field(description="What the image shows.", examples=["a lighthouse at dawn"]),
]
CostCredits = Annotated[int, Field(ge=1, description="Credits.", examples=[3])]
BalanceCredits = Annotated[int, Field(ge=0, description="The balance in credits.", examples=[97])]
Timestamp = Annotated[
    datetime,
    PlainSerializer(in_utc, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-09T00:00:00.000000Z"]}),
]
NextPageToken = Annotated[
    Annotated[str, Field(json_schema_extra=_PAGE_TOKEN)] | None,
    Field(
        exclude_if=is_none,
        json_schema_extra=never_null,
        description="Send it as pageToken to get the next page; none on the last.",
    ),
]
Status = Literal["pending", "completed", "failed", "canceled"]
DeliveryStatus = Literal["pending", "delivered", "failed"]
