"""What OpenAI's models are sent, and what an operator is told. tests/unit/images/contract has the rest."""

import json

import pytest
from pytest_httpserver import HTTPServer

from images.model import ImageOrder, PictureBytes, ProviderBusy, ProviderFailed, generate_image
from images.openai import OpenAiModel, size_for
from images.sizes import Size
from store import Deadline
from tests.support.providers import KEY, OPENAI

ORDER = ImageOrder("request", "attempt", "anime", "neon", "1024x1792", "a red bicycle")


def asked(httpserver: HTTPServer, key: str = KEY, model: str = "gpt-image-2") -> object:
    return generate_image(OpenAiModel(model, key, httpserver.url_for("").rstrip("/")), ORDER, Deadline.after(50))


def test_the_request_is_one_picture_with_the_key(httpserver: HTTPServer) -> None:
    """The order in words, the size as a parameter, and a quality that does not surprise the bill."""
    httpserver.expect_request(OPENAI.path, "POST").respond_with_data(OPENAI.success(b"x"))
    asked(httpserver)
    [(request, _)] = httpserver.log
    sent = json.loads(request.get_data())
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert "a red bicycle" in sent.pop("prompt")
    assert sent == {"model": "gpt-image-2", "n": 1, "size": "1024x1792", "quality": "medium", "output_format": "png"}


@pytest.mark.parametrize(
    ("model", "ordered", "size"),
    [
        ("gpt-image-1.5", "512x512", "1024x1024"),
        ("gpt-image-1.5", "1024x1024", "1024x1024"),
        ("gpt-image-1.5", "1024x1792", "1024x1536"),
        ("gpt-image-1-mini", "1792x1024", "1536x1024"),
        ("gpt-image-2", "512x512", "1024x1024"),
        ("gpt-image-2", "1024x1792", "1024x1792"),
        ("gpt-image-2.5-flare", "1024x1792", "1024x1792"),
        ("gpt-image-10", "2048x1152", "2048x1152"),
        ("gpt-image-2", "1000x1000", "1024x1024"),
        ("gpt-image-2", "4096x2048", "1536x1024"),
        ("gpt-image-2", "3840x3840", "1024x1024"),
        ("gpt-image-2", "512x1792", "1024x1536"),
        ("gpt-image-2", "large", "1024x1024"),
    ],
)
def test_a_size_is_the_ordered_one_or_the_nearest_shape(model: str, ordered: str, size: str) -> None:
    """Newer models take any size within limits, older ones three."""
    assert size_for(model, ordered) == size
    assert Size.named(size).width % 16 == 0


def test_the_media_type_is_the_answers(httpserver: HTTPServer) -> None:
    """PNG is asked for, and named by an answer that says nothing."""
    for said, media_type in (({"output_format": "webp"}, "image/webp"), ({}, "image/png")):
        httpserver.clear()
        httpserver.expect_request(OPENAI.path).respond_with_json({"data": [{"b64_json": "AAAA"}], **said})
        assert asked(httpserver) == PictureBytes(b"\0\0\0", media_type)


@pytest.mark.parametrize(("status", "hint"), [(401, "OPENAI_API_KEY"), (403, "project"), (404, "model of this name")])
def test_an_operator_is_told_what_to_look_at(status: int, hint: str, httpserver: HTTPServer) -> None:
    """The message is in the log, as `why`."""
    httpserver.expect_request(OPENAI.path).respond_with_json(OPENAI.error, status)
    with pytest.raises(ProviderFailed, match=hint):
        asked(httpserver)


def test_an_account_without_credit_is_not_busy(httpserver: HTTPServer) -> None:
    """It answers 429 too, but no waiting helps: the operator has to pay."""
    for kind, failure in (("insufficient_quota", ProviderFailed), ("rate_limit_error", ProviderBusy)):
        httpserver.clear()
        body = {"error": {"type": kind, "code": "credit_balance_exhausted", "message": "?"}}
        httpserver.expect_request(OPENAI.path).respond_with_json(body, 429)
        with pytest.raises(failure):
            asked(httpserver)


def test_without_a_key_nothing_is_asked(httpserver: HTTPServer) -> None:
    """The operator is told which setting is missing."""
    with pytest.raises(ProviderFailed, match="OPENAI_API_KEY is not set"):
        asked(httpserver, key="")
    assert httpserver.log == []


@pytest.mark.parametrize("key", ["sk-s3cret\nx", "sk-s3cret\u2026", "s3cret\x00"])
def test_a_key_that_is_no_header_is_not_quoted(key: str, httpserver: HTTPServer) -> None:
    """It was copied with something around it; the library's message has the whole of it."""
    httpserver.expect_request(OPENAI.path).respond_with_json({}, 401)
    with pytest.raises(ProviderFailed) as caught:
        asked(httpserver, key)
    assert "s3cret" not in str(caught.value)


def test_the_key_is_not_shown() -> None:
    """Neither by the model nor by the settings."""
    assert KEY not in repr(OpenAiModel("gpt-image-2", KEY))
