"""model-a: a wide view with a horizon, a sun, ridges, and something that lives there."""

import math
import random
from collections.abc import Callable, Sequence

from images.drawing.palettes import Color, mix
from images.drawing.shapes import HERO, Frame, Kind, Point, Scene, Shape, Sun, ellipse, ribbon, smooth

Line = Sequence[Point]
RIDGE_POINTS = 65
MAX_BIRDS = 7


def compose_landscape(rng: random.Random, frame: Frame) -> Scene:
    """Far ridges, a lake or a plain, near hills with trees, and one small thing to look at."""
    width, height = frame.width, frame.height
    horizon = height * (frame.horizon + rng.uniform(-0.05, 0.05))
    sun = Sun(width * rng.uniform(0.2, 0.8), horizon * rng.uniform(0.3, 0.72), rng.uniform(0.09, 0.17))
    shapes = [*_clouds(rng, frame, horizon)]
    ridge = rng.choice((_peaks, _peaks, _hills, _dunes))
    count = rng.choice((2, 3, 3))
    for number in range(count):
        depth = 0.44 * number / (count - 1)
        top = horizon - rng.uniform(0.02, 0.1) - 0.07 * (count - number)
        line = ridge(rng, width, top, 0.34 - 0.08 * number)
        shapes.append(_ground(line, height, _land_color(frame, depth), depth))
    has_lake = rng.random() < 0.6
    shapes += _lake(rng, frame, horizon, sun) if has_lake else _meadow(rng, frame, horizon)
    shapes += _birds(rng, frame, horizon)
    hero = rng.choice((_balloon, _boat) if has_lake else (_balloon, _cabin))
    shapes += hero(rng, frame, horizon, sun)
    shapes += _near_hills(rng, frame, horizon)
    return Scene(width, height, horizon, sun, shapes, is_centred=False)


def _land_color(frame: Frame, depth: float) -> Color:
    colors = frame.palette
    if depth < 0.5:
        hazy = mix(colors.far, colors.sky, 0.45)
        return mix(hazy, mix(colors.far, colors.near, 0.75), depth * 2)
    return mix(mix(colors.far, colors.near, 0.85), mix(colors.near, colors.ink, 0.65), depth * 2 - 1)


def _ground(line: Line, height: float, color: Color, depth: float) -> Shape:
    bottom = height * 1.02
    return Shape(Kind.LAND, color, [*line, (line[-1][0], bottom), (line[0][0], bottom)], depth)


def _across(width: float, level: Callable[[float], float]) -> list[Point]:
    """A line from edge to edge, and a little over; `level` gives y for a share of the width."""
    shares = [-0.03 + 1.06 * step / (RIDGE_POINTS - 1) for step in range(RIDGE_POINTS)]
    return [(width * share, level(share)) for share in shares]


def _peaks(rng: random.Random, width: float, top: float, rise: float) -> list[Point]:
    """Midpoint displacement: A. Fournier and others, Communications of the ACM 25 (1982), 371-384."""
    levels = [0.0] * RIDGE_POINTS
    levels[0], levels[-1] = rng.uniform(-0.4, 0.3), rng.uniform(-0.4, 0.3)
    step, sway = RIDGE_POINTS - 1, 1.0
    while step > 1:
        half = step // 2
        for index in range(half, RIDGE_POINTS, step):
            levels[index] = (levels[index - half] + levels[index + half]) / 2 + rng.uniform(-1, 1) * sway * 0.5
        step, sway = half, sway * 0.55
    highest = max(levels)
    spread = highest - min(levels) or 1.0
    return _across(width, lambda share: top + rise * (highest - _sample(levels, share)) / spread - rise * 0.75)


def _sample(levels: Sequence[float], share: float) -> float:
    return levels[min(max(round((share + 0.03) / 1.06 * (RIDGE_POINTS - 1)), 0), RIDGE_POINTS - 1)]


