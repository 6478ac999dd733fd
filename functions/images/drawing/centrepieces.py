"""model-b: one subject in the middle, in front of a disc: a portrait, a bouquet or a still life."""

import math
import random
from collections.abc import Sequence

from images.drawing.palettes import Color, brightness, mix
from images.drawing.shapes import (
    Frame,
    Kind,
    Point,
    Scene,
    Shape,
    Sun,
    ellipse,
    ribbon,
    smooth,
    turned_on_a_wheel,
)


def compose_centrepiece(rng: random.Random, frame: Frame) -> Scene:
    """A subject of about two thirds of the shorter side, in the middle of the picture."""
    subject = rng.choice((_portrait, _bouquet, _still_life))
    x, y = frame.width / 2, frame.height * 0.47
    table = y + 0.3
    sun = Sun(x + rng.uniform(-0.06, 0.06), y - rng.uniform(0.02, 0.08), rng.uniform(0.3, 0.37))
    shapes = subject(rng, frame, (x, y))
    if subject is not _portrait:
        shapes = [_table(frame, table), *shapes]
    return Scene(frame.width, frame.height, table, sun, shapes, is_centred=True)


def _table(frame: Frame, top: float) -> Shape:
    wide, low = frame.width + 0.05, frame.height + 0.05
    color = mix(frame.palette.near, frame.palette.far, 0.25)
    return Shape(Kind.LAND, color, [(-0.05, top), (wide, top), (wide, low), (-0.05, low)], 0.6)


def _portrait(rng: random.Random, frame: Frame, middle: Point) -> list[Shape]:
    """Head and shoulders with closed eyes; flowers or a ring of beads in the hair."""
    x, y = middle
    colors = frame.palette
    skin = mix(colors.light, colors.accent, rng.uniform(0.18, 0.34))
    shade = mix(skin, mix(colors.accent, colors.ink, 0.35), 0.4)
    hair = mix(colors.ink, rng.choice((colors.near, colors.far, colors.accent)), rng.uniform(0.05, 0.3))
    cloth = rng.choice((colors.near, colors.far, colors.second))
    long = rng.uniform(0.12, 0.36)
    shapes = [
        Shape(Kind.THING, hair, _long_hair(x, y, long), 0.5),
        Shape(Kind.THING, cloth, _shoulders(frame, x, y), 0.8),
        Shape(Kind.THING, shade, _neck(x, y), 0.8),
        Shape(Kind.THING, skin, _face(x, y), 0.9),
        *_features(colors.ink, mix(colors.accent, shade, 0.25), shade, x, y),
        Shape(Kind.THING, hair, _fringe(x, y, rng.choice((-1, 1))), 1.0),
        *_collar(frame, x, y),
    ]
    if rng.random() < 0.65:
        for number in range(rng.randrange(4, 7)):
            angle = -2.75 + 0.38 * number + rng.uniform(-0.08, 0.08)
            at = (x + 0.185 * math.cos(angle), y - 0.07 + 0.2 * math.sin(angle))
            shapes += _blossom(rng, frame, at, rng.uniform(0.034, 0.056))
    else:
        ring = [(x + 0.175 * math.cos(a), y - 0.16 + 0.05 * math.sin(a)) for a in _steps(math.pi, 0.0, 9)]
        shapes += [Shape(Kind.THING, colors.second, ellipse(px, py, 0.014), 1.0) for px, py in ring]
    return shapes


def _steps(start: float, end: float, count: int) -> list[float]:
    return [start + (end - start) * step / (count - 1) for step in range(count)]


def _long_hair(x: float, y: float, long: float) -> list[Point]:
    half = [(0.0, -0.285), (0.14, -0.25), (0.2, -0.12), (0.205, 0.03), (0.215, 0.1 + long * 0.4), (0.17, 0.12 + long)]
    side = smooth([(x + dx, y + dy) for dx, dy in half])
    return side + [(2 * x - px, py) for px, py in side[::-1]]


def _shoulders(frame: Frame, x: float, y: float) -> list[Point]:
    low = frame.height + 0.05
    half = [(0.06, 0.245), (0.14, 0.275), (0.29, 0.33), (0.37, 0.46)]
    side = [*smooth([(x + dx, y + dy) for dx, dy in half]), (x + 0.4, max(low, y + 0.5))]
    return side + [(2 * x - px, py) for px, py in side[::-1]]


def _neck(x: float, y: float) -> list[Point]:
    half = [(0.065, 0.08), (0.062, 0.2), (0.1, 0.27), (0.0, 0.335)]
    side = smooth([(x + dx, y + dy) for dx, dy in half])
    return side + [(2 * x - px, py) for px, py in side[::-1]]


def _face(x: float, y: float) -> list[Point]:
    half = [(0.0, -0.22), (0.1, -0.19), (0.142, -0.08), (0.135, 0.03), (0.085, 0.13), (0.03, 0.172), (0.0, 0.176)]
    side = smooth([(x + dx, y + dy) for dx, dy in half])
    return side + [(2 * x - px, py) for px, py in side[::-1]]


