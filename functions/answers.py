"""What the use cases found -> what a client reads: the JSON of every 200 answer. Pure."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ledger import Granted, Statement
from records import Entry, Generation


def generated(request_id: str, cost_credits: int, image_url: str) -> dict[str, Any]:
    return {"generationRequestId": request_id, "deductedCredits": cost_credits, "imageUrl": image_url}


def quote(cost_credits: int, balance_credits: int) -> dict[str, Any]:
    return {
        "requiredCredits": cost_credits,
        "currentCredits": balance_credits,
        "covered": balance_credits >= cost_credits,
    }


def grant(user_id: str, credits: int, granted: Granted) -> dict[str, Any]:
    return {
        "transactionId": granted.entry_id,
        "userId": user_id,
        "grantedCredits": credits,
        "currentCredits": granted.balance_after_credits,
    }


def statement(found: Statement, next_page_token: str | None) -> dict[str, Any]:
    body = {"currentCredits": found.credits, "transactions": [_transaction(entry) for entry in found.entries]}
    return _with_next_page(body, next_page_token)


def generations(found: Sequence[Generation], next_page_token: str | None) -> dict[str, Any]:
    return _with_next_page({"generationRequests": [generation(request) for request in found]}, next_page_token)


def generation(request: Generation) -> dict[str, Any]:
    body: dict[str, Any] = {
        "generationRequestId": request.id,
        "userId": request.user_id,
        "model": request.model,
        "style": request.style,
        "color": request.color,
        "size": request.size,
        "prompt": request.prompt,
        "cost": request.cost_credits,
        "status": request.status,
        "createdAt": _iso(request.created_at),
        "updatedAt": _iso(request.updated_at),
    }
    outcome = {"imageUrl": request.image_url, "failure": request.failure}
    return body | {name: value for name, value in outcome.items() if value is not None}


def report(report_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"reportId": report_id, **_json(fields)}


def _transaction(entry: Entry) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": entry.id,
        "type": entry.type,
        "credits": entry.credits,
        "balanceAfter": entry.balance_after,
        "generationRequestId": entry.generation_request_id,
        "timestamp": _iso(entry.timestamp),
    }
    return body if entry.reason is None else body | {"reason": entry.reason}


def _with_next_page(body: dict[str, Any], next_page_token: str | None) -> dict[str, Any]:
    return body if next_page_token is None else body | {"nextPageToken": next_page_token}


def _json(value: Any) -> Any:
    """A stored value as JSON has it: times in ISO 8601."""
    if isinstance(value, Mapping):
        return {name: _json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, datetime):
        return _iso(value)
    # What JSON cannot say, and only somebody's hand can have stored.
    is_plain = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    return value if is_plain else str(value)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
