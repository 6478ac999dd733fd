"""The pictures of simulated models: who sees one, and what is drawn."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from PIL import Image

from credits.documents import Generation
from errors import GenerationNotFound
from images.simulated import picture_of, picture_url

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
TOKEN = "a3f0"
BOUGHT = Generation(
    generation_request_id="r1",
    user_id="ann",
    model="model-a",
    style="sketch",
    color="neon",
    size="128x224",
    prompt="a lighthouse",
    cost=1,
    status="completed",
    image_url=picture_url("https://api.example", "r1", TOKEN),
    failure=None,
    created_at=AT,
    updated_at=AT,
)


def test_a_picture_has_the_ordered_size() -> None:
    """And is the same each time, so that it can be kept for good."""
    first, again = picture_of(BOUGHT, TOKEN), picture_of(BOUGHT, TOKEN)
    with Image.open(io.BytesIO(first.draw())) as picture:
        assert (picture.format, picture.size) == ("PNG", (128, 224))
    assert (first.etag, first.draw()) == (again.etag, again.draw())


def test_a_picture_outlives_a_change_of_the_address() -> None:
    """The token counts, not the address that this API had when the picture was bought."""
    moved = replace(BOUGHT, image_url=picture_url("https://shop.example/api", "r1", TOKEN))
    assert picture_of(moved, TOKEN).etag == picture_of(BOUGHT, TOKEN).etag


@pytest.mark.parametrize(
    ("changes", "token"),
    [
        ({}, "a3f1"),
        ({}, ""),
        ({}, "r1"),
        ({}, f"{TOKEN}&x=1"),
        ({"status": "pending", "image_url": None}, TOKEN),
        ({"status": "failed", "image_url": None}, TOKEN),
        ({"image_url": f"https://storage.example/images/r1-{TOKEN}"}, TOKEN),
        ({"image_url": f"https://api.example/simulatedImage?generationRequestId=r2&token={TOKEN}"}, TOKEN),
    ],
)
def test_anything_else_is_not_found(changes: dict[str, Any], token: str) -> None:
    """A wrong token, a request without an image, an image that another model made."""
    with pytest.raises(GenerationNotFound):
        picture_of(replace(BOUGHT, **changes), token)


@pytest.mark.parametrize(
    "changes", [{"style": "anime"}, {"color": "vintage"}, {"size": "64x64"}, {"prompt": None}, {"model": "model-b"}]
)
def test_another_picture_has_another_version(changes: dict[str, Any]) -> None:
    """If somebody changes the document by hand, nobody keeps the old picture for the new one."""
    assert picture_of(replace(BOUGHT, **changes), TOKEN).etag != picture_of(BOUGHT, TOKEN).etag


@pytest.mark.parametrize(("size", "drawn"), [("8x64", (16, 64)), ("huge", (1024, 1024))])
def test_a_size_that_cannot_be_drawn_is_drawn_as_near_as_possible(size: str, drawn: tuple[int, int]) -> None:
    """The catalog may name any size, and a bought picture opens."""
    with Image.open(io.BytesIO(picture_of(replace(BOUGHT, size=size), TOKEN).draw())) as picture:
        assert picture.size == drawn
