"""What a receiver gets: the bytes of the body, the same at every attempt, and the headers that sign them.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import html
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from webhooks.documents import REPORTS, Delivery


def body(delivery: Delivery) -> bytes:
    """Compact JSON with sorted keys. The form for reports is older than the other: its data are the whole body."""
    message: Mapping[str, Any] = delivery.data
    if delivery.target != REPORTS:
        moment = delivery.created_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        message = {"type": delivery.type, "timestamp": moment, "data": delivery.data, "text": text(delivery)}
    return json.dumps(message, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


def text(delivery: Delivery) -> str:
    """One line for chat systems, which show this field."""
    data = delivery.data
    words = [
        f"{data['credits']} credits" if "credits" in data else "",
        f"request {data['generationRequestId']}" if "generationRequestId" in data else "",
        f"of user {data['userId']}" if "userId" in data else "",
        f"({data['failure']})" if data.get("failure") else "",
    ]
    # In Slack a name could mention people: https://api.slack.com/reference/surfaces/formatting#escaping
    return html.escape(f"{delivery.type}: {' '.join(filter(None, words))}", quote=False)


def headers(delivery_id: str, sent: bytes, at: datetime, secret: str) -> dict[str, str]:
    """The headers of one attempt; without a secret it is not signed."""
    found = {
        "Content-Type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(at.timestamp())),
    }
    if secret:
        from standardwebhooks import Webhook  # noqa: PLC0415 - only who signs needs it

        found["webhook-signature"] = Webhook(secret).sign(delivery_id, at.astimezone(UTC), sent.decode())
    return found
