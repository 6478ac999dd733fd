"""Requests as clients send them, and the answers of the code itself to them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import anomalies
import answers
import ledger
import validation
from consistency import COMPLETED, DEDUCTION, FAILED, GRANT, REFUND
from openapi_schemas import CATALOG
from records import Entry, Generation
from reports import WEEK, Usage, Window

USER_ID = "testUser1"
SIZE = "1024x1024"
COST_CREDITS: int = CATALOG["sizes"][SIZE]
PROMPT = "a lighthouse at dawn"
ORDER = {
    "userId": USER_ID,
    "model": "model-a",
    "style": "realistic",
    "color": "vibrant",
    "size": SIZE,
    "prompt": PROMPT,
}
KEY = "order-1"
GRANT_KEY = "goodwill-1"
GRANT_REASON = "Goodwill after the outage of 2 March."
GRANT_ORDER = {"userId": USER_ID, "credits": 50, "reason": GRANT_REASON}

REQUEST_ID = ledger.request_id_of(USER_ID, KEY)
FAILED_ID = ledger.request_id_of(USER_ID, "order-0")
IMAGE_URL = f"https://images.example.com/model-a/{REQUEST_ID}.png"
NOON = datetime(2026, 3, 3, 12, 0, 0, 250_000, UTC)
MONDAY = datetime(2026, 3, 9, tzinfo=UTC)


def generated() -> dict[str, Any]:
    return answers.generated(REQUEST_ID, COST_CREDITS, IMAGE_URL)


def quote() -> dict[str, Any]:
    return answers.quote(COST_CREDITS, balance_credits=100)


def generation() -> dict[str, Any]:
    return answers.generation(_generation(REQUEST_ID, COMPLETED))


def generations() -> dict[str, Any]:
    found = [_generation(REQUEST_ID, COMPLETED), _generation(FAILED_ID, FAILED)]
    return answers.generations(found, page_token())


def statement() -> dict[str, Any]:
    entries = [
        Entry(f"{REQUEST_ID}-{DEDUCTION}", DEDUCTION, COST_CREDITS, 147, REQUEST_ID, None, NOON),
        Entry(_grant_id(), GRANT, 50, 150, None, GRANT_REASON, NOON - timedelta(hours=1)),
        Entry(f"{FAILED_ID}-{REFUND}", REFUND, COST_CREDITS, 100, FAILED_ID, None, NOON - timedelta(hours=2)),
    ]
    return answers.statement(ledger.Statement(147, entries, entries[-1].id), validation.next_page_token(entries[-1].id))


def granted() -> dict[str, Any]:
    return answers.grant(USER_ID, 50, ledger.Granted(_grant_id(), balance_after_credits=150, is_replay=False))


def page_token() -> str:
    token = validation.next_page_token(FAILED_ID)
    assert token is not None
    return token


def scheduled_report() -> dict[str, Any]:
    return _report(Window(MONDAY, scheduled=True))


def manual_report() -> dict[str, Any]:
    return _report(Window.ending_now(MONDAY - timedelta(days=3, hours=7)))


def _grant_id() -> str:
    return f"{ledger.request_id_of('admin1', GRANT_KEY)}-{GRANT}"


def _generation(request_id: str, status: str) -> Generation:
    is_completed = status == COMPLETED
    return Generation(
        id=request_id,
        user_id=USER_ID,
        model="model-a",
        style="realistic",
        color="vibrant",
        size=SIZE,
        prompt=PROMPT,
        cost_credits=COST_CREDITS,
        status=status,
        image_url=IMAGE_URL if is_completed else None,
        failure=None if is_completed else ledger.GENERATION_FAILED,
        created_at=NOON if is_completed else NOON - timedelta(hours=2),
        updated_at=NOON + timedelta(seconds=4) if is_completed else NOON - timedelta(hours=2) + timedelta(seconds=6),
    )


def _report(window: Window) -> dict[str, Any]:
    """A week in which model-b failed often, after one in which it did not."""
    fields = _usage(window, failing=13).report_fields()
    history = [anomalies.Usage.from_report(_usage(window.before(), failing=1).report_fields())]
    found = anomalies.detect(anomalies.Usage.from_report(fields), history, anomalies.Thresholds())
    fields |= {
        "anomalies": [_shown(finding) for finding in found],
        "anomalyCount": len(found),
        "windowStart": window.start,
        "windowEnd": window.end,
        "scheduled": window.scheduled,
        "previousReportId": f"report_{MONDAY - WEEK:%Y-%m-%d}",
        "previous": None,
        "generatedAt": window.end + timedelta(seconds=2),
    }
    return answers.report(window.report_id, fields)


def _shown(finding: anomalies.Anomaly) -> dict[str, Any]:
    # The last digits of a logarithm are not the same on every machine, and this file must be.
    return {**finding.to_dict(), "pValue": None if finding.p_value is None else float(f"{finding.p_value:.3g}")}


def _usage(window: Window, failing: int) -> Usage:
    """A week of 84 requests, two hours apart; of the 42 to model-b so many fail."""
    usage = Usage()
    for number in range(84):
        created = window.start + number * timedelta(hours=2)
        fails = number % 2 == 1 and number // 2 * 11 % 42 < failing
        size, cost = [*CATALOG["sizes"].items()][number // 4 % 2]
        usage.add(
            {
                "userId": f"user-{number % 30}",
                "model": ("model-a", "model-b")[number % 2],
                "style": CATALOG["styles"][number // 2 % 2],
                "color": CATALOG["colors"][number // 8 % 2],
                "size": size,
                "cost": cost,
                "status": FAILED if fails else COMPLETED,
                "failure": ledger.GENERATION_FAILED if fails else None,
                "createdAt": created,
                "updatedAt": created + timedelta(milliseconds=3_000 + 10 * number),
            }
        )
    return usage