def _features(ink: Color, lips: Color, shade: Color, x: float, y: float) -> list[Shape]:
    shapes = []
    for side in (-1, 1):
        lid = [(x + side * dx, y + dy) for dx, dy in ((0.03, 0.0), (0.06, 0.014), (0.095, -0.004))]
        brow = [(x + side * dx, y + dy) for dx, dy in ((0.03, -0.05), (0.065, -0.063), (0.1, -0.047))]
        cheek = ellipse(x + side * 0.085, y + 0.055, 0.026, 0.7)
        shapes.append(Shape(Kind.MARK, mix(lips, shade, 0.5), cheek, 0.9))
        shapes += [Shape(Kind.MARK, ink, ribbon(smooth(line), 0.009, 0.005), 1.0) for line in (lid, brow)]
    nose = smooth([(x + 0.004, y - 0.005), (x + 0.016, y + 0.05), (x - 0.004, y + 0.056)])
    mouth = [(x + dx, y + dy) for dx, dy in ((-0.037, 0.1), (-0.012, 0.092), (0, 0.096), (0.012, 0.092), (0.037, 0.1))]
    under = [(x + 0.016, y + 0.117), (x - 0.016, y + 0.117)]
    shapes.append(Shape(Kind.MARK, shade, ribbon(nose, 0.006), 1.0))
    shapes.append(Shape(Kind.MARK, lips, smooth([*mouth, *under], closed=True), 1.0))
    return shapes


def _fringe(x: float, y: float, side: int) -> list[Point]:
    """The hair above the face, parted on one side."""
    outline = [
        (-0.165, 0.05), (-0.2, -0.1), (-0.13, -0.25), (0.0, -0.29), (0.13, -0.25), (0.2, -0.1), (0.165, 0.05),
        (0.15, -0.06), (0.1, -0.13), (-0.02, -0.19), (-0.08, -0.14), (-0.13, -0.07), (-0.145, -0.01),
    ]  # fmt: skip
    return smooth([(x + side * dx, y + dy) for dx, dy in outline], closed=True)


def _collar(frame: Frame, x: float, y: float) -> list[Shape]:
    colors = frame.palette
    beads = [(x + 0.105 * math.cos(a), y + 0.262 + 0.075 * math.sin(a)) for a in _steps(0.05, math.pi - 0.05, 11)]
    return [Shape(Kind.MARK, colors.accent, ellipse(px, py, 0.0125), 1.0) for px, py in beads]


def _blossom(rng: random.Random, frame: Frame, at: Point, radius: float) -> list[Shape]:
    """Petals around an eye."""
    x, y = at
    colors = frame.palette
    petal = rng.choice((colors.accent, colors.accent, colors.second, mix(colors.accent, colors.light, 0.55)))
    count, turn, slim = rng.choice((5, 6, 8)), rng.random() * math.tau, rng.uniform(0.45, 0.62)
    shapes = []
    for number in range(count):
        angle = turn + math.tau * number / count
        reach = radius * 0.62
        points = ellipse(x + reach * math.cos(angle), y + reach * math.sin(angle), radius * 0.5, slim, angle)
        shapes.append(Shape(Kind.THING, mix(petal, colors.ink, 0.09 * (number % 2)), points, 1.0))
    eye = colors.ink if brightness(petal) > 150 else colors.light
    middle = mix(colors.second, eye, 0.35)
    return [*shapes, Shape(Kind.THING, middle, ellipse(x, y, radius * 0.28), 1.0)]


def _leaf(at: Point, angle: float, long: float, color: Color) -> Shape:
    x, y = at
    cos, sin = math.cos(angle), math.sin(angle)
    half = [(0.0, 0.0), (0.3, 0.17), (0.62, 0.15), (1.0, 0.0)]
    curve = smooth(half) + [(a, -b) for a, b in smooth(half)[::-1]]
    return Shape(
        Kind.THING, color, [(x + long * (a * cos - b * sin), y + long * (a * sin + b * cos)) for a, b in curve]
    )


def _bouquet(rng: random.Random, frame: Frame, middle: Point) -> list[Shape]:
    x, y = middle
    colors = frame.palette
    foot, mouth = y + 0.36, y + 0.1
    green = mix(colors.near, colors.second, 0.15)
    shapes: list[Shape] = []
    heads = []
    for number in range(rng.randrange(7, 10)):
        angle = -math.pi / 2 + (number - 4) * 0.3 + rng.uniform(-0.1, 0.1)
        reach = rng.uniform(0.24, 0.4)
        head = (x + reach * math.cos(angle) * 0.95, mouth + reach * math.sin(angle))
        bend = ((x + head[0]) / 2 + rng.uniform(-0.02, 0.02), (mouth + head[1]) / 2)
        shapes.append(
            Shape(Kind.MARK, mix(green, colors.ink, 0.25), ribbon(smooth([(x, mouth), bend, head]), 0.012, 0.007))
        )
        leaf = mix(green, colors.ink if number % 2 else colors.light, 0.2)
        shapes.append(_leaf(bend, angle + rng.choice((-0.8, 0.8)), rng.uniform(0.12, 0.2), leaf))
        heads.append(head)
    for head in sorted(heads, key=lambda point: point[1]):
        shapes += _blossom(rng, frame, head, rng.uniform(0.055, 0.095))
    return [*shapes, *_vase(rng, frame, x, mouth, foot)]


