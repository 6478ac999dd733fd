"""A user's purchase, order and cancellation through the handlers, and what the user is told."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from calls import Accepted, Call, Caller
from credits import keys
from errors import ApiError, GenerationCanceled, GenerationFailed
from handlers import Services, cancel_generation_request, create_generation_request
from schemas.fields import KEY_HEADER, PREFER_HEADER
from schemas.replies import GenerationReply
from schemas.requests import CancelOrder, GenerationOrder
from store import NO_DEADLINE
from tests.support.contract import order


@dataclass(frozen=True)
class Sold:
    """An image, and the balance that it left."""

    image_url: str
    balance_credits: int


@dataclass(frozen=True)
class Refused:
    """An error that does not tell how the request ended."""

    error: ApiError


class Said(Enum):
    """What somebody is told who gets no image and no error."""

    ACCEPTED = "accepted"
    FAILED = "failed"
    CANCELED = "canceled"
    GRANTED = "granted"
    REVOKED = "revoked"
    SWEPT = "swept"


Told: TypeAlias = Sold | Said | Refused


def told(ask: Callable[[], Told]) -> Told:
    """What the one who asks is told; an error is told too."""
    try:
        return ask()
    except GenerationFailed:
        return Said.FAILED
    except GenerationCanceled:
        return Said.CANCELED
    except ApiError as error:
        return Refused(error)


def buy_image(services: Services, user_id: str, key: str) -> Told:
    """A synchronous purchase under this key."""
    return _buy(services, user_id, {KEY_HEADER: key})


def order_image(services: Services, user_id: str, key: str) -> Told:
    """An asynchronous purchase under this key."""
    return _buy(services, user_id, {KEY_HEADER: key, PREFER_HEADER: "respond-async"})


def cancel_purchase(services: Services, user_id: str, key: str) -> Told:
    """Cancels the purchase that has this key."""
    body = {"generationRequestId": keys.id_for_key(user_id, key)}
    cancel_generation_request(CancelOrder.model_validate(body), Call(Caller(user_id), NO_DEADLINE), services)
    return Said.CANCELED


def _buy(services: Services, user_id: str, headers: dict[str, str]) -> Told:
    asked = GenerationOrder.model_validate({**order(user_id), **headers})
    answer = create_generation_request(asked, Call(Caller(user_id), NO_DEADLINE), services)
    if isinstance(answer, Accepted):
        return Said.ACCEPTED
    assert isinstance(answer.reply, GenerationReply)
    return Sold(answer.reply.image_url, answer.reply.current_credits)