def _hills(rng: random.Random, width: float, top: float, rise: float) -> list[Point]:
    waves = [(rng.uniform(0.5, 1.0) * speed, rng.random() * math.tau, 1 / speed) for speed in (1.0, 2.2, 4.1)]
    swell = max(width, 1.0) * 0.9

    def level(share: float) -> float:
        return sum(size * math.sin(math.tau * speed * share * swell + turn) for speed, turn, size in waves)

    return _across(width, lambda share: top + 0.28 * rise * level(share))


def _dunes(rng: random.Random, width: float, top: float, rise: float) -> list[Point]:
    speed, turn = rng.uniform(0.5, 1.1) * max(width, 1.0), rng.random()

    def level(share: float) -> float:
        at = (share * speed + turn) % 1.0
        return at / 0.65 if at < 0.65 else 1 - ((at - 0.65) / 0.35) ** 0.8

    return _across(width, lambda share: top - rise * 0.75 * level(share) ** 1.4 + rise * 0.3)


def _lake(rng: random.Random, frame: Frame, horizon: float, sun: Sun) -> list[Shape]:
    """With the sun's light on it."""
    width, low, colors = frame.width, frame.height * 1.02, frame.palette
    edge = [(-0.02, horizon), (width + 0.02, horizon), (width + 0.02, low), (-0.02, low)]
    shapes = [Shape(Kind.WATER, mix(mix(colors.sky, colors.far, 0.55), colors.ink, 0.08), edge, 0.4)]
    for _ in range(16):
        down = rng.random() ** 1.3
        y = horizon + 0.012 + down * min(frame.height - horizon, 0.5)
        x, long = sun.x + rng.gauss(0, 0.03 + 0.1 * down), rng.uniform(0.03, 0.09) * (0.6 + down)
        shapes.append(Shape(Kind.MARK, mix(colors.accent, colors.light, 0.45), ellipse(x, y, long, 0.09), 0.4))
    return shapes


def _meadow(rng: random.Random, frame: Frame, horizon: float) -> list[Shape]:
    """With a path that comes from the horizon."""
    width, height, colors = frame.width, frame.height, frame.palette
    start, sway, deep = width * rng.uniform(0.3, 0.7), rng.choice((-1, 1)) * rng.uniform(0.1, 0.2), height - horizon
    bends = ((0.0, 0.0), (0.08, 0.25), (0.22, -0.35), (0.5, 0.6), (1.05, 0.2))
    path = ribbon(smooth([(start + sway * bend, horizon + deep * down) for down, bend in bends]), 0.004, 0.13)
    meadow = mix(mix(colors.near, colors.far, 0.3), colors.second, 0.3)
    return [
        _ground(_hills(rng, width, horizon - 0.01, 0.05), height, meadow, 0.45),
        Shape(Kind.MARK, mix(colors.light, colors.second, 0.3), path, 0.45),
    ]


def _near_hills(rng: random.Random, frame: Frame, horizon: float) -> list[Shape]:
    width, height = frame.width, frame.height
    room = height - horizon
    tree = rng.choice((_conifer, _conifer, _round_tree))
    shapes: list[Shape] = []
    for number, share in enumerate((0.42, 0.72)):
        depth = (0.7, 1.0)[number]
        line = _hills(rng, width, horizon + room * share, 0.16 + 0.1 * number)
        color = _land_color(frame, depth)
        size = (0.09, 0.2)[number] * (0.8 + 0.4 * rng.random())
        side = rng.choice((0.0, 0.62))
        for _ in range((9, 4)[number] + rng.randrange(3)):
            share_x = side + rng.random() * (0.4, 0.38)[number]
            x, y = line[min(max(round(share_x * (RIDGE_POINTS - 1)), 0), RIDGE_POINTS - 1)]
            shapes += tree(rng, frame, (x, y + 0.012), size * rng.uniform(0.7, 1.15), depth)
        shapes.append(_ground(line, height, color, depth))
    return shapes


