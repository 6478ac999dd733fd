"""Reading over HTTP: one request, a user's requests, quotes, and a long history."""

from collections.abc import Callable
from typing import Any

import pytest

from budget import LONG_HISTORY
from contract import ORDER, error_of, order
from identities import Account
from projects import Project
from servers import FunctionServer


@pytest.fixture(scope="module")
def one(serve: Callable[[str], FunctionServer]) -> FunctionServer:
    return serve("getGenerationRequest")


@pytest.fixture(scope="module")
def many(serve: Callable[[str], FunctionServer]) -> FunctionServer:
    return serve("listGenerationRequests")


@pytest.fixture(scope="module")
def quote(serve: Callable[[str], FunctionServer]) -> FunctionServer:
    return serve("quoteGeneration")


def test_a_completed_request_is_shown_with_its_image(
    generate: FunctionServer, one: FunctionServer, shared_project: Project
) -> None:
    """What was asked, what it cost, how it ended, and when."""
    user_id = shared_project.add_user(10)
    bought = generate.post(order(user_id, prompt="a lighthouse")).json()
    response = one.get(generationRequestId=bought["generationRequestId"])
    assert response.status_code == 200, response.text
    shown = response.json()
    assert shown.pop("createdAt") <= shown.pop("updatedAt")
    assert shown == {
        **ORDER,
        "generationRequestId": bought["generationRequestId"],
        "userId": user_id,
        "prompt": "a lighthouse",
        "cost": 1,
        "status": "completed",
        "imageUrl": bought["imageUrl"],
    }


def test_a_failed_request_is_shown_with_its_reason(one: FunctionServer, shared_project: Project) -> None:
    """No image, but why there is none."""
    user_id = shared_project.add_user(10)
    with FunctionServer("createGenerationRequest", shared_project.id, AI_FAILURE_RATE="1") as server:
        request_id = error_of(server.post(order(user_id)))["details"]["generationRequestId"]
    shown = one.get(generationRequestId=request_id).json()
    assert (shown["status"], shown["failure"], "imageUrl" in shown) == ("failed", "GENERATION_FAILED", False)


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({}, 400, "generationRequestId parameter is required."),
        ({"generationRequestId": ""}, 400, "generationRequestId parameter is required."),
        ({"generationRequestId": "a/b"}, 400, "generationRequestId is not one"),
        ({"generationRequestId": "x" * 129}, 400, "generationRequestId is not one"),
        ({"generationRequestId": "unknown"}, 404, "Generation request not found."),
    ],
)
def test_a_request_that_is_none_is_refused(one: FunctionServer, query: dict[str, str], status: int, words: str) -> None:
    """A bad id is named; an unknown one is not found."""
    error = error_of(one.get(**query))
    assert error["code"] == status
    assert words in error["message"]


def test_requests_are_listed_newest_first_by_status_and_page_by_page(
    generate: FunctionServer, many: FunctionServer, shared_project: Project
) -> None:
    """Every request once and in order while new ones arrive; the filter keeps one status; nobody else's are there."""
    user_id, other = shared_project.add_user(50), shared_project.add_user(50)
    bought = [generate.post(order(user_id)).json()["generationRequestId"] for _ in range(5)]
    others = generate.post(order(other)).json()["generationRequestId"]
    with FunctionServer("createGenerationRequest", shared_project.id, AI_FAILURE_RATE="1") as server:
        failed = error_of(server.post(order(user_id)))["details"]["generationRequestId"]
    seen: list[str] = []
    for page in many.pages(userId=user_id, pageSize="2"):
        seen += [request["generationRequestId"] for request in page["generationRequests"]]
        assert generate.post(order(user_id)).status_code == 200
    assert seen == [failed, *reversed(bought)]
    [only] = many.get(userId=user_id, status="failed").json()["generationRequests"]
    assert (only["generationRequestId"], only["status"]) == (failed, "failed")
    assert many.get(userId=user_id, status="pending").json() == {"generationRequests": []}
    first_of_other = many.get(userId=other, pageSize="1").json()["generationRequests"]
    assert [request["generationRequestId"] for request in first_of_other] == [others]


def test_another_users_page_token_is_refused(
    generate: FunctionServer, many: FunctionServer, shared_project: Project
) -> None:
    """A token of somebody else's list is none of this one's."""
    ann, bob = shared_project.add_user(50), shared_project.add_user(50)
    for _ in range(2):
        generate.post(order(ann))
    token = many.get(userId=ann, pageSize="1").json()["nextPageToken"]
    assert error_of(many.get(userId=bob, pageToken=token))["code"] == 400
    assert error_of(many.get(userId=ann, status="done"))["details"]["fields"][0]["field"] == "status"


def test_a_quote_gives_the_price_and_writes_nothing(quote: FunctionServer, shared_project: Project) -> None:
    """The price, the balance, and whether the one covers the other; a bad request as in createGenerationRequest."""
    user_id = shared_project.add_user(3)
    before = shared_project.everything()
    for size, price, covered in (("512x512", 1, True), ("1024x1024", 3, True), ("1024x1792", 4, False)):
        body = quote.post(order(user_id, size=size)).json()
        assert body == {"requiredCredits": price, "currentCredits": 3, "covered": covered}
    assert error_of(quote.post(order(user_id, size="1x1")))["details"]["fields"][0]["field"] == "size"
    assert error_of(quote.post(order("nobody")))["message"] == "User not found."
    assert shared_project.everything() == before


def test_a_quote_counts_the_sign_up_credits(shared_project: Project) -> None:
    """A new user is quoted with what the first purchase will find, and no account is opened for it."""
    newcomer = Account.new(shared_project.id)
    with FunctionServer("quoteGeneration", shared_project.id, REQUIRE_AUTH="true", SIGNUP_CREDITS="2") as server:
        body = server.post(ORDER, headers=newcomer.headers()).json()
    assert body == {"requiredCredits": 1, "currentCredits": 2, "covered": True}
    assert shared_project.balance(newcomer.user_id) is None


def test_a_long_history_is_paged_while_it_grows(
    generate: FunctionServer, credits_of: FunctionServer, shared_project: Project
) -> None:
    """Each entry once and newest first, the balances in a chain, though a new one comes with each page."""
    user_id = shared_project.add_user(100)
    added = shared_project.add_history(user_id, LONG_HISTORY, final_credits=100)
    seen: list[dict[str, Any]] = []
    for page in credits_of.pages(userId=user_id, pageSize="200"):
        seen += page["transactions"]
        assert generate.post(order(user_id)).status_code == 200
    assert [entry["id"] for entry in seen] == added[::-1]
    assert [entry["balanceAfter"] for entry in seen] == list(range(100, 100 + LONG_HISTORY))
