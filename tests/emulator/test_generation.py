"""createGenerationRequest over HTTP, on the server that production runs."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from contract import error_of, order
from projects import SEED, Project
from seed import load_catalog
from servers import FunctionServer, wait_until


def test_a_generation_gives_an_image_and_takes_its_price(generate: FunctionServer, shared_project: Project) -> None:
    """A valid request is answered with an image, and balance, ledger and request say the same."""
    user_id = shared_project.add_user(100)
    response = generate.post(order(user_id, size="1024x1024", prompt="a lighthouse", extra={"ignored": True}))
    assert response.status_code == 200, response.text
    body = response.json()
    assert set(body) == {"generationRequestId", "deductedCredits", "imageUrl"}
    assert body["deductedCredits"] == 3
    assert body["imageUrl"].startswith("https://")
    assert shared_project.balance(user_id) == 97
    [entry] = shared_project.entries(user_id)
    assert (entry["id"], entry["type"], entry["credits"], entry["balanceAfter"], entry["generationRequestId"]) == (
        f"{body['generationRequestId']}-deduction",
        "deduction",
        3,
        97,
        body["generationRequestId"],
    )
    [request] = shared_project.requests_of(user_id)
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
    assert "extra" not in request
    assert request["leaseExpiresAt"] > request["createdAt"]


def test_a_failing_model_costs_nothing(project: Project) -> None:
    """With a model that always fails the answer is GENERATION_FAILED and the ledger holds one refund."""
    user_id = project.add_user(10)
    with FunctionServer("createGenerationRequest", project.id, AI_FAILURE_RATE="1") as server:
        response = server.post(order(user_id, size="1024x1792"))
    error = error_of(response)
    assert (response.status_code, error["status"]) == (500, "INTERNAL")
    assert error["message"] == "AI generation failed, credits refunded."
    assert (error["details"]["reason"], error["details"]["refundedCredits"]) == ("GENERATION_FAILED", 4)
    assert project.balance(user_id) == 10
    entries = project.entries(user_id)
    assert [(entry["type"], entry["credits"], entry["balanceAfter"]) for entry in entries] == [
        ("deduction", 4, 6),
        ("refund", 4, 10),
    ]
    [request] = project.requests_of(user_id)
    assert (request["status"], request["failure"]) == ("failed", "GENERATION_FAILED")
    assert "imageUrl" not in request


def test_a_balance_below_the_price_is_refused(generate: FunctionServer, shared_project: Project) -> None:
    """Too few credits: the answer says how many are needed and there, and nothing is written."""
    user_id = shared_project.add_user(2)
    before = shared_project.everything()
    error = error_of(generate.post(order(user_id, size="1024x1024")))
    assert (error["code"], error["status"], error["message"]) == (400, "FAILED_PRECONDITION", "Insufficient credits.")
    assert error["details"] == {"reason": "INSUFFICIENT_CREDITS", "required": 3, "available": 2}
    assert shared_project.everything() == before


def test_an_unknown_user_is_not_found(generate: FunctionServer, shared_project: Project) -> None:
    """A user without a document gets 404 and none is made."""
    before = shared_project.everything()
    error = error_of(generate.post(order("nobody")))
    assert (error["code"], error["status"], error["message"]) == (404, "NOT_FOUND", "User not found.")
    assert shared_project.everything() == before


STYLES = "anime, cyberpunk, oil painting, realistic, sketch, watercolor"

BAD_FIELDS: list[tuple[dict[str, Any], list[str], str]] = [
    ({"style": "x"}, ["style"], f"Invalid style 'x'. Available styles: {STYLES}"),
    ({"color": "x"}, ["color"], "Invalid color 'x'. Available colors: "),
    ({"size": "1x1"}, ["size"], "Invalid size '1x1'. Available sizes: 1024x1024, 1024x1792, 512x512"),
    ({"model": "x"}, ["model"], "Invalid model 'x'. Available models: model-a, model-b"),
    ({"style": None, "size": None}, ["style", "size"], "Missing required fields: style, size"),
    ({"userId": None, "model": "x"}, ["userId", "model"], "Missing required fields: userId. Invalid model 'x'."),
    ({"userId": 5}, ["userId"], "userId must be a string."),
    ({"style": ["anime"]}, ["style"], "must be a string"),
    ({"style": {}, "color": 1, "size": True}, ["style", "color", "size"], "must be a string"),
    ({"prompt": 5}, ["prompt"], "prompt must be a string."),
    ({"prompt": "x" * 4001}, ["prompt"], "4000"),
    ({"prompt": "x" * 60_000}, ["prompt"], "4000"),
    ({"prompt": "a\ud800b"}, ["prompt"], "surrogate"),
    ({"style": "\udfff"}, ["style"], "Invalid style"),
    ({"style": "x" * 10_000}, ["style"], "Invalid style"),
    ({"userId": ""}, ["userId"], "Invalid userId"),
    ({"userId": "a/b"}, ["userId"], "Invalid userId"),
    ({"userId": "w/transactions/x"}, ["userId"], "Invalid userId"),
    ({"userId": "."}, ["userId"], "Invalid userId"),
    ({"userId": ".."}, ["userId"], "Invalid userId"),
    ({"userId": "__x__"}, ["userId"], "Invalid userId"),
    ({"userId": "a\u0000b"}, ["userId"], "Invalid userId"),
    ({"userId": "a\nb"}, ["userId"], "Invalid userId"),
    ({"userId": "\ud800"}, ["userId"], "Invalid userId"),
    ({"userId": "x" * 129}, ["userId"], "Invalid userId"),
    ({"userId": float("nan")}, [], "JSON"),
]


@pytest.mark.parametrize(("changes", "fields", "words"), BAD_FIELDS, ids=range(len(BAD_FIELDS)))
def test_bad_fields_are_all_named_and_nothing_is_written(
    generate: FunctionServer, shared_project: Project, changes: dict[str, Any], fields: list[str], words: str
) -> None:
    """Each bad field is named, in words and in the details, and Firestore is as before."""
    user_id = shared_project.add_user(5)
    before = shared_project.everything()
    body = {name: value for name, value in order(user_id, **changes).items() if value is not None}
    response = requests.post(
        generate.url, data=json.dumps(body), headers={"Content-Type": "application/json"}, timeout=60
    )
    error = error_of(response)
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["details"]["reason"] == "INVALID_REQUEST"
    assert [problem["field"] for problem in error["details"]["fields"]] == fields
    assert words in error["message"]
    for problem in error["details"]["fields"]:
        assert ("allowed" in problem) == (problem["field"] in ("model", "style", "color", "size"))
    assert shared_project.everything() == before


def as_json(text: str) -> tuple[bytes, str]:
    return text.encode(), "application/json"


BAD_BODIES = {
    "empty": as_json(""),
    "array": as_json("[1]"),
    "string": as_json('"x"'),
    "null": as_json("null"),
    "broken": as_json('{"userId":'),
    "NaN": as_json('{"userId": NaN}'),
    "Infinity": as_json('{"prompt": -Infinity}'),
    "not UTF-8": (b'{"userId": "\xff"}', "application/json"),
    "30,000 deep": as_json("[" * 30_000 + "]" * 30_000),
    "10,000 objects deep": as_json('{"a":' * 10_000 + "1" + "}" * 10_000),
    "huge number": as_json('{"a": ' + "9" * 10_000 + "}"),
    "form": (b"userId=testUser1", "application/x-www-form-urlencoded"),
    "text": (b'{"userId": "x"}', "text/plain"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_body_that_is_no_json_object_is_refused(generate: FunctionServer, shared_project: Project, name: str) -> None:
    """Whatever is no JSON object, sent as such, gets 400 and writes nothing."""
    before = shared_project.everything()
    data, content_type = BAD_BODIES[name]
    error = error_of(requests.post(generate.url, data=data, headers={"Content-Type": content_type}, timeout=60))
    assert (error["code"], error["status"], error["details"]["reason"]) == (400, "INVALID_ARGUMENT", "INVALID_REQUEST")
    assert shared_project.everything() == before


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size_bytes", [64 * 1024 + 1, 20_000_000])
def test_a_body_over_64_kib_is_refused(generate: FunctionServer, size_bytes: int, chunked: bool) -> None:
    """A body over the limit gets 413, with or without a Content-Length, and the server lives on."""
    body = b'{"prompt": "' + b"x" * (size_bytes - 14) + b'"}'
    assert len(body) == size_bytes
    data = iter([body]) if chunked else body
    response = requests.post(generate.url, data=data, headers={"Content-Type": "application/json"}, timeout=60)
    error = error_of(response)
    assert (error["code"], error["status"]) == (413, "INVALID_ARGUMENT")
    assert error_of(generate.post({}))["code"] == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused(generate: FunctionServer, method: str) -> None:
    """Anything but POST gets 405, with Allow."""
    response = requests.request(method, generate.url, timeout=60)
    assert (response.status_code, error_of(response)["status"]) == (405, "INVALID_ARGUMENT")
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "document",
    [{}, {"credits": -1}, {"credits": "100"}, {"credits": float("nan")}, {"credits": True}, {"credits": 9.5}],
)
def test_a_broken_balance_is_a_clean_500(
    generate: FunctionServer, credits_of: FunctionServer, shared_project: Project, document: dict[str, Any]
) -> None:
    """A balance that is no integer of at least 0: 500 on both endpoints, nothing written, one log line names it."""
    user_id = shared_project.add_user()
    shared_project.client.document(f"users/{user_id}").set(document)
    before = shared_project.requests_of(user_id)
    response = generate.post(order(user_id))
    error = error_of(response)
    assert (error["code"], error["status"], error["message"]) == (500, "INTERNAL", "Internal error.")
    assert set(error["details"]) == {"errorId"}
    assert shared_project.requests_of(user_id) == before == shared_project.entries(user_id) == []
    [line] = [line for line in generate.log().splitlines() if f"users/{user_id}" in line]
    assert error["details"]["errorId"] in line
    assert error_of(credits_of.get(userId=user_id))["code"] == 500


def test_only_what_the_credits_pay_for_succeeds(project: Project) -> None:
    """32 requests at once with credits for 20: 20 images, 12 refusals, nothing else, and a balance of 0."""
    user_id = project.add_user(20)
    with (
        FunctionServer("createGenerationRequest", project.id) as server,
        ThreadPoolExecutor(32) as clients,
    ):
        responses = list(clients.map(lambda _: server.post(order(user_id)), range(32)))
    assert sorted(response.status_code for response in responses) == [200] * 20 + [400] * 12
    refused = [error_of(response) for response in responses if response.status_code == 400]
    assert {error["details"]["reason"] for error in refused} == {"INSUFFICIENT_CREDITS"}
    assert project.balance(user_id) == 0
    assert [entry["balanceAfter"] for entry in project.entries(user_id)] == list(range(19, -1, -1))


def test_a_price_that_is_no_price_is_not_offered(project: Project) -> None:
    """A size whose credits are no positive integer is not offered, one log line says why, and the others work."""
    user_id = project.add_user(10)
    for size, credits in {"zero": 0, "half": 0.5, "text": "3", "yes": True, "nan": float("nan")}.items():
        project.client.document(f"sizes/{size}").set({"credits": credits})
    project.client.document("sizes/none").set({})
    with FunctionServer("createGenerationRequest", project.id) as server:
        for size in ("zero", "half", "text", "yes", "nan", "none"):
            error = error_of(server.post(order(user_id, size=size)))
            assert error["message"] == f"Invalid size '{size}'. Available sizes: 1024x1024, 1024x1792, 512x512"
            assert server.log().count(f"sizes/{size}") == 1
        assert server.post(order(user_id)).status_code == 200


def test_an_empty_catalog_is_an_error_until_it_is_filled() -> None:
    """Without a catalog the answer is 503, and the next call after it was loaded works."""
    empty = Project.empty()
    user_id = empty.add_user(10)
    with FunctionServer("createGenerationRequest", empty.id) as server:
        response = server.post(order(user_id))
        assert (response.status_code, error_of(response)["status"]) == (503, "UNAVAILABLE")
        assert int(response.headers["Retry-After"]) > 0
        load_catalog(empty.client, SEED)
        assert server.post(order(user_id)).status_code == 200


def test_a_new_style_is_offered_within_the_ttl(project: Project) -> None:
    """A style added to Firestore is accepted without a restart, once the cached catalog has expired."""
    user_id = project.add_user(100)
    with FunctionServer("createGenerationRequest", project.id, CATALOG_TTL_SECONDS="0.5") as server:
        assert server.post(order(user_id, style="pixel art")).status_code == 400
        project.client.document("styles/pixel art").set({})
        wait_until(lambda: server.post(order(user_id, style="pixel art")).status_code == 200, "the style", 5)


@pytest.mark.parametrize("rate", ["", "x", "-0.1", "1.1", "nan", "inf"])
def test_a_failure_rate_that_is_none_stops_the_function(project: Project, rate: str) -> None:
    """AI_FAILURE_RATE is a number from 0 to 1; with anything else the function does not start and says why."""
    server = FunctionServer("createGenerationRequest", project.id, AI_FAILURE_RATE=rate)
    try:
        wait_until(lambda: server.process.poll() is not None, "the function ending")
        assert server.process.returncode != 0
        assert re.search(rf"AI_FAILURE_RATE must be a number from 0 to 1, not '{re.escape(rate)}'", server.log())
    finally:
        server.kill()


BROKEN_CHUNKS = {
    "no size": b"zz\r\n{}\r\n0\r\n\r\n",
    "cut": b"ff\r\n{}",
    "no end": b"2\r\n{}\r\n",
}


@pytest.mark.parametrize("name", BROKEN_CHUNKS)
def test_a_body_that_breaks_off_is_the_clients_fault(generate: FunctionServer, name: str) -> None:
    """Chunks that are none get 400 and raise no alarm."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b" 400 " in generate.exchange(head + BROKEN_CHUNKS[name]).splitlines()[0]
    assert "internal error" not in generate.log()


def test_a_body_shorter_than_it_says_buys_nothing(generate: FunctionServer, shared_project: Project) -> None:
    """A connection that ends before the Content-Length is reached gets 400, whole as the JSON may look."""
    user_id = shared_project.add_user(5)
    body = json.dumps(order(user_id)).encode()
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body) + 9}\r\n\r\n"
    assert b" 400 " in generate.exchange(head.encode() + body).splitlines()[0]
    assert shared_project.balance(user_id) == 5
