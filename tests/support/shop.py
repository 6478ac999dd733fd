"""A project in which something happened already."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from credits.documents import PROVIDER_FAILED
from credits.ledger import Ledger
from credits.reservations import Purchase, Reservation
from images.simulated import picture_url
from schemas.fields import page_token
from tests.support.assembly import assembled
from tests.support.contract import ORDER
from tests.support.identities import Account
from tests.support.projects import Project

DELIVERY_ID = "told-granted"
OLDER_REPORT_ID, OLDER_REPORT_END = "report_2020-01-06", datetime(2020, 1, 6, tzinfo=UTC)


@dataclass(frozen=True)
class Shop:
    """What can be asked for: `rich` buys; `reader` has a completed request, a failed one and the entries of both."""

    completed_id: str
    completed_token: str
    failed_id: str
    entry_token: str
    request_token: str
    report_token: str
    delivery_id: str
    delivery_token: str
    user_token: str
    admin_token: str
    forged_token: str

    @classmethod
    def opened(cls, project: Project) -> "Shop":
        project.add_user(1_000_000, "rich")
        project.add_user(1_000, "reader")
        ledger = assembled(project).ledger
        completed, failed = reserved(ledger, "reader", "completed"), reserved(ledger, "reader", "failed")
        ledger.complete(completed, picture_url("https://api", completed.request_id, completed.run_id))
        ledger.refund(failed, PROVIDER_FAILED)
        project.put(f"reports/{OLDER_REPORT_ID}", {"totalRequests": 4, "topUser": "ann", "windowEnd": OLDER_REPORT_END})
        project.put(f"webhookDeliveries/{DELIVERY_ID}", delivery())
        return cls(
            completed.request_id,
            completed.run_id,
            failed.request_id,
            entry_token=_token_of(f"{completed.request_id}-deduction"),
            request_token=_token_of(completed.request_id),
            report_token=_token_of(OLDER_REPORT_ID),
            delivery_id=DELIVERY_ID,
            delivery_token=_token_of(DELIVERY_ID),
            user_token=Account.new(project.id, "ann").token(),
            admin_token=Account.new(project.id, "root", is_admin=True).token(),
            forged_token=Account(project.id, "nobody").token(),
        )


def delivery(**fields: Any) -> dict[str, Any]:
    """A webhook delivery as it is stored, with these fields changed."""
    at = datetime(2020, 1, 6, tzinfo=UTC)
    times = dict.fromkeys(("createdAt", "queuedAt", "dueAt"), at)
    data = {"userId": "rich", "credits": 5, "reason": "test", "currentCredits": 5, "transactionId": "x-grant"}
    return {
        **times,
        "type": "credits.granted",
        "target": "events",
        "data": data,
        "status": "pending",
        "attempts": 0,
        **fields,
    }


def reserved(ledger: Ledger, user_id: str, key: str) -> Reservation:
    """A purchase of one credit that is pending under this key."""
    reservation = ledger.reserve(Purchase(user_id, **ORDER, prompt=None), key, price_or_error=1)
    assert isinstance(reservation, Reservation)
    return reservation


def _token_of(document_id: str) -> str:
    token = page_token(document_id)
    assert token is not None
    return token
