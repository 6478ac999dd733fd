"""Cyberpunk: a dark city, neon lines that glow, a grid that runs to the horizon."""

from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from images.drawing.canvas import Canvas, dimmed
from images.drawing.palettes import BLACK, WHITE, Color, Palette, brightness, mix
from images.drawing.shapes import HERO, Kind, Scene, Shape

ROWS = 3
LINES = 26
MAST = 0.05


@dataclass(frozen=True, slots=True)
class City:
    """A dark picture, and the light on a sheet of its own, which is added at the end."""

    dark: Image.Image
    light: Image.Image
    night: Palette
    canvas: Canvas

    @property
    def lamps(self) -> tuple[Color, Color, Color]:
        return self.night.accent, self.night.second, self.night.light


def paint_cyberpunk(scene: Scene, palette: Palette, canvas: Canvas) -> Image.Image:
    """The land becomes towers, the ground a grid, and things become holograms."""
    night = palette.at_night()
    city = City(canvas.enlarged(_sky(scene, night, canvas.smaller(4))), canvas.blank(BLACK), night, canvas)
    _sun(city, scene)
    _skyline(city, scene)
    _grid(city, scene)
    for shape in scene.shapes:
        if shape.kind in (Kind.THING, Kind.MARK) and (scene.is_centred or shape.depth == HERO):
            _hologram(city, shape)
    return _on_screen(_glowing(city), canvas)


def _sky(scene: Scene, night: Palette, canvas: Canvas) -> Image.Image:
    share = scene.horizon / scene.height
    picture = canvas.vertical([(0, night.ink), (share * 0.5, night.sky), (share, mix(night.sky, night.accent, 0.55))])
    x, y, radius = _disc(scene)
    picture.paste(night.accent, (0, 0), dimmed(canvas.glow(x, y, radius * 2.2), 0.6))
    return picture


def _disc(scene: Scene) -> tuple[float, float, float]:
    """The sun's place and radius: large, and low over the city."""
    sun = scene.sun
    if scene.is_centred:
        return sun.x, sun.y, sun.radius * 1.05
    radius = sun.radius * 2.2
    return sun.x, scene.horizon - radius * 1.05, radius


def _sun(city: City, scene: Scene) -> None:
    """A disc in stripes, from one neon color to the other."""
    canvas, night = city.canvas, city.night
    x, y, radius = _disc(scene)
    disc = Image.new("L", canvas.size)
    pen = ImageDraw.Draw(disc)
    left, top, right, bottom = canvas.around(x, y, radius)
    pen.ellipse((left, top, right, bottom), fill=255)
    for stripe in range(7):
        low = y + radius * (-0.1 + 0.16 * stripe)
        high = low + radius * 0.018 * (stripe + 1)
        pen.rectangle((left, low * canvas.unit, right, high * canvas.unit), fill=0)
    stops = [
        ((y - radius) / scene.height, mix(night.second, night.light, 0.35)),
        ((y + radius) / scene.height, night.accent),
    ]
    city.dark.paste(canvas.vertical(stops), (0, 0), disc)


def _skyline(city: City, scene: Scene) -> None:
    """Rows of towers; the back ones stand higher where the scene's land does."""
    rng, night = city.canvas.rng, city.night
    land = [point for shape in scene.shapes if shape.kind is Kind.LAND and shape.depth < 0.45 for point in shape.points]
    for row in range(ROWS):
        color = mix(mix(night.sky, night.accent, 0.22), night.ink, 0.3 + 0.32 * row)
        left = -0.05
        while left < scene.width:
            wide = rng.uniform(0.035, 0.1) * (0.8 + 0.25 * row)
            tall = rng.uniform(0.03, (0.22, 0.17, 0.13)[row])
            if row < ROWS - 1:
                tops = [y for x, y in land if abs(x - left - wide / 2) < 0.05]
                tall += 0.55 * max(scene.horizon - min(tops, default=scene.horizon), 0.0)
            top = max(scene.horizon - tall, scene.horizon * 0.12)
            _tower(city, (left, top, left + wide, scene.horizon), color, row)
            left += wide * rng.uniform(0.8, 1.25)


