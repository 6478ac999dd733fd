"""What a picture shows, before any style: shapes in units of the picture's shorter side."""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from images.drawing.palettes import Color, Palette

Point = tuple[float, float]
CURVE_STEPS = 8
# The depth of the one thing in a landscape that is not land.
HERO = 0.5


class Kind(Enum):
    """How a style treats a shape."""

    CLOUD = auto()
    LAND = auto()
    WATER = auto()
    TREE = auto()
    THING = auto()
    MARK = auto()


@dataclass(frozen=True, slots=True)
class Shape:
    """A closed polygon; `depth` goes from 0 (at the horizon) to 1 (nearest)."""

    kind: Kind
    color: Color
    points: Sequence[Point]
    depth: float = 1.0


@dataclass(frozen=True, slots=True)
class Sun:
    """The disc at the back: a sun, a moon, a halo."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A composition, back to front. The picture is `width` by `height` units, the shorter of them 1."""

    width: float
    height: float
    horizon: float
    sun: Sun
    shapes: Sequence[Shape]
    is_centred: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """What a composition is made for. `horizon` is the share of the height above it, near which it has to be."""

    width: float
    height: float
    horizon: float
    palette: Palette


Composer = Callable[[random.Random, Frame], Scene]


def ellipse(x: float, y: float, radius: float, stretch: float = 1.0, tilt: float = 0.0) -> list[Point]:
    """Its points; the axis along `tilt` (radians) is `radius`, the other `stretch` times that."""
    cos, sin = math.cos(tilt), math.sin(tilt)
    steps = 40
    turned = []
    for step in range(steps):
        a, b = radius * math.cos(math.tau * step / steps), radius * stretch * math.sin(math.tau * step / steps)
        turned.append((x + a * cos - b * sin, y + a * sin + b * cos))
    return turned


def smooth(points: Sequence[Point], *, closed: bool = False) -> list[Point]:
    """A Catmull-Rom curve through the points."""
    count = len(points)

    def at(index: int) -> Point:
        return points[index % count] if closed else points[min(max(index, 0), count - 1)]

    curve = []
    for index in range(count if closed else count - 1):
        around = [at(index + offset) for offset in (-1, 0, 1, 2)]
        for step in range(CURVE_STEPS):
            t = step / CURVE_STEPS
            curve.append((_between([p[0] for p in around], t), _between([p[1] for p in around], t)))
    return curve if closed else [*curve, points[-1]]


def _between(values: Sequence[float], t: float) -> float:
    a, b, c, d = values
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


def turned_on_a_wheel(x: float, profile: Iterable[Point]) -> list[Point]:
    """A vase or a bottle: `profile` gives half the width at each height, from the top down."""
    side = smooth([(half, y) for y, half in profile])
    return [(x + half, y) for half, y in side] + [(x - half, y) for half, y in reversed(side)]


def ribbon(line: Sequence[Point], width: float, end_width: float | None = None) -> list[Point]:
    """A line as a polygon that goes from one width to another."""
    last = width if end_width is None else end_width
    left, right = [], []
    for index, (x, y) in enumerate(line):
        before, after = line[max(index - 1, 0)], line[min(index + 1, len(line) - 1)]
        dx, dy = after[0] - before[0], after[1] - before[1]
        length = math.hypot(dx, dy) or 1.0
        half = 0.5 * (width + (last - width) * index / max(len(line) - 1, 1))
        left.append((x - dy / length * half, y + dx / length * half))
        right.append((x + dy / length * half, y - dx / length * half))
    return left + right[::-1]
