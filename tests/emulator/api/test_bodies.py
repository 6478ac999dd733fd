"""What createGenerationRequest makes of bodies that are not a valid purchase."""

import json
from typing import Any

import pytest

from tests.support.calls import Function
from tests.support.contract import error_of, fields_at_fault, order
from tests.support.projects import Project
from tests.support.servers import FunctionServer

CREATE = "/createGenerationRequest"
JSON = {"Content-Type": "application/json"}
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
    ({"promt": "a lighthouse"}, ["promt"], "Unknown field 'promt'. Did you mean 'prompt'?"),
    ({"style": "x", "seed": 1}, ["style", "seed"], "Unknown field 'seed'."),
    ({"Idempotency-Key": "k"}, ["Idempotency-Key"], "Idempotency-Key is a header"),
    ({"\ud800": 1}, ["?"], "Unknown field '?'."),
]


@pytest.mark.parametrize(("changes", "fields", "words"), BAD_FIELDS, ids=range(len(BAD_FIELDS)))
def test_bad_fields_are_all_named_and_nothing_is_written(
    create: Function, common_project: Project, changes: dict[str, Any], fields: list[str], words: str
) -> None:
    """Each bad or unknown field is named, in words and in the details, and Firestore is as before."""
    user_id = common_project.add_user(5)
    before = common_project.everything()
    body = {name: value for name, value in order(user_id, **changes).items() if value is not None}
    error = error_of(create.call("POST", data=json.dumps(body), headers=JSON))
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["details"]["reason"] == "INVALID_REQUEST"
    assert fields_at_fault(error) == fields
    assert words in error["message"]
    for problem in error["details"]["fields"]:
        assert ("allowed" in problem) == (problem["field"] in ("model", "style", "color", "size"))
    assert common_project.everything() == before


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
def test_a_body_that_is_not_a_json_object_is_refused(create: Function, common_project: Project, name: str) -> None:
    """Anything but a JSON object, sent as JSON, gets 400 and writes nothing."""
    before = common_project.everything()
    data, content_type = BAD_BODIES[name]
    error = error_of(create.call("POST", data=data, headers={"Content-Type": content_type}))
    assert (error["code"], error["status"], error["details"]["reason"]) == (400, "INVALID_ARGUMENT", "INVALID_REQUEST")
    assert common_project.everything() == before


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size_bytes", [64 * 1024 + 1, 20_000_000])
def test_a_body_over_64_kib_is_refused(create: Function, size_bytes: int, chunked: bool) -> None:
    """A body over the limit gets 413, with or without a Content-Length, and the server lives on."""
    body = b'{"prompt": "' + b"x" * (size_bytes - 14) + b'"}'
    assert len(body) == size_bytes
    error = error_of(create.call("POST", data=iter([body]) if chunked else body, headers=JSON))
    assert (error["code"], error["status"]) == (413, "INVALID_ARGUMENT")
    assert error_of(create.post({}))["code"] == 400


CHUNKED = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
BROKEN_CHUNKS = {
    "no size": b"zz\r\n{}\r\n0\r\n\r\n",
    "cut": b"ff\r\n{}",
    "no end": b"2\r\n{}\r\n",
}


@pytest.mark.parametrize("name", BROKEN_CHUNKS)
def test_a_body_that_breaks_off_is_the_clients_fault(server: FunctionServer, name: str) -> None:
    """Malformed chunks get 400 and raise no alarm."""
    alarms = server.log().count("internal error")
    assert b" 400 " in server.exchange(CREATE, CHUNKED, BROKEN_CHUNKS[name]).splitlines()[0]
    assert server.log().count("internal error") == alarms


def test_a_body_shorter_than_it_says_buys_nothing(server: FunctionServer, common_project: Project) -> None:
    """A connection that ends before the Content-Length is reached gets 400, even if the JSON is complete."""
    user_id = common_project.add_user(5)
    body = json.dumps(order(user_id)).encode()
    head = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % (len(body) + 9)
    assert b" 400 " in server.exchange(CREATE, head, body).splitlines()[0]
    assert common_project.balance(user_id) == 5
