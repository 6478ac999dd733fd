"""One attempt: a POST to somebody else's server, which must not do harm."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import requests

from waiting import TookTooLong, within
from webhooks import messages
from webhooks.documents import Delivery

TIMEOUT_SECONDS = 10.0
NO_ANSWER = "no answer in time"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where a target's deliveries go. Both are credentials, never logged and never in a reply."""

    url: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What became of an attempt, in words: "200", "status 500", "redirect 302", or the type of an exception."""

    words: str
    is_success: bool = False


# Makes one attempt, at this time by the database's clock.
Send = Callable[[Receiver, Delivery, datetime], AttemptResult]


def send(
    receiver: Receiver, delivery: Delivery, at: datetime, timeout_seconds: float = TIMEOUT_SECONDS
) -> AttemptResult:
    """Posts once, within the time-out from the first lookup to the answer's last header; never raises.

    Any 2xx is a success. A redirect is not followed: it could lead anywhere, and the receiver would not know that it
    must be changed.
    """
    try:
        return within(timeout_seconds, lambda: _post(receiver, delivery, at, timeout_seconds))
    except (TookTooLong, requests.Timeout):
        return AttemptResult(NO_ANSWER)
    # The boundary to somebody else's server, and to libraries whose messages quote the URL.
    except Exception as error:  # noqa: BLE001
        return AttemptResult(type(error).__name__)


def _post(receiver: Receiver, delivery: Delivery, at: datetime, timeout_seconds: float) -> AttemptResult:
    body = messages.body(delivery)
    headers = messages.headers(delivery.id, body, at, receiver.secret)
    # A session for each attempt: nothing of one receiver, such as a cookie, reaches another attempt.
    with (
        requests.Session() as session,
        # Streamed: the body of the answer is of no interest, however long it is.
        session.post(
            receiver.url, data=body, headers=headers, timeout=timeout_seconds, allow_redirects=False, stream=True
        ) as answer,
    ):
        status = answer.status_code
        if 200 <= status < 300:
            return AttemptResult(str(status), is_success=True)
        return AttemptResult(f"{'redirect' if answer.is_redirect else 'status'} {status}")
