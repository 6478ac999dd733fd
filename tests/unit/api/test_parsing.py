"""What a client sent becomes a typed request, or one error that names every field at fault."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.parsing import MAX_PROBLEMS, field_names, parse
from errors import InvalidRequest
from schemas.fields import KEY_HEADER, page_token
from schemas.requests import (
    CreditsQuery,
    GenerationOrder,
    GenerationQuery,
    GenerationsQuery,
    GrantOrder,
    Input,
    NoQuery,
    QuoteOrder,
    ReportQuery,
    UserQuery,
)

BODY = {"userId": "ann", "model": "model-a", "style": "anime", "color": "neon", "size": "1024x1024"}
GRANT = {"userId": "ann", "credits": 25, "reason": "Order 1", KEY_HEADER: "key"}
OPTIONS = {
    "model": ["model-a", "model-b"],
    "style": ["anime", "realistic"],
    "color": ["neon"],
    "size": ["512x512", "1024x1024"],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def refused(model: type[Input], sent: dict[str, Any], has_catalog: bool = True) -> InvalidRequest:
    """The error of a request that must be refused."""
    with pytest.raises(InvalidRequest) as caught:
        parse(model, sent, lambda: OPTIONS if has_catalog else {})
    return caught.value


def can_be_sent(error: InvalidRequest) -> None:
    """It names a field, and UTF-8 can carry it."""
    assert error.details["fields"]
    error.message.encode()
    json.dumps(error.details, ensure_ascii=False).encode()


def fields(error: InvalidRequest) -> list[str]:
    return [problem["field"] for problem in error.details["fields"]]


def test_a_valid_body_becomes_an_order() -> None:
    """A missing prompt is None, like one that is null; the key is None unless one was sent."""
    order = parse(GenerationOrder, BODY)
    assert (order.user_id, order.model, order.style, order.color, order.size) == tuple(BODY.values())
    assert (order.prompt, order.idempotency_key) == (None, None)
    full = parse(GenerationOrder, {**BODY, "prompt": "a lighthouse", KEY_HEADER: "key"})
    assert (full.prompt, full.idempotency_key) == ("a lighthouse", "key")
    assert parse(QuoteOrder, {**BODY, "prompt": None}).prompt is None


def test_the_catalog_is_not_asked_about_a_valid_body() -> None:
    """Only a request that is refused pays for the values allowed."""

    def no_catalog() -> dict[str, list[str]]:
        raise AssertionError("asked")

    parse(GenerationOrder, BODY, no_catalog)


def test_every_bad_field_is_named_at_once() -> None:
    """Missing and invalid fields come in one error, in words and as a list with the values allowed."""
    error = refused(GenerationOrder, {"userId": "ann", "style": "x", "color": 1, "prompt": []})
    assert error.message == (
        "Missing required fields: model, size. Invalid style 'x'. Available styles: anime, realistic. "
        "Invalid color: it must be a string. Available colors: neon. prompt must be a string."
    )
    assert fields(error) == ["model", "style", "color", "size", "prompt"]
    allowed = {problem["field"]: problem.get("allowed") for problem in error.details["fields"]}
    assert allowed == {**OPTIONS, "prompt": None}


def test_without_a_catalog_the_fields_are_named_all_the_same() -> None:
    """Only the values allowed are not in the answer."""
    error = refused(GenerationOrder, {"userId": "ann", "style": "x", "color": 1, "prompt": []}, has_catalog=False)
    assert error.message == "Missing required fields: model, size. color must be a string. prompt must be a string."
    assert fields(error) == ["model", "color", "size", "prompt"]
    assert all("allowed" not in problem for problem in error.details["fields"])


def test_missing_fields_are_said_in_the_contracts_words() -> None:
    """In the model's order."""
    assert refused(GenerationOrder, {}).message == "Missing required fields: userId, model, style, color, size"
    assert refused(GenerationOrder, {**BODY, "userId": None}).message == "Missing required fields: userId"
    assert refused(CreditsQuery, {}).message == "userId parameter is required."
    assert refused(CreditsQuery, {"userId": ""}).message == "userId parameter is required."
    assert refused(GenerationQuery, {}).message == "generationRequestId parameter is required."


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"styel": "anime"}, "Unknown field 'styel'. Did you mean 'style'?"),
        ({"promt": "a lighthouse"}, "Unknown field 'promt'. Did you mean 'prompt'?"),
        ({"user_id": "ann"}, "Unknown field 'user_id'. Did you mean 'userId'?"),
        ({"zzz": 1}, "Unknown field 'zzz'."),
        ({"": 1}, "Unknown field ''."),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_known_name(sent: dict[str, object], message: str) -> None:
    """A misspelt optional field would cost money silently."""
    error = refused(GenerationOrder, {**BODY, **sent})
    assert error.message == message
    assert fields(error) == [*sent]


def test_an_unknown_parameter_is_refused_with_the_nearest_known_name() -> None:
    """As in a body."""
    error = refused(CreditsQuery, {"userId": "ann", "pagesize": "5"})
    assert error.message == "Unknown parameter 'pagesize'. Did you mean 'pageSize'?"
    assert refused(NoQuery, {"x": "1"}).message == "Unknown parameter 'x'."