def _vase(rng: random.Random, frame: Frame, x: float, mouth: float, foot: float) -> list[Shape]:
    colors = frame.palette
    tall, wide = foot - mouth, rng.uniform(0.085, 0.125)
    halves = rng.choice(((0.5, 0.42, 0.95, 1.0, 0.62), (0.75, 0.5, 0.6, 0.85, 0.95), (0.45, 0.8, 1.0, 0.75, 0.45)))
    profile = [(mouth + tall * share, wide * half) for share, half in zip((0, 0.18, 0.5, 0.75, 1), halves, strict=True)]
    body = mix(rng.choice((colors.far, colors.second, colors.light)), colors.ink, 0.12)
    shapes = [Shape(Kind.THING, body, turned_on_a_wheel(x, profile))]
    band = [(y, half) for y, half in profile if 0.15 < (y - mouth) / tall < 0.8]
    shapes.append(Shape(Kind.MARK, mix(body, colors.accent, 0.6), _band(x, band[-1][0], band[-1][1] * 0.98, 0.022)))
    shapes.append(Shape(Kind.MARK, mix(body, colors.ink, 0.5), ellipse(x, mouth, wide * halves[0], 0.22)))
    return shapes


def _band(x: float, y: float, half: float, thick: float) -> list[Point]:
    arc = [(x + half * math.cos(a), y + 0.016 * math.sin(a)) for a in _steps(math.pi, 0, 9)]
    return [*arc, *((px, py + thick) for px, py in arc[::-1])]


def _still_life(rng: random.Random, frame: Frame, middle: Point) -> list[Shape]:
    """A bottle, a bowl of fruit, and fruit beside it."""
    x, y = middle
    colors = frame.palette
    foot = y + 0.36
    side = rng.choice((-1, 1))
    glass = mix(rng.choice((colors.near, colors.far)), colors.ink, 0.15)
    heights: Sequence[tuple[float, float]] = ((-0.62, 0.034), (-0.5, 0.03), (-0.38, 0.036), (-0.29, 0.095), (0, 0.09))
    shapes = [Shape(Kind.THING, glass, turned_on_a_wheel(x - side * 0.15, [(foot - 0.03 + a, b) for a, b in heights]))]
    shapes.append(Shape(Kind.MARK, mix(colors.light, glass, 0.1), _band(x - side * 0.15, foot - 0.23, 0.09, 0.11)))
    bowl_x, rim = x + side * 0.12, foot - 0.15
    for number in range(5):
        at = (bowl_x + (-0.13, -0.045, 0.05, 0.13, 0.0)[number], rim - (0.035, 0.06, 0.055, 0.03, 0.13)[number])
        shapes += _fruit(rng, frame, at, rng.uniform(0.062, 0.078))
    bowl = [(rim, 0.225), (rim + 0.06, 0.2), (rim + 0.12, 0.12), (foot - 0.01, 0.085), (foot, 0.1)]
    body = mix(rng.choice((colors.light, colors.second)), colors.ink, 0.1)
    shapes.append(Shape(Kind.THING, body, turned_on_a_wheel(bowl_x, bowl)))
    shapes.append(Shape(Kind.MARK, mix(body, colors.accent, 0.5), _band(bowl_x, rim + 0.03, 0.21, 0.018)))
    for number in range(rng.randrange(1, 4)):
        shapes += _fruit(rng, frame, (x - side * (0.02 + 0.13 * number), foot - 0.01 + 0.02 * number), 0.068)
    return shapes


def _fruit(rng: random.Random, frame: Frame, at: Point, radius: float) -> list[Shape]:
    x, y = at
    colors = frame.palette
    skin = mix(rng.choice((colors.accent, colors.accent, colors.second, colors.near)), colors.ink, rng.uniform(0, 0.15))
    stem = ribbon(smooth([(x, y - radius * 0.85), (x + radius * 0.1, y - radius * 1.25)]), 0.012, 0.008)
    shapes = [Shape(Kind.THING, skin, ellipse(x, y, radius, rng.uniform(0.9, 1.02)))]
    shapes.append(Shape(Kind.MARK, mix(colors.ink, colors.near, 0.3), stem))
    if rng.random() < 0.6:
        shapes.append(_leaf((x, y - radius * 0.95), -0.5, radius * 0.9, mix(colors.near, colors.light, 0.2)))
    return shapes
