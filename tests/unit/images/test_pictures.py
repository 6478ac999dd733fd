"""What a model gives is opened, checked and written anew, and carries our mark."""

import io
import threading
import time
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms
from PIL.PngImagePlugin import PngInfo

from images import drawing
from images.marks import SourceType
from images.model import PictureBytes, ProviderFailed, TimedOut
from images.pictures import FORMATS, checked
from store import NO_DEADLINE, Deadline
from tests.support.files import TRAINED_MARK, bad_files, picture, png_bomb, saved

SECRET = b"made by Ann with seed 7"
ORIENTATION = 0x0112
TRAINED = SourceType.TRAINED_ALGORITHMIC_MEDIA


def check(data: bytes, media_type: str, deadline: Deadline = NO_DEADLINE) -> bytes:
    whole = checked(PictureBytes(data, media_type), TRAINED, deadline)
    assert whole.media_type == media_type
    return whole.data


def opened(data: bytes, media_type: str) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=[FORMATS[media_type]])
    image.load()
    return image


def with_metadata(kind: str, image: Image.Image, orientation: int = 1) -> bytes:
    """A file that tells much about how it was made, in each place that its format has."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[0x010E] = SECRET.decode()
    options: dict[str, Any] = {
        "exif": exif,
        "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    }
    if kind == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("parameters", SECRET.decode())
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", SECRET.decode())
    else:
        options["xmp"] = SECRET
    if kind == "JPEG":
        options["comment"] = SECRET
    return saved(image, kind, **options)


@pytest.mark.parametrize("wrong", bad_files())
def test_what_is_not_a_picture_is_refused(wrong: str) -> None:
    """The message tells what is wrong, and quotes nothing of the file."""
    with pytest.raises(ProviderFailed) as refused:
        checked(bad_files()[wrong], TRAINED, NO_DEADLINE)
    assert "script" not in str(refused.value)


@pytest.mark.parametrize("given", [None, 5, "text", ["a"]])
def test_what_is_not_even_a_file_is_refused(given: Any) -> None:
    """A model is somebody else's code, and neither its bytes nor its type need be what they should."""
    for odd in (PictureBytes(given, "image/png"), PictureBytes(saved(picture()), given)):
        with pytest.raises(ProviderFailed):
            checked(odd, TRAINED, NO_DEADLINE)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    """1.6 billion pixels in a small file."""
    bomb = png_bomb()
    assert len(bomb) < 250_000
    begun = time.monotonic()
    with pytest.raises(ProviderFailed):
        check(bomb, "image/png")
    assert time.monotonic() - begun < 0.5


def test_the_largest_picture_is_accepted() -> None:
    """The limit itself is within it."""
    side = 6_324
    assert opened(check(png_bomb(side), "image/png"), "image/png").size == (side, side)


@pytest.mark.parametrize("media_type", FORMATS)
def test_metadata_is_dropped_and_the_mark_is_written(media_type: str) -> None:
    """The color profile stays, since the colors depend on it."""
    data = with_metadata(FORMATS[media_type], picture())
    assert SECRET in data
    whole = check(data, media_type)
    assert SECRET not in whole
    assert TRAINED_MARK in whole
    before, after = opened(data, media_type), opened(whole, media_type)
    assert after.info["icc_profile"] == before.info["icc_profile"]
    assert not after.getexif()
    assert after.size == before.size


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_keeps_every_pixel(mode: str) -> None:
    """In each of its modes; a palette's transparency too."""
    image = picture().convert("P") if mode == "P" else picture(mode="L").convert(mode)
    data = saved(image, transparency=3) if mode == "P" else saved(image)
    before, after = opened(data, "image/png"), opened(check(data, "image/png"), "image/png")
    assert (after.mode, after.size) == (before.mode, before.size)
    assert after.convert("RGBA").tobytes() == before.convert("RGBA").tobytes()


@pytest.mark.parametrize(("media_type", "most"), [("image/jpeg", 0.5), ("image/webp", 1.5)])
def test_other_formats_change_little(media_type: str, most: float) -> None:
    """By this much of 255, on average per color; JPEG keeps the tables of its compression."""
    drawn = drawing.draw(drawing.Drawing("model-a", "oil painting", "vibrant", 512, 512, None, "seed"))
    data = saved(opened(drawn, "image/png").convert("RGB"), FORMATS[media_type], quality=75)
    before, after = opened(data, media_type), opened(check(data, media_type), media_type)
    histogram = ImageChops.difference(before, after).convert("L").histogram()
    assert sum(value * count for value, count in enumerate(histogram)) / (512 * 512) < most
    assert getattr(before, "quantization", None) == getattr(after, "quantization", None)


def test_transparency_is_kept_in_webp() -> None:
    """Alpha is a part of the picture."""
    data = saved(picture(mode="RGBA"), "WEBP")
    before, after = opened(data, "image/webp"), opened(check(data, "image/webp"), "image/webp")
    assert after.getchannel("A").tobytes() == before.getchannel("A").tobytes()


@pytest.mark.parametrize("media_type", FORMATS)
def test_the_picture_is_turned_as_its_exif_says(media_type: str) -> None:
    """Whoever shows it no longer can: the orientation is dropped with the rest."""
    image = Image.new("RGB", (64, 32), "white")
    image.paste("black", (0, 0, 32, 32))
    after = opened(check(with_metadata(FORMATS[media_type], image, orientation=6), media_type), media_type)
    assert after.size == (32, 64)
    shades = after.convert("L")
    assert (shades.getpixel((16, 8)), shades.getpixel((16, 56))) == (0, 255)


def test_cmyk_is_kept() -> None:
    """A JPEG for print is a JPEG."""
    data = saved(picture(64, 64, "CMYK"), "JPEG")
    assert opened(check(data, "image/jpeg"), "image/jpeg").mode == "CMYK"


def test_one_picture_is_checked_at_a_time() -> None:
    """So that memory does not grow with the number of requests; who waits past the deadline is refunded."""
    large = png_bomb(5_000)
    running = threading.Thread(target=check, args=(large, "image/png"))
    running.start()
    try:
        refused = 0
        while running.is_alive() and not refused:
            try:
                check(saved(picture()), "image/png", Deadline.after(0.001))
            except TimedOut:
                refused += 1
        assert refused
    finally:
        running.join()
    assert check(saved(picture()), "image/png")
