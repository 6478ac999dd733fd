"""From an order to a PNG: composition, style, caption, mark."""

import io
import math
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from PIL import Image, __version__
from PIL.PngImagePlugin import PngInfo

from images import marks
from images.drawing.anime import paint_anime
from images.drawing.canvas import Canvas
from images.drawing.caption import add_caption
from images.drawing.centrepieces import compose_centrepiece
from images.drawing.cyberpunk import paint_cyberpunk
from images.drawing.landscapes import compose_landscape
from images.drawing.oil import paint_oil
from images.drawing.palettes import Palette, palette_for
from images.drawing.realistic import paint_realistic
from images.drawing.shapes import Composer, Frame, Scene
from images.drawing.sketch import paint_sketch
from images.drawing.watercolor import paint_watercolor

# Raise the number if the same order gives other bytes than before.
VERSION = f"1 {__version__}"
MIN_SIDE, MAX_SIDE = 16, 4_096
# A longer picture is composed at this ratio and stretched.
MAX_RATIO = 4
# A small picture is painted larger and reduced, so that its lines are smooth.
MIN_PAINTED_SIDE = 96
MAX_ENLARGED = 2
# On these pictures zlib's run-length strategy is quicker than level 1, and most files are smaller.
COMPRESS_TYPE = zlib.Z_RLE

Paint = Callable[[Scene, Palette, Canvas], Image.Image]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Drawing:
    """What to draw, in pixels. The same order always gives the same bytes, with the same version of Pillow.

    Raises:
        ValueError: a side is not within 16 to 4,096.
    """

    model: str
    style: str
    color: str
    width: int
    height: int
    prompt: str | None
    seed: str

    def __post_init__(self) -> None:
        if not (MIN_SIDE <= self.width <= MAX_SIDE and MIN_SIDE <= self.height <= MAX_SIDE):
            raise ValueError(f"A picture has {MIN_SIDE} to {MAX_SIDE} pixels a side.")


@dataclass(frozen=True, slots=True)
class Style:
    """`paint` works on at most this many pixels; `horizon` is the share of a landscape above it.

    With `few_colors` the file has 256 of them: two thirds smaller, and its gradients have no soft steps to lose.
    """

    paint: Paint
    max_pixels: int
    horizon: float
    few_colors: bool = False


STYLES: Mapping[str, Style] = {
    "realistic": Style(paint_realistic, 700_000, 0.6),
    "anime": Style(paint_anime, 7_400_000, 0.7),
    "oil painting": Style(paint_oil, 800_000, 0.58, few_colors=True),
    "sketch": Style(paint_sketch, 1_000_000, 0.58, few_colors=True),
    "cyberpunk": Style(paint_cyberpunk, 1_840_000, 0.6),
    "watercolor": Style(paint_watercolor, 430_000, 0.58),
}
COMPOSERS: Mapping[str, Composer] = {"model-a": compose_landscape, "model-b": compose_centrepiece}


def draw(order: Drawing) -> bytes:
    """The picture as a PNG of exactly the ordered size, marked as made by a program.

    A style or a model that is not known is drawn as one of those that are, always the same for its name; an unknown
    color gets a palette of its own.
    """
    style, palette = _named(STYLES, order.style), palette_for(order.color)
    picture = _painted(order, style, palette)
    add_caption(picture, palette, order.prompt, f"{order.model} · {order.style}")
    if style.few_colors:
        picture = picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    info = PngInfo()
    info.add_itxt(marks.PNG_KEYWORD, marks.xmp(marks.SourceType.ALGORITHMIC_MEDIA))
    file = io.BytesIO()
    picture.save(file, "PNG", compress_type=COMPRESS_TYPE, pnginfo=info)
    return file.getvalue()


def _painted(order: Drawing, style: Style, palette: Palette) -> Image.Image:
    size = order.width, order.height
    width, height = _painted_size(size, style.max_pixels)
    unit = min(width, height)
    frame = Frame(width / unit, height / unit, style.horizon, palette)
    # Neither style nor color, so that the same order in another style shows the same scene.
    seed = f"{order.seed}\n{order.prompt or ''}"
    scene = _named(COMPOSERS, order.model)(_chance(f"scene {seed}"), frame)
    picture = style.paint(scene, palette, Canvas(width, height, unit, _chance(f"paint {seed}")))
    if picture.size == size:
        return picture
    if (width, height) == (2 * size[0], 2 * size[1]):
        return picture.reduce(2)
    return picture.resize(size, Image.Resampling.BICUBIC)


def _painted_size(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """The size to paint at: within the style's limit, not too small, not too long."""
    width, height = (max(side, max(size) / MAX_RATIO) for side in size)
    scale = min(math.sqrt(max_pixels / (width * height)), MAX_ENLARGED)
    scale = max(scale, MIN_PAINTED_SIDE / min(width, height))
    return round(width * scale), round(height * scale)


def _named(known: Mapping[str, Value], name: str) -> Value:
    return known[name] if name in known else _chance(f"name {name}").choice([*known.values()])


def _chance(seed: str) -> random.Random:
    """The same on every machine: seeded with bytes, Random uses SHA-512 and not hash(). Any string will do."""
    return random.Random(seed.encode("utf-8", "surrogatepass"))
