"""What the models of all providers share: the words of an order, Retry-After, and looking into JSON."""

import base64
from typing import Any

import pytest

from images.model import ImageOrder, PictureBytes, ProviderFailed
from images.prompts import SUBJECT, prompt_for
from images.provider import at, decoded, retry_after_seconds

DATE = "Wed, 25 Nov 2026 08:00:00 GMT"


def order(prompt: str | None) -> ImageOrder:
    return ImageOrder("request", "attempt", "oil painting", "neon", "512x512", prompt)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 1),
        ("3600", 3_600),
        ("3601", 3_600),
        ("9" * 5_000, None),
        ("9" * 30, 3_600),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Wed, 25 Nov 2026 08:00:30 GMT", 30),
        ("Wed, 25 Nov 2026 07:00:00 GMT", 1),
        ("Thu, 25 Nov 2027 08:00:00 GMT", 3_600),
        ("Wed, 25 Nov 2026 08:00:30 -0000", None),
        ("Wed, 99 Nov 2026 08:00:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(retry_after: str, seconds: int | None) -> None:
    """From 1 second to an hour; nothing if it cannot be read. A date is held against the provider's clock."""
    assert retry_after_seconds({"Retry-After": retry_after, "Date": DATE}) == seconds


def test_a_wait_that_nobody_asked_for_is_none() -> None:
    """No header, or a date from a provider that does not tell its own time."""
    assert retry_after_seconds({}) is None
    assert retry_after_seconds({"Retry-After": DATE}) is None


def test_style_and_color_are_in_the_prompt() -> None:
    """The providers have no parameters for them."""
    text = prompt_for(order("a red bicycle"))
    assert all(words in text for words in ("a red bicycle", "oil painting", "neon"))
    assert "512" not in text


@pytest.mark.parametrize("prompt", [None, ""])
def test_an_order_without_a_prompt_has_a_subject(prompt: str | None) -> None:
    """A model that is told only a style may ask back in words."""
    assert SUBJECT in prompt_for(order(prompt))


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        ({"a": [{"b": 1}]}, ("a", 0, "b"), 1),
        ({"a": []}, ("a", 0, "b"), None),
        ({"a": 5}, ("a", 0), None),
        (None, ("a",), None),
        ([1], ("a",), None),
        ("text", ("a",), None),
        ({"a": 0}, (), {"a": 0}),
    ],
)
def test_a_place_that_is_not_there_is_none(value: Any, path: tuple[str | int, ...], found: Any) -> None:
    """An answer that lacks a key or an index, or has another type there, gives None and no error."""
    assert at(value, *path) == found


def test_base64_is_decoded_strictly() -> None:
    """What is left out or added would be a broken picture, sold."""
    text = base64.b64encode(b"picture!").decode()
    assert decoded(text, "image/webp") == PictureBytes(b"picture!", "image/webp")
    broken_texts: list[Any] = [text[:-1], text[:-3], text + "\n%", f"{text[:4]} {text[4:]}", "", "ü", None, 5, [], {}]
    for broken in broken_texts:
        with pytest.raises(ProviderFailed):
            decoded(broken, "image/webp")
    with pytest.raises(ProviderFailed):
        decoded(text, None)
