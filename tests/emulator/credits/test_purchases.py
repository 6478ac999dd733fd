"""What a purchase does to balance, ledger and request, over HTTP on the server that production runs."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.assembly import audit_of, in_process
from tests.support.calls import Function
from tests.support.contract import error_of, order
from tests.support.projects import Project
from tests.support.servers import FunctionServer


def test_a_purchase_gives_an_image_and_takes_its_price(create: Function, common_project: Project) -> None:
    """A valid request is answered with an image, and balance, ledger and request say the same."""
    user_id = common_project.add_user(100)
    response = create.post(order(user_id, size="1024x1024", prompt="a lighthouse"))
    assert response.status_code == 200, response.text
    assert response.text.endswith("}\n")
    body = response.json()
    assert set(body) == {"generationRequestId", "deductedCredits", "imageUrl", "currentCredits"}
    assert (body["deductedCredits"], body["currentCredits"]) == (3, 97)
    assert body["imageUrl"].startswith("http://127.0.0.1:5001/")
    assert common_project.balance(user_id) == 97
    [entry] = common_project.entries(user_id)
    assert (entry["id"], entry["type"], entry["credits"], entry["balanceAfter"], entry["generationRequestId"]) == (
        f"{body['generationRequestId']}-deduction",
        "deduction",
        3,
        97,
        body["generationRequestId"],
    )
    [request] = common_project.requests_of(user_id)
    stored = {name: request[name] for name in ("id", "status", "cost", "imageUrl", "prompt", "size", "model")}
    assert stored == {
        "id": body["generationRequestId"],
        "status": "completed",
        "cost": 3,
        "imageUrl": body["imageUrl"],
        "prompt": "a lighthouse",
        "size": "1024x1024",
        "model": "model-a",
    }
    assert request["leaseExpiresAt"] > request["createdAt"]


def test_a_key_buys_once(create: Function, common_project: Project) -> None:
    """The second call with a key gets the first answer again, with the balance of then, and pays nothing."""
    user_id = common_project.add_user(100)
    key = {"Idempotency-Key": f"key-{user_id}"}
    first = create.post(order(user_id), key)
    assert create.post(order(user_id)).json()["currentCredits"] == 98
    again = create.post(order(user_id), key)
    assert again.text == first.text
    assert first.json()["currentCredits"] == 99
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert common_project.balance(user_id) == 98


def test_a_key_is_for_one_purchase_only(create: Function, common_project: Project) -> None:
    """Another image under the same key gets 422; another user's same key is another purchase."""
    ann, bob = common_project.add_user(10), common_project.add_user(10)
    key = {"Idempotency-Key": f"key-{ann}"}
    assert create.post(order(ann), key).status_code == 200
    error = error_of(create.post(order(ann, size="1024x1024"), key))
    assert (error["code"], error["details"]["reason"]) == (422, "IDEMPOTENCY_MISMATCH")
    other = create.post(order(bob), key)
    assert (other.status_code, "Idempotent-Replayed" in other.headers) == (200, False)
    assert (common_project.balance(ann), common_project.balance(bob)) == (9, 9)


def test_a_failing_model_costs_nothing(common_project: Project) -> None:
    """With a model that always fails the answer is GENERATION_FAILED, and the ledger holds one refund."""
    user_id = common_project.add_user(10)
    response = (
        in_process(common_project, AI_FAILURE_RATE="1")
        .of("createGenerationRequest")
        .post(order(user_id, size="1024x1792"))
    )
    error = error_of(response)
    assert (response.status_code, error["status"]) == (500, "INTERNAL")
    assert error["message"] == "AI generation failed, credits refunded."
    assert (error["details"]["reason"], error["details"]["refundedCredits"]) == ("GENERATION_FAILED", 4)
    assert error["details"]["failure"] == "PROVIDER_FAILED"
    assert common_project.balance(user_id) == 10
    entries = common_project.entries(user_id)
    assert [(entry["type"], entry["credits"], entry["balanceAfter"]) for entry in entries] == [
        ("deduction", 4, 6),
        ("refund", 4, 10),
    ]
    [request] = common_project.requests_of(user_id)
    assert (request["status"], request["failure"]) == ("failed", "PROVIDER_FAILED")
    assert "imageUrl" not in request


def test_a_balance_below_the_price_is_refused(create: Function, common_project: Project) -> None:
    """Too few credits: the answer says how many are needed and how many there are, and nothing is written."""
    user_id = common_project.add_user(2)
    before = common_project.everything()
    error = error_of(create.post(order(user_id, size="1024x1024")))
    assert (error["code"], error["status"], error["message"]) == (400, "FAILED_PRECONDITION", "Insufficient credits.")
    assert error["details"] == {"reason": "INSUFFICIENT_CREDITS", "required": 3, "available": 2}
    assert common_project.everything() == before


def test_an_unknown_user_is_not_found(create: Function, common_project: Project) -> None:
    """A user without a document gets 404 and none is made."""
    before = common_project.everything()
    error = error_of(create.post(order("nobody")))
    assert (error["code"], error["status"], error["message"]) == (404, "NOT_FOUND", "User not found.")
    assert common_project.everything() == before


@pytest.mark.parametrize(
    "document",
    [{}, {"credits": -1}, {"credits": "100"}, {"credits": float("nan")}, {"credits": True}, {"credits": 9.5}],
)
def test_a_broken_balance_is_a_clean_500(
    server: FunctionServer, create: Function, credits_of: Function, common_project: Project, document: dict[str, Any]
) -> None:
    """A balance that is not an integer of at least 0: 500, nothing is written, and one log line names it."""
    user_id = common_project.add_user()
    common_project.put(f"users/{user_id}", document)
    before = common_project.everything()
    for answer in (create.post(order(user_id)), credits_of.get(userId=user_id)):
        error = error_of(answer)
        assert (error["code"], error["status"], error["message"]) == (500, "INTERNAL", "Internal error.")
        assert set(error["details"]) == {"errorId"}
        [line] = [line for line in server.log().splitlines() if error["details"]["errorId"] in line]
        assert f"users/{user_id}" in line
    assert common_project.everything() == before
    assert server.log().count(f"users/{user_id}") == 2


def test_only_what_the_credits_pay_for_succeeds(create: Function, common_project: Project) -> None:
    """32 requests at once with credits for 20: 20 images, 12 refusals, nothing else, and a balance of 0."""
    user_id = common_project.add_user(20)
    with ThreadPoolExecutor(32) as clients:
        responses = list(clients.map(lambda _: create.post(order(user_id)), range(32)))
    assert sorted(response.status_code for response in responses) == [200] * 20 + [400] * 12
    refused = [error_of(response) for response in responses if response.status_code == 400]
    assert {error["details"]["reason"] for error in refused} == {"INSUFFICIENT_CREDITS"}
    left = [response.json()["currentCredits"] for response in responses if response.status_code == 200]
    assert sorted(left) == list(range(20))
    assert common_project.balance(user_id) == 0
    assert [entry["balanceAfter"] for entry in common_project.entries(user_id)] == list(range(19, -1, -1))
    assert audit_of(common_project).of_user(user_id).violations == []
