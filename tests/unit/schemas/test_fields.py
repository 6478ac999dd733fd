"""The fields that several models share: how they are read and written."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from schemas import replies
from schemas.fields import in_utc, page_token

MOMENT = datetime(2026, 3, 2, 12, 0, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (MOMENT, "2026-03-02T12:00:00.000005Z"),
        (MOMENT.replace(microsecond=0), "2026-03-02T12:00:00.000000Z"),
        (MOMENT.astimezone(timezone(timedelta(hours=9))), "2026-03-02T12:00:00.000005Z"),
    ],
)
def test_a_time_is_in_utc_with_six_digits(moment: datetime, text: str) -> None:
    """Texts then sort as their times do."""
    assert in_utc(moment) == text


def test_the_last_page_has_no_token() -> None:
    """An id becomes a text that a client need not read."""
    assert page_token(None) is None
    assert page_token("r1-deduction") == "cjEtZGVkdWN0aW9u"


def test_a_reply_has_the_contracts_names() -> None:
    """Camel case; what a deduction does not have is not there."""
    entry = replies.Transaction(
        id="e1",
        type="deduction",
        credits=3,
        balance_after=None,
        generation_request_id="r1",
        timestamp=MOMENT,
        reason=None,
    )
    reply = replies.CreditsReply(current_credits=7, transactions=[entry])
    assert reply.model_dump(mode="json", by_alias=True) == {
        "currentCredits": 7,
        "transactions": [
            {
                "id": "e1",
                "type": "deduction",
                "credits": 3,
                "balanceAfter": None,
                "generationRequestId": "r1",
                "timestamp": "2026-03-02T12:00:00.000005Z",
            }
        ],
    }


def test_the_next_page_and_a_reason_are_there_if_they_exist() -> None:
    """A grant has a reason and no request."""
    entry = replies.Transaction(
        id="g1",
        type="grant",
        credits=3,
        balance_after=3,
        generation_request_id=None,
        timestamp=MOMENT,
        reason="Order 1",
    )
    reply = replies.CreditsReply(current_credits=3, transactions=[entry], next_page_token="ZzE=")
    body = reply.model_dump(mode="json", by_alias=True)
    assert (body["nextPageToken"], body["transactions"][0]["reason"]) == ("ZzE=", "Order 1")
    assert body["transactions"][0]["generationRequestId"] is None


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("completed", {"image_url": "https://image"}), ("failed", {"failure": "LEASE_EXPIRED"}), ("pending", {})],
)
def test_a_generation_shows_its_image_or_its_failure(status: str, outcome: dict[str, str]) -> None:
    """Neither while it is pending."""
    generation = replies.Generation.model_validate(
        {
            "generation_request_id": "r1",
            "user_id": "ann",
            "model": "model-a",
            "style": "anime",
            "color": "neon",
            "size": "512x512",
            "prompt": None,
            "cost": 1,
            "status": status,
            "created_at": MOMENT,
            "updated_at": MOMENT,
            **outcome,
        }
    )
    body = generation.model_dump(mode="json", by_alias=True)
    names = {"image_url": "imageUrl", "failure": "failure"}
    assert {name: body[name] for name in ("imageUrl", "failure") if name in body} == {
        names[name]: value for name, value in outcome.items()
    }
    assert body["prompt"] is None