def _tower(city: City, box: tuple[float, float, float, float], color: Color, row: int) -> None:
    """A dark block that hides the light behind it, with some of its windows lit, a mast, a sign."""
    canvas, rng = city.canvas, city.canvas.rng
    unit = canvas.unit
    left, top, right, bottom = (value * unit for value in box)
    pen, shine = ImageDraw.Draw(city.dark), ImageDraw.Draw(city.light)
    pen.rectangle((left, top, right, bottom), fill=color)
    shine.rectangle((left, top, right, bottom), fill=BLACK)
    if rng.random() < 0.4:
        middle = (left + right) / 2
        pen.line((middle, top, middle, top - MAST * unit), fill=color, width=canvas.thick(0.004))
        shine.ellipse(canvas.around(middle / unit, box[1] - MAST, 0.003), fill=city.lamps[0])
    lamp, step, size = rng.choice(city.lamps), max(0.0155 * unit, 2.0), max(0.0065 * unit, 1)
    for floor in range(1, int((bottom - top) / (1.25 * step))):
        y = top + floor * 1.25 * step
        for window in range(int((right - left) / step)):
            if rng.random() < 0.3:
                x = left + (window + 0.5) * step
                shine.rectangle((x, y, x + size, y + size * 1.1), fill=mix(BLACK, lamp, rng.uniform(0.25, 0.85)))
    if row and rng.random() < 0.35:
        x, low = left + (right - left) * 0.3, top + rng.uniform(0.08, 0.14) * unit
        shine.rectangle((x, top + 0.03 * unit, x + 0.012 * unit, low), fill=rng.choice(city.lamps))


def _grid(city: City, scene: Scene) -> None:
    """Lines that meet at the horizon, and lines across that come closer toward it."""
    canvas, night = city.canvas, city.night
    top, low = scene.horizon, scene.height * 1.02
    floor = canvas.pixels([(0, top), (scene.width, top), (scene.width, low), (0, low)])
    ImageDraw.Draw(city.dark).polygon(floor, fill=mix(night.ink, night.sky, 0.25))
    pen = ImageDraw.Draw(city.light)
    pen.polygon(floor, fill=BLACK)
    color = mix(night.second, night.accent, 0.25)
    middle, deep = scene.sun.x, low - top
    lines = round(LINES * max(scene.width, 1.0))
    for number in range(-lines, lines + 1):
        ends = [(middle + number * 0.05, top), (middle + number * (0.05 + 0.44 * deep), low)]
        pen.line(canvas.pixels(ends), fill=mix(BLACK, color, 0.75), width=canvas.thick(0.003))
    for number in range(14):
        near = number / 13
        y = top + deep * near**2.3
        line = canvas.pixels([(0, y), (scene.width, y)])
        pen.line(line, fill=mix(BLACK, color, 0.45 + 0.5 * near), width=canvas.thick(0.002 + 0.0025 * near))


def _hologram(city: City, shape: Shape) -> None:
    """A dark body that keeps a little of its color, in a neon outline."""
    canvas, night = city.canvas, city.night
    lamp = mix(shape.color if brightness(shape.color) > 90 else night.second, WHITE, 0.12)
    points = canvas.pixels([*shape.points, shape.points[0]])
    pen = ImageDraw.Draw(city.light)
    if shape.kind is Kind.MARK:
        pen.polygon(points, fill=mix(BLACK, lamp, 0.3))
        pen.line(points, fill=mix(BLACK, lamp, 0.7), width=canvas.thick(0.003))
        return
    ImageDraw.Draw(city.dark).polygon(points, fill=mix(night.ink, shape.color, 0.2))
    pen.polygon(points, fill=mix(BLACK, shape.color, 0.1))
    pen.line(points, fill=lamp, width=canvas.thick(0.0065), joint="curve")


def _glowing(city: City) -> Image.Image:
    """The light, and around it what the air scatters."""
    unit = city.canvas.unit / 4
    small = city.light.reduce(4)
    wide, tight = (small.filter(ImageFilter.GaussianBlur(radius * unit)) for radius in (0.03, 0.008))
    halo = city.canvas.enlarged(ImageChops.add(tight, wide))
    return ImageChops.add(ImageChops.screen(city.dark, halo), city.light)


def _on_screen(picture: Image.Image, canvas: Canvas) -> Image.Image:
    """With the lines of a screen."""
    step = canvas.thick(0.0022)
    lines = Image.new("RGB", (1, canvas.height), WHITE)
    for y in range(0, canvas.height, 4 * step):
        lines.paste((214, 214, 214), (0, y, 1, y + step))
    return ImageChops.multiply(picture, lines.resize(canvas.size, Image.Resampling.NEAREST))