def _conifer(rng: random.Random, frame: Frame, foot: Point, size: float, depth: float) -> list[Shape]:
    x, y = foot
    color = mix(_land_color(frame, depth), frame.palette.ink, 0.4)
    tiers = 4
    right = []
    for tier in range(tiers):
        low = y - size * (0.12 + 0.88 * (1 - (tier + 1) / tiers))
        reach = size * 0.24 * (tier + 1.2) / tiers * rng.uniform(0.9, 1.1)
        right += [(reach, low), (reach * 0.5, low - size * 0.02)]
    right[-1] = (size * 0.03, right[-2][1])
    right.append((size * 0.03, y))
    points = [
        (x, y - size),
        *((x + reach, low) for reach, low in right),
        *((x - reach, low) for reach, low in right[::-1]),
    ]
    return [Shape(Kind.TREE, color, points, depth)]


def _round_tree(rng: random.Random, frame: Frame, foot: Point, size: float, depth: float) -> list[Shape]:
    x, y = foot
    colors = frame.palette
    bark = mix(colors.ink, colors.near, 0.2)
    leaf = mix(mix(colors.near, colors.second, rng.uniform(0.1, HERO)), colors.ink, 0.25 * depth)
    trunk = ribbon([(x, y), (x, y - size * 0.6)], size * 0.1, size * 0.05)
    crown = _puff(rng, x, y - size * 0.68, size * 0.36, 7)
    return [Shape(Kind.MARK, bark, trunk, depth), Shape(Kind.TREE, leaf, crown, depth)]


def _puff(rng: random.Random, x: float, y: float, radius: float, bumps: int) -> list[Point]:
    """A round thing with bumps: the crown of a tree."""
    turn = rng.random()
    points = []
    for step in range(48):
        angle = math.tau * step / 48
        bump = abs(math.sin((angle / 2 + turn) * bumps))
        reach = radius * (0.82 + 0.2 * bump)
        points.append((x + reach * math.cos(angle), y + reach * 0.92 * math.sin(angle)))
    return points


def _clouds(rng: random.Random, frame: Frame, horizon: float) -> list[Shape]:
    colors = frame.palette
    shapes = []
    for _ in range(rng.choice((2, 3, 4))):
        long = rng.uniform(0.28, 0.62)
        x, y = rng.uniform(-0.1, frame.width), horizon * rng.uniform(0.18, 0.8)
        color = mix(colors.light, colors.accent, rng.uniform(0.0, 0.14))
        shapes.append(Shape(Kind.CLOUD, color, _cloud(rng, x, y, long), 0.0))
    return shapes


def _cloud(rng: random.Random, left: float, base: float, long: float) -> list[Point]:
    """Bumps on a flat base: the outline of a row of circles, the largest of them in the middle."""
    bumps = []
    for number in range(7):
        at = 0.08 + 0.84 * (number + rng.uniform(0.3, 0.7)) / 7
        bumps.append((left + at * long, long * (0.05 + 0.16 * math.sin(math.pi * at) ** 2 * rng.uniform(0.6, 1.35))))
    points = []
    for step in range(81):
        x = left + long * step / 80
        tops = [math.sqrt(max(radius**2 - (x - at) ** 2, 0.0)) * 1.15 for at, radius in bumps]
        points.append((x, base - max(tops)))
    ends = [x for x, y in points if y < base]
    outline = [(x, y) for x, y in points if ends[0] <= x <= ends[-1]]
    return [(ends[0] - 0.004, base), *outline, (ends[-1] + 0.004, base)]


def _birds(rng: random.Random, frame: Frame, horizon: float) -> list[Shape]:
    x, y = frame.width * rng.uniform(0.2, 0.75), horizon * rng.uniform(0.25, 0.6)
    shapes = []
    for _ in range(rng.randrange(3, MAX_BIRDS)):
        bx, by, wing = x + rng.gauss(0, 0.09), y + rng.gauss(0, 0.04), rng.uniform(0.012, 0.026)
        top = smooth([(bx - wing, by - wing * 0.5), (bx - wing * 0.45, by - wing * 0.62), (bx, by)])
        top += smooth([(bx, by), (bx + wing * 0.45, by - wing * 0.62), (bx + wing, by - wing * 0.5)])
        shapes.append(Shape(Kind.MARK, frame.palette.ink, ribbon(top, wing * 0.16), 0.3))
    return shapes