def test_at_most_fifty_problems_are_listed() -> None:
    """The known fields come first; the answer is never much longer than the request."""
    error = refused(GenerationOrder, {**BODY, "style": "x", **{f"f{number:04}": 1 for number in range(1_000)}})
    assert len(fields(error)) == MAX_PROBLEMS == 50
    assert fields(error)[:2] == ["style", "f0000"]


@pytest.mark.parametrize("name", ["promt", "Prompt", "PROMPT", "prompts", "pompt"])
def test_the_nearest_known_name_is_suggested(name: str) -> None:
    """For a slip of the hand and for another case."""
    assert refused(GenerationOrder, {**BODY, name: "x"}).message == f"Unknown field '{name}'. Did you mean 'prompt'?"


def test_a_long_or_odd_name_is_quoted_briefly() -> None:
    """It is cut, and a lone surrogate is replaced, so that the answer can be encoded."""
    error = refused(GenerationOrder, {**BODY, "x" * 1_000: 1, "a\ud800": 1})
    assert fields(error) == ["x" * 100 + "…", "a?"]
    assert len(error.message) < 500
    can_be_sent(error)


@pytest.mark.parametrize("value", [5, 5.0, True, ["ann"], {"a": 1}])
def test_a_string_is_not_made_of_something_else(value: object) -> None:
    """Nothing is converted silently."""
    assert refused(GenerationOrder, {**BODY, "userId": value}).message == "userId must be a string."
    assert refused(GenerationOrder, {**BODY, "prompt": value}).message == "prompt must be a string."


@pytest.mark.parametrize("value", [0, -1, 1_000_000_001, 10**400, 1.5, 25.0, "25", True, [25]])
def test_credits_are_an_integer_within_their_range(value: object) -> None:
    """Not a string of digits, not a bool, not a fraction."""
    assert refused(GrantOrder, {**GRANT, "credits": value}).message == (
        "credits must be an integer from 1 to 1000000000."
    )


def test_a_prompt_has_at_most_4000_characters() -> None:
    """The limit itself is within it."""
    assert parse(GenerationOrder, {**BODY, "prompt": "x" * 4_000}).prompt == "x" * 4_000
    error = refused(GenerationOrder, {**BODY, "prompt": "x" * 4_001})
    assert error.message == "prompt must be a string of at most 4000 characters."


def test_a_reason_is_needed() -> None:
    """It is kept in the ledger; an empty one says nothing."""
    assert refused(GrantOrder, {**GRANT, "reason": ""}).message == "reason must be a string of 1 to 500 characters."


def test_a_lone_surrogate_is_refused() -> None:
    """Neither Firestore nor JSON can carry one."""
    error = refused(GenerationOrder, {**BODY, "prompt": "a\ud800"})
    assert error.message == "prompt must be valid Unicode text; it holds a lone surrogate."


@pytest.mark.parametrize("user_id", ["a", "x" * 128, "Ünï çødé", "a.b", "_", "__", "___x", "😀", "a b", "%2F"])
def test_a_plain_document_id_is_a_user_id(user_id: str) -> None:
    """Any text that Firestore takes as a document id, up to 128 characters."""
    assert parse(CreditsQuery, {"userId": user_id}).user_id == user_id
    assert parse(GenerationOrder, {**BODY, "userId": user_id}).user_id == user_id


@pytest.mark.parametrize(
    "user_id", ["a/b", ".", "..", "____", "__x__", "__\n__", "x" * 129, "\0", "a\x7f", "\x85", "a\ud800"]
)
def test_anything_else_is_not(user_id: str) -> None:
    """Slashes, control characters, lone surrogates and reserved ids never reach a path."""
    for model, sent in ((CreditsQuery, {"userId": user_id}), (GenerationOrder, {**BODY, "userId": user_id})):
        error = refused(model, sent)
        assert error.message.startswith("Invalid userId.")
        assert fields(error) == ["userId"]


@pytest.mark.parametrize("email", ["a@b", "Ann.Lee+1@example.com", "ünï@çødé.example", "x" * 250 + "@b.c"])
def test_an_address_has_one_at_sign(email: str) -> None:
    """Whether somebody has it is for Firebase to say."""
    assert parse(UserQuery, {"email": email}).email == email


@pytest.mark.parametrize("email", ["ann", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "\0@b", "x" * 251 + "@b.c"])
def test_what_cannot_be_an_address_is_refused(email: str) -> None:
    """Without a question to Firebase, and without quoting it."""
    with pytest.raises(InvalidRequest) as caught:
        parse(UserQuery, {"email": email})
    assert caught.value.message == "email must be an e-mail address of at most 254 characters."


