"""Oil painting: thick strokes that follow the forms, with light on their ridges."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from images.drawing.canvas import Canvas, add_light, levels, noise
from images.drawing.palettes import Color, Palette, mix
from images.drawing.shapes import Kind, Scene

ANGLES = 18
GUIDE = 3
ALONG_FORMS = 12


@dataclass(frozen=True, slots=True)
class Layer:
    """Strokes of one size that cover `cover` times what has at least this much `detail`."""

    length: float
    slim: float
    cover: float
    detail: int


LAYERS = (
    Layer(0.15, 0.3, 1.4, 0),
    Layer(0.08, 0.28, 1.3, 0),
    Layer(0.048, 0.26, 1.5, 2),
    Layer(0.026, 0.34, 2.2, 7),
    Layer(0.016, 0.42, 1.3, 20),
)


def paint_oil(scene: Scene, palette: Palette, canvas: Canvas) -> Image.Image:
    """Layers of strokes, the finer ones where there is something to see."""
    guide = _guide(scene, palette, canvas.smaller(GUIDE))
    picture = canvas.enlarged(guide)
    flow = Flow(guide, scene, canvas)
    # As long as the canvas is large, so that a tall picture takes no more strokes than a square one.
    unit = math.sqrt(canvas.width * canvas.height)
    for layer in LAYERS:
        brush = _brush(canvas.rng, max(4, round(layer.length * unit)), layer.slim)
        places = flow.places(layer.detail)
        count = round(layer.cover * len(places) / len(flow.places(0)) / (layer.slim * layer.length**2))
        for _ in range(count):
            _stroke(picture, flow, brush, places[int(canvas.rng.random() * len(places))], canvas.rng)
    relief = ImageFilter.Kernel((3, 3), (-2, -1, 0, -1, 0, 1, 0, 1, 2), 7, 128)
    return add_light(picture, picture.convert("L").filter(relief))


def _guide(scene: Scene, palette: Palette, canvas: Canvas) -> Image.Image:
    """A small flat picture that says which color is where."""
    share, sun = scene.horizon / scene.height, scene.sun
    deep = mix(palette.far, palette.ink, 0.3)
    low = mix(mix(palette.sky, palette.light, 0.5), palette.second, 0.3)
    if scene.is_centred:
        picture = canvas.vertical([(0, deep), (1, mix(palette.far, palette.sky, 0.3))])
    else:
        picture = canvas.vertical([(0, mix(palette.sky, deep, 0.7)), (share * 0.6, palette.sky), (share, low)])
    pen = ImageDraw.Draw(picture)
    around = deep if scene.is_centred else palette.sky
    for size, shine in ((1.9, 0.3), (1.45, 0.6), (1.0, 1.0)):
        radius = sun.radius * (1 + (size - 1) * (0.25 if scene.is_centred else 1))
        pen.ellipse(canvas.around(sun.x, sun.y, radius), fill=mix(around, palette.second, shine))
    for shape in scene.shapes:
        points = canvas.pixels(shape.points)
        pen.polygon(points, fill=shape.color)
        if shape.kind in (Kind.THING, Kind.TREE):
            across = [x for x, _ in points]
            middle = 0.45 * min(across) + 0.55 * max(across)
            pen.polygon([(max(x, middle), y) for x, y in points], fill=mix(shape.color, palette.ink, 0.22))
    return picture


def _brush(rng: random.Random, length: int, slim: float) -> list[Image.Image]:
    """One stroke at every angle: streaks of the bristles, which lift one by one so that its end is torn."""
    size = length, max(3, round(length * slim))
    body = Image.new("L", size)
    ImageDraw.Draw(body).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), radius=size[1] // 2, fill=255)
    lifting = Image.linear_gradient("L").rotate(90).resize(size)
    torn = levels(ImageChops.add(noise(rng, size, length / 4, 1.6), levels(lifting, 0, 150)), 90, 190)
    streaks = levels(noise(rng, size, length / 2, 1.6), -250, 160)
    mask = ImageChops.multiply(ImageChops.multiply(body, torn), streaks)
    return [mask.rotate(-180 * step / ANGLES, Image.Resampling.BILINEAR, expand=True) for step in range(ANGLES)]


class Flow:
    """Which color a stroke has and where it goes: along the forms, else around the sun and along the ground."""

    def __init__(self, guide: Image.Image, scene: Scene, canvas: Canvas) -> None:
        grey = guide.convert("L").filter(ImageFilter.BoxBlur(1.5))
        across = grey.filter(ImageFilter.Kernel((3, 3), (-1, 0, 1, -2, 0, 2, -1, 0, 1), 2, 128))
        down = grey.filter(ImageFilter.Kernel((3, 3), (-1, -2, -1, 0, 0, 0, 1, 2, 1), 2, 128))
        flat = Image.new("L", guide.size, 128)
        edges = ImageChops.add(ImageChops.difference(across, flat), ImageChops.difference(down, flat))
        self._scene = scene
        self._unit = canvas.unit
        self._width, self._count = guide.width, guide.width * guide.height
        self._colors = guide.tobytes()
        self._across, self._down = across.tobytes(), down.tobytes()
        self._detail = edges.filter(ImageFilter.BoxBlur(2)).tobytes()
        self._sway = noise(canvas.rng, guide.size, guide.width / 4, guide.height / 5).tobytes()

    def places(self, detail: int) -> Sequence[int]:
        """Where in the guide there is at least this much detail."""
        return [place for place, found in enumerate(self._detail) if found >= detail] if detail else range(self._count)

    def pixel(self, place: int) -> tuple[int, int]:
        """Where that is on the canvas."""
        y, x = divmod(place, self._width)
        return x * GUIDE + GUIDE // 2, y * GUIDE + GUIDE // 2

    def color(self, place: int) -> Color:
        red, green, blue = self._colors[3 * place : 3 * place + 3]
        return red, green, blue

    def angle(self, x: int, y: int, place: int) -> float:
        """Of a stroke there, in radians."""
        across, down = self._across[place] - 128, self._down[place] - 128
        if abs(across) + abs(down) > ALONG_FORMS:
            return math.atan2(down, across) + math.pi / 2
        sway, scene = (self._sway[place] - 128) / 128, self._scene
        if scene.is_centred or y < scene.horizon * self._unit:
            return math.atan2(y - scene.sun.y * self._unit, x - scene.sun.x * self._unit) + math.pi / 2 + sway
        return sway * 1.2


def _stroke(picture: Image.Image, flow: Flow, brush: Sequence[Image.Image], place: int, rng: random.Random) -> None:
    x, y = flow.pixel(place)
    mask = brush[round(flow.angle(x, y, place) % math.pi / math.pi * ANGLES) % ANGLES]
    picture.paste(_varied(flow.color(place), rng), (x - mask.width // 2, y - mask.height // 2), mask)


def _varied(color: Color, rng: random.Random) -> Color:
    change = 32 * rng.random() - 16
    red, green, blue = (min(max(round(channel + change + 14 * rng.random() - 7), 0), 255) for channel in color)
    return red, green, blue