def _balloon(rng: random.Random, frame: Frame, horizon: float, sun: Sun) -> list[Shape]:
    colors = frame.palette
    size = rng.uniform(0.07, 0.12)
    x = frame.width * (rng.uniform(0.12, 0.42) if sun.x > frame.width / 2 else rng.uniform(0.58, 0.88))
    y = horizon * rng.uniform(0.3, 0.6)
    half = [(y + 1.25 * size, 0.16 * size), (y + 0.7 * size, 0.72 * size), (y, size), (y - 0.7 * size, 0.74 * size)]
    shapes = []
    for color, slim in ((colors.accent, 1.0), (colors.light, 0.62), (colors.accent, 0.26)):
        side = smooth([(x + w * slim, at) for at, w in half] + [(x, y - size)])
        other = [(2 * x - px, py) for px, py in side[::-1]]
        kind = Kind.THING if slim == 1.0 else Kind.MARK
        shapes.append(Shape(kind, color, side + other, HERO))
    box = [(x + dx * size, y + dy * size) for dx, dy in ((-0.15, 1.5), (0.15, 1.5), (0.12, 1.75), (-0.12, 1.75))]
    return [*shapes, Shape(Kind.MARK, mix(colors.ink, colors.second, 0.35), box, HERO)]


def _boat(rng: random.Random, frame: Frame, horizon: float, sun: Sun) -> list[Shape]:
    colors = frame.palette
    size = rng.uniform(0.06, 0.1)
    x = frame.width * (rng.uniform(0.15, 0.45) if sun.x > frame.width / 2 else rng.uniform(0.55, 0.85))
    y = horizon + (frame.height - horizon) * rng.uniform(0.1, 0.2)
    hull = [(x + dx * size, y + dy * size) for dx, dy in ((-0.9, -0.15), (0.95, -0.2), (0.6, 0.25), (-0.65, 0.25))]
    sail = smooth([(x, y - 1.9 * size), (x + 0.55 * size, y - 0.9 * size), (x + 0.8 * size, y - 0.3 * size)])
    jib = [(x - 0.08 * size, y - 1.6 * size), (x - 0.08 * size, y - 0.3 * size), (x - 0.7 * size, y - 0.3 * size)]
    return [
        Shape(Kind.THING, colors.accent, [*sail, (x, y - 0.3 * size)], HERO),
        Shape(Kind.THING, colors.light, jib, HERO),
        Shape(Kind.THING, mix(colors.ink, colors.second, 0.3), hull, HERO),
    ]


def _cabin(rng: random.Random, frame: Frame, horizon: float, sun: Sun) -> list[Shape]:
    colors = frame.palette
    size = rng.uniform(0.07, 0.1)
    x = frame.width * (rng.uniform(0.18, 0.4) if sun.x > frame.width / 2 else rng.uniform(0.6, 0.82))
    y = horizon + (frame.height - horizon) * rng.uniform(0.16, 0.24)

    def part(kind: Kind, color: Color, *corners: Point) -> Shape:
        return Shape(kind, color, [(x + dx * size, y + dy * size) for dx, dy in corners], HERO)

    walls = part(Kind.THING, mix(colors.light, colors.second, 0.25), (-0.8, 0), (-0.8, -0.8), (0.8, -0.8), (0.8, 0))
    roof = part(Kind.THING, colors.accent, (-1.05, -0.75), (-0.6, -1.5), (0.6, -1.5), (1.05, -0.75))
    chimney = part(
        Kind.THING, mix(colors.ink, colors.accent, 0.3), (0.3, -1.3), (0.3, -1.8), (0.52, -1.8), (0.52, -1.3)
    )
    door = part(Kind.MARK, mix(colors.ink, colors.second, 0.25), (-0.5, 0), (-0.5, -0.55), (-0.2, -0.55), (-0.2, 0))
    window = part(Kind.MARK, colors.second, (0.15, -0.25), (0.15, -0.58), (0.5, -0.58), (0.5, -0.25))
    return [chimney, walls, roof, door, window]