def test_every_bad_parameter_is_named_at_once() -> None:
    """User, page and status in one error; a parameter with a closed list names it."""
    error = refused(GenerationsQuery, {"userId": "a/b", "status": "x", "pageSize": "0", "pageToken": "!"})
    assert fields(error) == ["userId", "pageSize", "pageToken", "status"]
    assert error.details["fields"][3]["allowed"] == ["pending", "completed", "failed", "canceled"]
    assert "status must be one of pending, completed, failed, canceled." in error.message


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("200", 200), ("007", 7)])
def test_a_page_size_is_written_in_digits(text: str, size: int) -> None:
    """A query holds texts only."""
    assert parse(CreditsQuery, {"userId": "ann", "pageSize": text}).page_size == size


@pytest.mark.parametrize("text", ["0", "201", "-1", "1.0", "1e2", " 1", "\uff11", "9" * 5_000, "x"])
def test_anything_else_is_not_a_page_size(text: str) -> None:
    """From 1 to 200; 50 if nothing is asked for."""
    error = refused(CreditsQuery, {"userId": "ann", "pageSize": text})
    assert error.message == "pageSize must be an integer from 1 to 200."
    assert parse(CreditsQuery, {"userId": "ann"}).page_size == 50


@given(entry_id=st.from_regex(r"[0-9a-zA-Z-]{1,100}", fullmatch=True))
def test_a_page_token_comes_back_as_its_entry(entry_id: str) -> None:
    """Encoding and decoding a token gives the entry's id."""
    token = page_token(entry_id)
    assert token is not None
    assert parse(CreditsQuery, {"userId": "ann", "pageToken": token}).after_id == entry_id


@pytest.mark.parametrize("token", ["!", "YQ", "YS9i", "Li4=", "_w==", "X1_X19f", "a" * 2_000, "é"])
def test_a_page_token_that_nobody_gave_is_refused(token: str) -> None:
    """Not base64, not text, or not a document's id."""
    error = refused(CreditsQuery, {"userId": "ann", "pageToken": token})
    assert error.message == "pageToken is not one that this endpoint gave."


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, "a\n", "\x00"])
def test_a_key_that_is_not_visible_ascii_is_refused(key: str) -> None:
    """An Idempotency-Key has 1 to 255 visible ASCII characters."""
    for model, sent in ((GenerationOrder, BODY), (GrantOrder, GRANT)):
        error = refused(model, {**sent, KEY_HEADER: key})
        assert error.message == "Idempotency-Key must be 1 to 255 visible ASCII characters."
        assert fields(error) == [KEY_HEADER]


def test_a_grant_needs_a_key() -> None:
    """It is named as a header, since it is not a field of the body."""
    error = refused(GrantOrder, {**GRANT, KEY_HEADER: None})
    assert error.details["fields"] == [{"field": KEY_HEADER, "message": "Idempotency-Key header is required."}]


@pytest.mark.parametrize("request_id", ["a/b", "..", "__x__", "x" * 129, "a\x00"])
def test_a_request_id_is_one_documents_id(request_id: str) -> None:
    """It never becomes another path."""
    error = refused(GenerationQuery, {"generationRequestId": request_id})
    assert error.message == "generationRequestId is not one that this API gave."


@pytest.mark.parametrize("report_id", ["report_2026-03-09", "report_2026-03-09T101112Z"])
def test_a_report_id_has_its_form(report_id: str) -> None:
    """The day on which the week ended, and the time if somebody made it by hand."""
    assert parse(ReportQuery, {"reportId": report_id}).report_id == report_id
    for wrong in (report_id + "x", "x" + report_id, report_id.replace("-", "/"), report_id + "\n"):
        assert fields(refused(ReportQuery, {"reportId": wrong})) == ["reportId"]
    assert "json, html" in refused(ReportQuery, {"format": "pdf"}).message


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(body=st.dictionaries(st.sampled_from([*BODY, "prompt", "other", "odd\ud800", KEY_HEADER]), JSON))
def test_every_body_passes_or_is_refused_with_an_answer_that_can_be_sent(body: dict[str, object]) -> None:
    """For all that JSON can hold; and what passes holds strings."""
    try:
        order = parse(GenerationOrder, body, lambda: OPTIONS)
    except InvalidRequest as error:
        can_be_sent(error)
    else:
        assert all(isinstance(getattr(order, name), str) for name in ("user_id", "model", "style", "color", "size"))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    query=st.dictionaries(
        st.sampled_from(["userId", "pageSize", "pageToken", "status", "other"]),
        st.text() | st.sampled_from(["1", "YQ=="]),
    )
)
def test_every_query_passes_or_is_refused_with_an_answer_that_can_be_sent(query: dict[str, object]) -> None:
    """For all that a query string can hold."""
    try:
        asked = parse(GenerationsQuery, query)
    except InvalidRequest as error:
        can_be_sent(error)
    else:
        assert 1 <= asked.page_size <= 200


def test_fields_have_the_contracts_names() -> None:
    """Camel case in JSON; the key is a header."""
    assert field_names(GenerationOrder) == ["userId", "model", "style", "color", "size", "prompt", KEY_HEADER, "Prefer"]
    assert field_names(GenerationsQuery) == ["userId", "pageSize", "pageToken", "status"]
