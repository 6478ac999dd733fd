"""The use cases of webhooks, beside handlers.py: a typed request in, a typed reply out."""

from typing import TYPE_CHECKING

from calls import Call, Ok, TryAgain
from schemas import replies, requests
from schemas.fields import page_token
from webhooks import NotTaken

if TYPE_CHECKING:
    from handlers import Services


def deliver_webhook(delivery_id: str, services: "Services") -> None:
    """Sends a delivery once, unless it has ended.

    Raises:
        TryAgain: the receiver did not take it.
        Unavailable: Firestore did not answer; the queue calls again.
    """
    try:
        services.deliveries.attempt(delivery_id)
    except NotTaken as error:
        raise TryAgain from error


def list_webhook_deliveries(query: requests.DeliveriesQuery, call: Call, services: "Services") -> Ok:
    """Gives a page of the webhook deliveries of the last 30 days, newest first."""
    page = services.deliveries.page(query.status, query.page_size, query.after_id, call.deadline)
    found = [replies.WebhookDelivery.model_validate(delivery) for delivery in page.found]
    return Ok(replies.WebhookDeliveriesReply(deliveries=found, next_page_token=page_token(page.last_id)))


def resend_webhook_delivery(order: requests.ResendOrder, call: Call, services: "Services") -> Ok:
    """Sends a delivery again, under the same id."""
    return Ok(replies.WebhookDelivery.model_validate(services.deliveries.send_again(order.delivery_id, call.deadline)))
