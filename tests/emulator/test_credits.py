"""getUserCredits over HTTP."""

from typing import Any

import pytest
import requests

from contract import error_of, order
from projects import Project
from servers import FunctionServer


def test_balance_and_history_newest_first(
    generate: FunctionServer, credits_of: FunctionServer, shared_project: Project
) -> None:
    """After two generations the balance and both deductions are there, the newer one first."""
    user_id = shared_project.add_user(10)
    bought = [generate.post(order(user_id, size=size)).json() for size in ("512x512", "1024x1024")]
    response = credits_of.get(userId=user_id)
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"currentCredits", "transactions"}
    assert body["currentCredits"] == 6
    newest, oldest = body["transactions"]
    assert set(newest) == {"id", "type", "credits", "balanceAfter", "generationRequestId", "timestamp"}
    assert [entry["balanceAfter"] for entry in (newest, oldest)] == [6, 9]
    assert [(entry["type"], entry["credits"]) for entry in (newest, oldest)] == [("deduction", 3), ("deduction", 1)]
    assert [entry["generationRequestId"] for entry in (oldest, newest)] == [
        answer["generationRequestId"] for answer in bought
    ]
    assert newest["timestamp"] > oldest["timestamp"]


def test_pages_give_each_entry_once_while_new_ones_arrive(
    generate: FunctionServer, credits_of: FunctionServer, shared_project: Project
) -> None:
    """Following nextPageToken gives every entry once and in order, also when the history grows meanwhile."""
    user_id = shared_project.add_user(50)
    bought = [generate.post(order(user_id)).json()["generationRequestId"] for _ in range(7)]
    seen: list[str] = []
    for page in credits_of.pages(userId=user_id, pageSize="3"):
        seen += [entry["generationRequestId"] for entry in page["transactions"]]
        assert generate.post(order(user_id)).status_code == 200
    assert seen == bought[::-1]


def test_a_user_without_history_has_an_empty_one(credits_of: FunctionServer, shared_project: Project) -> None:
    """A new user's answer is the balance and an empty list."""
    user_id = shared_project.add_user(7)
    assert credits_of.get(userId=user_id).json() == {"currentCredits": 7, "transactions": []}


BAD_QUERIES: list[tuple[dict[str, Any], int, str, str]] = [
    ({}, 400, "userId", "userId parameter is required."),
    ({"userId": ""}, 400, "userId", "userId parameter is required."),
    ({"userId": "a/b"}, 400, "userId", "Invalid userId"),
    ({"userId": "testUser1/transactions/x"}, 400, "userId", "Invalid userId"),
    ({"userId": "__x__"}, 400, "userId", "Invalid userId"),
    ({"userId": "a\x01"}, 400, "userId", "Invalid userId"),
    ({"userId": "known", "pageSize": "0"}, 400, "pageSize", "pageSize must be an integer from 1 to 200."),
    ({"userId": "known", "pageSize": "201"}, 400, "pageSize", "pageSize must be an integer from 1 to 200."),
    ({"userId": "known", "pageSize": "ten"}, 400, "pageSize", "pageSize must be an integer from 1 to 200."),
    ({"userId": "known", "pageSize": "9" * 1000}, 400, "pageSize", "pageSize must be an integer from 1 to 200."),
    ({"userId": "known", "pageSize": "9" * 3000}, 400, "query", "The query must not exceed 2048 bytes."),
    ({"userId": "known", "pageToken": "!"}, 400, "pageToken", "pageToken is not one"),
    ({"userId": "known", "pageToken": "YS9i"}, 400, "pageToken", "pageToken is not one"),
    ({"userId": "known", "pageToken": "bm9uZQ=="}, 400, "pageToken", "pageToken is not one"),
]


@pytest.mark.parametrize(("query", "status", "field", "words"), BAD_QUERIES, ids=range(len(BAD_QUERIES)))
def test_a_bad_query_is_refused(
    credits_of: FunctionServer, shared_project: Project, query: dict[str, str], status: int, field: str, words: str
) -> None:
    """A bad parameter is named."""
    shared_project.add_user(1, "known")
    error = error_of(credits_of.get(**query))
    assert (error["code"], error["status"]) == (status, "INVALID_ARGUMENT")
    assert [problem["field"] for problem in error["details"]["fields"]] == [field]
    assert words in error["message"]


def test_an_unknown_user_is_not_found(credits_of: FunctionServer) -> None:
    """No document, no balance: 404."""
    error = error_of(credits_of.get(userId="nobody"))
    assert (error["code"], error["status"], error["message"]) == (404, "NOT_FOUND", "User not found.")


def test_another_method_is_refused(credits_of: FunctionServer) -> None:
    """Anything but GET gets 405, with Allow."""
    response = requests.post(credits_of.url, json={}, timeout=60)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET")
