"""What Gemini's models are sent, and what an operator is told. tests/unit/images/contract has the rest."""

import json

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from images import gemini
from images.gemini import GeminiModel, aspect_ratio
from images.model import ImageOrder, PictureBytes, ProviderFailed, RefusedContent, generate_image
from store import Deadline
from tests.support.providers import GEMINI, FixedCredentials

ORDER = ImageOrder("request", "attempt", "anime", "neon", "1024x1792", "a red bicycle")


def asked(url: str, credentials: FixedCredentials | None = None) -> object:
    model = GeminiModel("gemini-x-image", "demo", lambda: credentials or FixedCredentials(), url.rstrip("/"))
    return generate_image(model, ORDER, Deadline.after(50))


def test_the_request_is_generate_content(httpserver: HTTPServer) -> None:
    """With the account's token, the order in words, and the shape as a parameter."""
    httpserver.expect_request(GEMINI.path, "POST").respond_with_data(GEMINI.success(b"x"))
    asked(httpserver.url_for(""))
    [(request, _)] = httpserver.log
    sent = json.loads(request.get_data())
    [content] = sent["contents"]
    assert request.headers["Authorization"] == "Bearer token-1"
    assert content["role"] == "user"
    assert "a red bicycle" in content["parts"][0]["text"]
    assert sent["generationConfig"]["imageConfig"] == {"aspectRatio": "9:16"}
    assert "IMAGE" in sent["generationConfig"]["responseModalities"]


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ("512x512", "1:1"),
        ("1024x1024", "1:1"),
        ("1024x1792", "9:16"),
        ("1792x1024", "16:9"),
        ("1000x1250", "4:5"),
        ("1024x1536", "2:3"),
        ("3000x1000", "21:9"),
        ("1000x9000", "9:16"),
        ("large", "1:1"),
    ],
)
def test_a_size_is_the_nearest_shape(size: str, ratio: str) -> None:
    """Each of the catalog's, and any that an operator adds."""
    assert aspect_ratio(size) == ratio


def test_a_draft_is_not_the_picture(httpserver: HTTPServer) -> None:
    """A model that thinks sends pictures of its thoughts first."""
    parts = [
        {"thought": True, "inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"inlineData": {"mimeType": "image/jpeg", "data": "AAAB"}},
    ]
    httpserver.expect_request(GEMINI.path).respond_with_json({"candidates": [{"content": {"parts": parts}}]})
    assert asked(httpserver.url_for("")) == PictureBytes(b"\0\0\1", "image/jpeg")


def test_a_picture_that_a_filter_stopped_is_not_sold(httpserver: HTTPServer) -> None:
    """Even if some of it was sent."""
    parts = [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]
    answer = {"candidates": [{"finishReason": "IMAGE_SAFETY", "content": {"parts": parts}}]}
    httpserver.expect_request(GEMINI.path).respond_with_json(answer)
    with pytest.raises(RefusedContent, match="IMAGE_SAFETY"):
        asked(httpserver.url_for(""))


def test_a_token_that_is_not_valid_any_more_is_replaced_once(httpserver: HTTPServer) -> None:
    """A call without a valid token costs nothing, so this one is repeated."""
    credentials = FixedCredentials()

    def answer(request: Request) -> Response:
        is_new = request.headers["Authorization"] == "Bearer token-2"
        return Response(GEMINI.success(b"x") if is_new else "{}", 200 if is_new else 401)

    httpserver.expect_request(GEMINI.path).respond_with_handler(answer)
    assert asked(httpserver.url_for(""), credentials) == PictureBytes(b"x", "image/png")
    httpserver.clear()
    httpserver.expect_request(GEMINI.path).respond_with_json({}, 401)
    with pytest.raises(ProviderFailed):
        asked(httpserver.url_for(""), credentials)
    assert len(httpserver.log) == 2


@pytest.mark.parametrize(("status", "hint"), [(403, "Vertex AI User"), (404, "model of this name")])
def test_an_operator_is_told_what_to_look_at(status: int, hint: str, httpserver: HTTPServer) -> None:
    """The message is in the log, as `why`."""
    httpserver.expect_request(GEMINI.path).respond_with_json(GEMINI.error, status)
    with pytest.raises(ProviderFailed, match=hint):
        asked(httpserver.url_for(""))


def test_without_credentials_the_operator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked for at the first picture, and not when the model is made."""
    gemini.application_default.cache_clear()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    model = GeminiModel("gemini-x-image", "demo")
    with pytest.raises(ProviderFailed, match="no application default credentials"):
        generate_image(model, ORDER, Deadline.after(50))


def test_the_address_is_googles() -> None:
    """The global location has no region in its host's name."""
    assert GeminiModel("m", "p").base_url == "https://aiplatform.googleapis.com"
