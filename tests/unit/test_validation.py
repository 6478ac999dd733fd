"""Untrusted JSON becomes a priced request, or an error that names every bad field."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import validation
from catalog import Catalog
from errors import InvalidRequest

CATALOG = Catalog(["anime", "realistic"], ["neon"], {"512x512": 1, "1024x1024": 3})
MODELS = ["model-a", "model-b"]
BODY = {"userId": "ann", "model": "model-a", "style": "anime", "color": "neon", "size": "1024x1024"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def page_asked(**query: str) -> validation.PageAsked:
    return validation.page_asked({"userId": "ann", **query}, None, by_status=True)


def test_a_valid_body_is_priced_from_the_catalog() -> None:
    """The size's credits are the cost; a missing prompt is none."""
    request = validation.generation_request(BODY, CATALOG, MODELS)
    assert (request.user_id, request.cost_credits, request.prompt) == ("ann", 3, None)


def test_every_bad_field_is_reported_at_once() -> None:
    """Missing and invalid fields come in one error, in words and as a list with the values allowed."""
    with pytest.raises(InvalidRequest) as caught:
        validation.generation_request({"userId": "ann", "style": "x", "color": 1, "prompt": []}, CATALOG, MODELS)
    assert caught.value.message == (
        "Missing required fields: model, size. Invalid style 'x'. Available styles: anime, realistic. "
        "Invalid color: it must be a string. Available colors: neon. prompt must be a string."
    )
    fields = caught.value.details["fields"]
    assert [problem["field"] for problem in fields] == ["model", "style", "color", "size", "prompt"]
    assert fields[1]["allowed"] == ["anime", "realistic"]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(body=st.dictionaries(st.sampled_from([*BODY, "prompt", "other"]), JSON))
def test_no_body_does_anything_but_pass_or_raise_invalid_request(body: dict[str, object]) -> None:
    """Whatever JSON holds, the outcome is a request with a price or InvalidRequest with an encodable message."""
    try:
        request = validation.generation_request(body, CATALOG, MODELS)
    except InvalidRequest as error:
        error.message.encode()
    else:
        assert request.cost_credits in (1, 3)


@pytest.mark.parametrize("user_id", ["a", "x" * 128, "Ünï çødé", "a.b", "_", "__", "___x", "😀", "a b", "%2F"])
def test_a_plain_document_id_is_a_user_id(user_id: str) -> None:
    """Any text that Firestore takes as a document id, up to 128 characters."""
    assert page_asked(userId=user_id).user_id == user_id


@pytest.mark.parametrize(
    "user_id", ["a/b", ".", "..", "____", "__x__", "__\n__", "x" * 129, "\0", "a\x7f", "\x85", "a\ud800"]
)
def test_anything_else_is_not(user_id: str) -> None:
    """Slashes, control characters, lone surrogates and reserved ids never reach a path."""
    with pytest.raises(InvalidRequest, match="Invalid userId"):
        page_asked(userId=user_id)


def test_every_bad_parameter_is_reported_at_once() -> None:
    """User, status, size and token in one error; what is not asked for is not looked at."""
    bad = {"userId": "a/b", "status": "x", "pageSize": "0", "pageToken": "!"}
    with pytest.raises(InvalidRequest) as caught:
        page_asked(**bad)
    assert [problem.field for problem in caught.value.problems] == ["userId", "status", "pageSize", "pageToken"]
    assert validation.page_asked({"status": "x"}, "ann", by_status=False) == validation.PageAsked("ann", None, 50, None)


@given(entry_id=st.from_regex(r"[0-9a-zA-Z-]{1,100}", fullmatch=True))
def test_a_page_token_comes_back_as_its_entry(entry_id: str) -> None:
    """Encoding and decoding a token gives the entry's id."""
    assert page_asked(pageToken=validation.next_page_token(entry_id) or "").after_id == entry_id


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, "a\n", "\x00"])
def test_a_key_that_is_not_visible_ascii_is_refused(key: str) -> None:
    """An Idempotency-Key has 1 to 255 visible ASCII characters."""
    with pytest.raises(InvalidRequest, match="Idempotency-Key"):
        validation.idempotency_key(key)
