"""The pictures of simulated generations: whole, always the same, and told apart."""

import hashlib
import io
import itertools
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat

from images import marks
from images.drawing import Drawing, draw

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
MODELS = ("model-a", "model-b")
STYLES = ("realistic", "anime", "oil painting", "sketch", "cyberpunk", "watercolor")
COLORS = ("vibrant", "monochrome", "pastel", "neon", "vintage")
SMALL = 256
ORDER = Drawing("model-a", "realistic", "vibrant", SMALL, SMALL, "a lighthouse at dawn", "request-1")
# Out of 255, as root mean squares. The nearest two when this was written: 19 for styles (as grey pictures), 10 for
# palettes, 28 for models, 20 for prompts.
MIN_DISTANCE = 8.0


@cache
def opened(order: Drawing) -> Image.Image:
    """The order's picture in RGB, without its caption."""
    with Image.open(io.BytesIO(draw(order))) as picture:
        picture.load()
        return picture.convert("RGB").crop((0, 0, order.width, round(order.height * 0.75)))


def distance(one: Image.Image, other: Image.Image) -> float:
    channels = ImageStat.Stat(ImageChops.difference(one, other)).rms
    return sum(channels) / len(channels)


def grey(order: Drawing) -> Image.Image:
    return opened(order).convert("L")


@pytest.mark.parametrize("style", STYLES)
def test_every_combination_is_a_png_of_the_ordered_size(style: str) -> None:
    """Each model and color in this style, in small versions of the sizes on offer."""
    for model, color, size in itertools.product(MODELS, COLORS, ((64, 64), (128, 128), (128, 224))):
        data = draw(replace(ORDER, model=model, style=style, color=color, width=size[0], height=size[1]))
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            assert (picture.format, picture.size) == ("PNG", size)


@pytest.mark.parametrize("size", [(512, 512), (1024, 1024), (1024, 1792)])
def test_the_sizes_on_offer_are_drawn_as_they_are(size: tuple[int, int]) -> None:
    """Neither a pixel more nor one less."""
    with Image.open(io.BytesIO(draw(replace(ORDER, width=size[0], height=size[1])))) as picture:
        assert picture.size == size


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(16, 16), (16, 4096), (4096, 16), (17, 333), (300, 40)])
def test_any_size_within_the_limits_can_be_drawn(style: str, size: tuple[int, int]) -> None:
    """Tiny, long and odd ones too, by both models."""
    for model in MODELS:
        with Image.open(
            io.BytesIO(draw(replace(ORDER, model=model, style=style, width=size[0], height=size[1])))
        ) as it:
            assert it.size == size


@pytest.mark.parametrize("size", [(15, 512), (512, 15), (4097, 512), (512, 4097), (0, 0), (-1, 512)])
def test_a_size_beyond_the_limits_is_refused(size: tuple[int, int]) -> None:
    """Before any memory is taken."""
    with pytest.raises(ValueError, match="16 to 4096"):
        replace(ORDER, width=size[0], height=size[1])


def _digests(orders: Sequence[Drawing]) -> list[str]:
    return [hashlib.sha256(draw(order)).hexdigest() for order in orders]


ONE_OF_EACH = [
    replace(ORDER, model=model, style=style, color=color, width=96, height=128)
    for (style, color), model in itertools.product(zip(STYLES, (*COLORS, "teal"), strict=True), MODELS)
]


