"""A valid request body, and the one shape that every error answer has."""

from typing import Any

import requests

ORDER = {"model": "model-a", "style": "realistic", "color": "vibrant", "size": "512x512"}


def order(user_id: str, **changes: Any) -> dict[str, Any]:
    return {"userId": user_id, **ORDER, **changes}


def error_of(response: requests.Response) -> dict[str, Any]:
    assert response.headers["Content-Type"] == "application/json"
    assert response.text.endswith("}\n")
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"code", "status", "message", "details"}
    assert error["code"] == response.status_code
    return error


def fields_at_fault(error: dict[str, Any]) -> list[str]:
    return [problem["field"] for problem in error["details"]["fields"]]
