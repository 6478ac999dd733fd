"""Pixels: stencils, gradients, light and noise, all with Pillow's own operations."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw

from images.drawing.palettes import Color, mix
from images.drawing.shapes import Point

Box = tuple[int, int, int, int]
Stops = Sequence[tuple[float, Color]]

FAST, SOFT = Image.Resampling.NEAREST, Image.Resampling.BILINEAR


@dataclass(frozen=True, slots=True)
class Stencil:
    """A mask and its place on the canvas."""

    mask: Image.Image
    box: Box

    @property
    def corner(self) -> tuple[int, int]:
        return self.box[:2]

    @property
    def size(self) -> tuple[int, int]:
        return self.mask.size


@dataclass(frozen=True, slots=True)
class Canvas:
    """What a style paints on: pixels, how many of them a unit of the scene has, and chance."""

    width: int
    height: int
    unit: float
    rng: random.Random

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height

    def smaller(self, factor: int) -> "Canvas":
        """The same canvas with fewer pixels, for what is soft anyway."""
        width, height = max(self.width // factor, 4), max(self.height // factor, 4)
        return replace(self, width=width, height=height, unit=self.unit * width / self.width)

    def blank(self, color: Color) -> Image.Image:
        return Image.new("RGB", self.size, color)

    def enlarged(self, picture: Image.Image) -> Image.Image:
        return picture.resize(self.size, SOFT)

    def pixels(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self.unit, y * self.unit) for x, y in points]

    def around(self, x: float, y: float, radius: float) -> list[float]:
        """The box of a circle in pixels."""
        return [value * self.unit for value in (x - radius, y - radius, x + radius, y + radius)]

    def thick(self, units: float) -> int:
        """A line's width in whole pixels."""
        return max(1, round(units * self.unit))

    def stencil(self, points: Sequence[Point], margin: float = 0.0) -> Stencil | None:
        """White inside the polygon, with soft steps at its edge; None if nothing of it is on the canvas."""
        box = self._box(points, margin)
        if box is None:
            return None
        left, top, right, bottom = box
        double = Image.new("L", (2 * (right - left), 2 * (bottom - top)))
        inside = [(2 * (x - left), 2 * (y - top)) for x, y in self.pixels(points)]
        ImageDraw.Draw(double).polygon(inside, fill=255)
        return Stencil(double.reduce(2), box)

    def _box(self, points: Sequence[Point], margin: float) -> Box | None:
        across, down = [x for x, _ in points], [y for _, y in points]
        left, top = (round((min(each) - margin) * self.unit) for each in (across, down))
        right, bottom = (round((max(each) + margin) * self.unit) + 1 for each in (across, down))
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, self.width), min(bottom, self.height)
        return (left, top, right, bottom) if left < right and top < bottom else None

    def noise(self, across: float, down: float | None = None) -> Image.Image:
        """Smooth grey noise, its cells this many units wide and high."""
        return noise(self.rng, self.size, across * self.unit, (across if down is None else down) * self.unit)

    def fractal(self, across: float, down: float | None = None) -> Image.Image:
        """Three octaves of noise."""
        down = across if down is None else down
        coarse, middle, fine = (self.noise(across / scale, down / scale) for scale in (1, 2.7, 7))
        return Image.blend(Image.blend(coarse, middle, 0.38), fine, 0.2)

    def vertical(self, stops: Stops) -> Image.Image:
        """A gradient from the top down; each stop is a share of the height and its color."""
        return vertical(self.size, stops)

    def glow(self, x: float, y: float, radius: float) -> Image.Image:
        """Light: white in the middle, black from the radius on."""
        reach = max(1, round(radius * self.unit))
        # Pillow's gradient ends in the corners, not at the sides.
        spot = levels(ImageChops.invert(Image.radial_gradient("L")), 75, 255).resize((2 * reach, 2 * reach), SOFT)
        light = Image.new("L", self.size)
        light.paste(spot, (round(x * self.unit) - reach, round(y * self.unit) - reach))
        return light


def vertical(size: tuple[int, int], stops: Stops) -> Image.Image:
    """A gradient from the top down; each stop is a share of the height and its color."""
    column = Image.new("RGB", (1, 256))
    for y in range(256):
        column.putpixel((0, y), color_at(stops, y / 255))
    # Across there is nothing to smooth, and copying is much faster.
    return column.resize((1, size[1]), SOFT).resize(size, FAST)


def color_at(stops: Stops, share: float) -> Color:
    """The color at this place between the stops."""
    after = next((number for number, (place, _) in enumerate(stops) if place > share), len(stops))
    if after in (0, len(stops)):
        return stops[min(after, len(stops) - 1)][1]
    (start, one), (end, other) = stops[after - 1], stops[after]
    return mix(one, other, (share - start) / (end - start))


def noise(rng: random.Random, size: tuple[int, int], across: float, down: float) -> Image.Image:
    """Smooth grey noise whose cells are this many pixels wide and high."""
    columns, rows = max(2, round(size[0] / max(across, 1))), max(2, round(size[1] / max(down, 1)))
    cells = Image.frombytes("L", (columns, rows), rng.randbytes(columns * rows))
    return cells.resize(size, Image.Resampling.BICUBIC)


def add_light(picture: Image.Image, relief: Image.Image) -> Image.Image:
    """Brighter where the grey relief is over 128, darker where it is under."""
    return ImageChops.add(picture, Image.merge("RGB", (relief,) * 3), 1, -128)


def levels(mask: Image.Image, low: int, high: int) -> Image.Image:
    """Stretches a grey picture so that `low` becomes black and `high` white."""
    return mask.point(_line(255 / max(high - low, 1), low, 0))


def dimmed(mask: Image.Image, share: float) -> Image.Image:
    """A mask that lets only this share through."""
    return mask.point(_line(round(share, 2), 0, 0))


def softened(relief: Image.Image, share: float) -> Image.Image:
    """A relief with this share of its contrast, around 128."""
    return relief.point(_line(round(share, 2), 128, 128))


@lru_cache(maxsize=256)
def _line(slope: float, zero: int, base: int) -> list[int]:
    """A table for `Image.point`."""
    return [min(max(round(base + slope * (value - zero)), 0), 255) for value in range(256)]
