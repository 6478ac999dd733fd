"""What a receiver gets: verified with the stock library, as receivers do."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.unit.webhooks.helpers import DATA, SECRET
from webhooks import messages
from webhooks.documents import EVENTS, PENDING, REPORTS, Delivery

CREATED = datetime(2026, 3, 9, 12, 0, 0, 5, tzinfo=UTC)
DELIVERY = Delivery("g1-granted", "credits.granted", EVENTS, dict(DATA), PENDING, 0, CREATED, CREATED, None, None)


def test_the_stock_library_accepts_it() -> None:
    """And gives what was sent."""
    body = messages.body(DELIVERY)
    headers = messages.headers(DELIVERY.id, body, datetime.now(UTC), SECRET)
    assert Webhook(SECRET).verify(body, headers) == {
        "type": "credits.granted",
        "timestamp": "2026-03-09T12:00:00.000005Z",
        "data": DATA,
        "text": "credits.granted: 5 credits of user ann",
    }
    assert headers["webhook-id"] == DELIVERY.id


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_changed_byte_is_refused(place: int) -> None:
    """Wherever it is."""
    body = bytearray(messages.body(DELIVERY))
    headers = messages.headers(DELIVERY.id, bytes(body), datetime.now(UTC), SECRET)
    body[place] ^= 1
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(bytes(body), headers)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_another_time_is_refused(minutes: int) -> None:
    """An old message cannot be played again, and its time is signed too."""
    body = messages.body(DELIVERY)
    old = messages.headers(DELIVERY.id, body, datetime.now(UTC) + timedelta(minutes=minutes), SECRET)
    now = messages.headers(DELIVERY.id, body, datetime.now(UTC), SECRET)
    for headers in (old, {**old, "webhook-timestamp": now["webhook-timestamp"]}, {**now, "webhook-id": "other"}):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, headers)


def test_another_secret_is_refused() -> None:
    """Of the same length."""
    body = messages.body(DELIVERY)
    headers = messages.headers(DELIVERY.id, body, datetime.now(UTC), SECRET)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET[:-4] + "AAAA").verify(body, headers)


def test_the_bytes_are_the_same_at_every_attempt() -> None:
    """In whatever order Firestore gives the fields, and whatever was recorded."""
    turned = replace(DELIVERY, data=dict(reversed(DATA.items())), attempts=7, last_answer="status 500")
    assert messages.body(turned) == messages.body(DELIVERY)


def test_a_letter_beyond_ascii_is_signed_too() -> None:
    """As it is sent."""
    body = messages.body(replace(DELIVERY, data={"reason": "Grüße, 世界"}))
    headers = messages.headers("x", body, datetime.now(UTC), SECRET)
    assert Webhook(SECRET).verify(body, headers)["data"]["reason"] == "Grüße, 世界"


def test_a_report_keeps_its_form() -> None:
    """Old receivers read these three at the top."""
    data = {"text": "Weekly", "reportId": "report_2026-03-09", "anomalies": [{"id": "x", "severity": 1.5}]}
    body = messages.body(replace(DELIVERY, type="report.anomalies", target=REPORTS, data=data))
    assert json.loads(body) == data


def test_without_a_secret_it_is_not_signed() -> None:
    """Only reports are sent so."""
    assert "webhook-signature" not in messages.headers("x", b"{}", CREATED, "")


@pytest.mark.parametrize(
    ("event", "data", "expected"),
    [
        (
            "generation.failed",
            {"generationRequestId": "r1", "userId": "ann", "failure": "TIMED_OUT", "imageUrl": None},
            "generation.failed: request r1 of user ann (TIMED_OUT)",
        ),
        (
            "generation.canceled",
            {"generationRequestId": "r1", "userId": "ann"},
            "generation.canceled: request r1 of user ann",
        ),
        ("x", {"userId": "<!channel> & co"}, "x: of user &lt;!channel&gt; &amp; co"),
    ],
)
def test_chat_systems_get_one_line(event: str, data: dict[str, object], expected: str) -> None:
    """A name in it cannot mention anybody."""
    assert messages.text(replace(DELIVERY, type=event, data=data)) == expected