def test_the_same_order_gives_the_same_bytes() -> None:
    """In this process, in any order."""
    assert _digests(ONE_OF_EACH) == _digests(ONE_OF_EACH[::-1])[::-1]


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_gives_the_same_bytes(hash_seed: str) -> None:
    """Whatever seed Python's hash() has there: instances come and go, and a URL's picture must not change."""
    code = (
        "import hashlib\nfrom images.drawing import Drawing, draw\n"
        f"for order in {ONE_OF_EACH!r}:\n    print(hashlib.sha256(draw(order)).hexdigest())\n"
    )
    env = {"PYTHONHASHSEED": hash_seed, "PYTHONDONTWRITEBYTECODE": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=FUNCTIONS, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == _digests(ONE_OF_EACH)


def test_the_mark_is_read_back_from_every_style() -> None:
    """Pillow finds the XMP packet in the bytes, word for word, and no other text."""
    for order in ONE_OF_EACH:
        with Image.open(io.BytesIO(draw(order))) as picture:
            texts = {name: value for name, value in picture.info.items() if isinstance(value, str | bytes)}
        packet = marks.xmp(marks.SourceType.ALGORITHMIC_MEDIA)
        assert texts == {"xmp": packet.encode(), marks.PNG_KEYWORD: packet}


@pytest.mark.parametrize("color", COLORS)
def test_styles_differ_in_every_palette(color: str) -> None:
    """The same scene in two styles, in grey, is far from being the same picture."""
    for model, (one, other) in itertools.product(MODELS, itertools.combinations(STYLES, 2)):
        orders = [replace(ORDER, model=model, style=style, color=color) for style in (one, other)]
        assert distance(grey(orders[0]), grey(orders[1])) > MIN_DISTANCE, (model, one, other)


@dataclass(frozen=True)
class Sample:
    """What a picture's texture is like, whatever its colors are and whatever it shows."""

    order: Drawing
    features: Sequence[float]


def _sample(order: Drawing) -> Sample:
    """Contrast at four scales, and how many of its edges are how sharp, in a grey picture from black to white."""
    picture = ImageOps.autocontrast(grey(order), cutoff=1)
    features = [*ImageStat.Stat(picture).mean, *ImageStat.Stat(picture).stddev]
    before = picture
    for radius in (1, 2, 4, 8):
        after = picture.filter(ImageFilter.BoxBlur(radius))
        features += ImageStat.Stat(ImageChops.difference(before, after)).mean
        before = after
    edges = picture.filter(ImageFilter.FIND_EDGES).histogram()
    features += [sum(edges[low:high]) / sum(edges) for low, high in ((0, 3), (3, 16), (16, 64), (64, 256))]
    return Sample(order, features)


def test_a_style_is_told_by_its_texture_alone() -> None:
    """Of the pictures with other palettes and prompts, the nearest in texture has the same style, 95 times in 100."""
    samples = [
        _sample(replace(ORDER, model=model, style=style, color=color, prompt=prompt))
        for model, style, color, prompt in itertools.product(MODELS, STYLES, COLORS, ("x", "y"))
    ]
    columns = list(zip(*(sample.features for sample in samples), strict=True))
    means = [sum(column) / len(column) for column in columns]
    spreads = [sum(abs(v - mean) for v in column) / len(column) for column, mean in zip(columns, means, strict=True)]

    def apart(one: Sample, other: Sample) -> float:
        pairs = zip(one.features, other.features, spreads, strict=True)
        return math.fsum(abs(a - b) / spread for a, b, spread in pairs)

    right = 0
    for sample in samples:
        strangers = [
            it for it in samples if it.order.color != sample.order.color and it.order.prompt != sample.order.prompt
        ]
        nearest = min(strangers, key=lambda stranger: apart(sample, stranger))
        right += nearest.order.style == sample.order.style
    assert right >= 0.95 * len(samples)


@pytest.mark.parametrize("style", STYLES)
def test_palettes_differ_in_every_style(style: str) -> None:
    """The same scene, in any two of the five colors."""
    for model, (one, other) in itertools.product(MODELS, itertools.combinations(COLORS, 2)):
        orders = [replace(ORDER, model=model, style=style, color=color) for color in (one, other)]
        assert distance(opened(orders[0]), opened(orders[1])) > MIN_DISTANCE, (model, one, other)


def test_monochrome_has_hardly_any_color() -> None:
    """In every style; the warm white of paper is all."""
    for style, model in itertools.product(STYLES, MODELS):
        hue_free = opened(replace(ORDER, style=style, model=model, color="monochrome")).convert("HSV")
        assert ImageStat.Stat(hue_free.getchannel("S")).mean[0] < 20, (style, model)


@pytest.mark.parametrize("style", STYLES)
def test_models_compose_differently(style: str) -> None:
    """The same order from the other model is another picture."""
    for color in COLORS:
        orders = [replace(ORDER, model=model, style=style, color=color) for model in MODELS]
        assert distance(opened(orders[0]), opened(orders[1])) > MIN_DISTANCE, color


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("model", MODELS)
def test_prompt_and_seed_change_the_composition(model: str, style: str) -> None:
    """Each of them alone, above the caption; the size stays."""
    order = replace(ORDER, model=model, style=style)
    others = [replace(order, prompt="a fox"), replace(order, prompt=None), replace(order, seed="request-2")]
    for one, other in itertools.combinations([order, *others], 2):
        assert opened(one).size == opened(other).size
        assert distance(opened(one), opened(other)) > MIN_DISTANCE, (one, other)


def test_what_the_catalog_may_add_is_drawn() -> None:
    """Unknown models, styles and colors, whatever their names are; a name always gives the same."""
    for name in ("tilt shift", "日本画", "\ud800", "", "x" * 1_000):
        order = Drawing(name, name, name, 96, 96, None, "s")
        assert draw(order) == draw(order)


def test_unknown_colors_have_palettes_of_their_own() -> None:
    """Two new colors are not the same color."""
    pictures = [opened(replace(ORDER, color=color)) for color in ("autumn", "ocean", "candy")]
    for one, other in itertools.combinations(pictures, 2):
        assert distance(one, other) > MIN_DISTANCE
