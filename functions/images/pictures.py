"""Checks the file that a model gives for a picture, and writes it anew: without anybody's metadata, with our mark.

Loads Pillow, so import it only where there is such a file.
"""

import io
from threading import Lock
from typing import Any

from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from images import marks
from images.marks import SourceType
from images.model import PictureBytes, ProviderFailed, TimedOut
from store import Deadline

MAX_BYTES = 20_000_000
# Decoded, this takes four bytes a pixel.
MAX_PIXELS = 40_000_000
# By media type, Pillow's name of the only format that its files may have.
FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
# WebP does not tell how it was compressed. At 95 the second loss is small; lossless would be several times as large.
WEBP_QUALITY = 95
# On what looks like a photograph, level 6 takes 2.5 times as long for a file of the same size.
PNG_LEVEL = 4
# A lock cannot wait for ever, and no function runs for longer.
MAX_WAIT_SECONDS = 3600.0
# A decoded picture is large: with one at a time, an instance's memory does not depend on how many requests it serves.
_ONE_AT_A_TIME = Lock()


def checked(picture: PictureBytes, source_type: SourceType, deadline: Deadline) -> PictureBytes:
    """The same picture in the same format, with no metadata but its color profile and the mark.

    PNG keeps its pixels, JPEG its compression; the turn that EXIF asks for is made. A picture has one frame.

    Raises:
        ProviderFailed: it is not a whole PNG, JPEG or WebP, as its media type says, or it is too large.
        TimedOut: others were checked until the deadline.
    """
    if not _ONE_AT_A_TIME.acquire(timeout=min(deadline.left_seconds, MAX_WAIT_SECONDS)):
        raise TimedOut("There was no time to check the picture.")
    try:
        return PictureBytes(_written_anew(picture, source_type), picture.media_type)
    except ProviderFailed:
        raise
    # Pillow raises errors of many kinds for files that are broken, or made to break it.
    except Exception as error:
        raise ProviderFailed("The file is not a whole picture of its media type.") from error
    finally:
        _ONE_AT_A_TIME.release()


def _written_anew(picture: PictureBytes, source_type: SourceType) -> bytes:
    kind = FORMATS.get(picture.media_type)
    if kind is None:
        raise ProviderFailed(f"The file's media type is not {', '.join(FORMATS)}.")
    if len(picture.data) > MAX_BYTES:
        raise ProviderFailed(f"The picture has more than {MAX_BYTES:,} bytes.")
    # With one format allowed, a file that lies about its type is not opened at all. Nothing is decoded yet.
    with Image.open(io.BytesIO(picture.data), formats=[kind]) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ProviderFailed(f"The picture has more than {MAX_PIXELS:,} pixels.")
        if getattr(image, "n_frames", 1) != 1:
            raise ProviderFailed("The picture has more than one frame.")
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        profile = image.info.get("icc_profile")
        # Savers take comments and more from here. The transparency of a palette is part of the picture.
        image.info = {name: value for name, value in image.info.items() if name == "transparency"}
        file = io.BytesIO()
        image.save(file, kind, icc_profile=profile, **_options(kind, marks.xmp(source_type)))
    return file.getvalue()


def _options(kind: str, xmp: str) -> dict[str, Any]:
    if kind == "PNG":
        info = PngInfo()
        info.add_itxt(marks.PNG_KEYWORD, xmp)
        return {"pnginfo": info, "compress_level": PNG_LEVEL}
    quality = {"quality": "keep"} if kind == "JPEG" else {"quality": WEBP_QUALITY}
    return {"xmp": xmp.encode(), **quality}
