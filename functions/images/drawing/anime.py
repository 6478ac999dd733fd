"""Anime: flat colors in two tones, bold outlines, a big sky."""

import math
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageDraw

from images.drawing.canvas import Canvas
from images.drawing.palettes import WHITE, Color, Palette, mix
from images.drawing.shapes import Kind, Point, Scene, Shape

OUTLINE = 0.0075
CREST = 0.03
RAYS = 18
SPARKLES = 12
# How much of the shadow's color each kind of thing has in its shadow.
SHADES = {Kind.CLOUD: 0.2, Kind.LAND: 0.22, Kind.TREE: 0.35, Kind.THING: 0.24}


def paint_anime(scene: Scene, palette: Palette, canvas: Canvas) -> Image.Image:
    """Each shape is its color, a shadow with a hard edge, and an outline."""
    picture = canvas.blank(mix(palette.sky, palette.far, 0.55))
    back = _burst if scene.is_centred else _sky
    back(ImageDraw.Draw(picture), scene, palette, canvas)
    for shape in scene.shapes:
        _cel(picture, shape, palette, canvas)
    _sparkles(ImageDraw.Draw(picture), scene, palette, canvas)
    return picture


def _sky(pen: ImageDraw.ImageDraw, scene: Scene, palette: Palette, canvas: Canvas) -> None:
    """Flat rings of light around the sun."""
    top, low = mix(palette.sky, palette.far, 0.55), mix(palette.sky, palette.light, 0.65)
    sun, reach = scene.sun, max(scene.width, scene.horizon)
    for share, radius in ((0.35, 1.15), (0.65, 0.8), (0.85, 0.52), (1.0, 0.3)):
        pen.ellipse(canvas.around(sun.x, sun.y, radius * reach), fill=mix(top, low, share))
    pen.ellipse(canvas.around(sun.x, sun.y, sun.radius * 1.3), fill=mix(palette.light, palette.second, 0.5))
    pen.ellipse(canvas.around(sun.x, sun.y, sun.radius), fill=mix(palette.light, WHITE, 0.6))


def _burst(pen: ImageDraw.ImageDraw, scene: Scene, palette: Palette, canvas: Canvas) -> None:
    """Rays from behind the subject, and a disc."""
    one, other = mix(palette.sky, palette.light, 0.35), mix(palette.sky, palette.far, 0.22)
    sun, reach, turn = scene.sun, 2 * (scene.width + scene.height), canvas.rng.random()
    for ray in range(2 * RAYS):
        angles = [math.pi * (ray + turn + edge) / RAYS for edge in (0, 1)]
        ends = [(sun.x + reach * math.cos(a), sun.y + reach * math.sin(a)) for a in angles]
        pen.polygon(canvas.pixels([(sun.x, sun.y), *ends]), fill=(one, other)[ray % 2])
    pen.ellipse(canvas.around(sun.x, sun.y, sun.radius * 1.1), fill=palette.ink)
    pen.ellipse(canvas.around(sun.x, sun.y, sun.radius * 1.1 - OUTLINE), fill=mix(palette.second, palette.light, 0.25))


def _cel(picture: Image.Image, shape: Shape, palette: Palette, canvas: Canvas) -> None:
    pen = ImageDraw.Draw(picture)
    outline = canvas.pixels([*shape.points, shape.points[0]])
    is_cloud = shape.kind is Kind.CLOUD
    color = mix(shape.color, WHITE, 0.7) if is_cloud else shape.color
    if shape.kind is Kind.WATER:
        color = mix(color, palette.light, 0.2)
    pen.polygon(outline, fill=color)
    if shape.kind in SHADES:
        dark = mix(color, palette.far if is_cloud else palette.ink, SHADES[shape.kind])
        if shape.kind is Kind.LAND:
            pen.polygon([(x, y + CREST * canvas.unit) for x, y in outline], fill=dark)
        else:
            _shade(picture, shape.points, dark, canvas, 0.022 if shape.kind is Kind.THING else 0.05)
    if shape.kind is not Kind.MARK:
        line = mix(palette.far, palette.ink, 0.35) if is_cloud else palette.ink
        pen.line(outline, fill=line, width=canvas.thick(OUTLINE * (0.45 + 0.55 * shape.depth)), joint="curve")


def _shade(picture: Image.Image, points: Sequence[Point], color: Color, canvas: Canvas, shift: float) -> None:
    """What the same polygon, moved to the upper left, leaves free."""
    stencil = canvas.stencil(points)
    if stencil is None:
        return
    moved = round(shift * canvas.unit)
    lit = Image.new("L", stencil.size)
    lit.paste(stencil.mask, (-moved, round(-0.7 * moved)))
    picture.paste(color, stencil.corner, ImageChops.subtract(stencil.mask, lit))


def _sparkles(pen: ImageDraw.ImageDraw, scene: Scene, palette: Palette, canvas: Canvas) -> None:
    """Lights with four points."""
    rng = canvas.rng
    for _ in range(SPARKLES):
        x, y, size = rng.random() * scene.width, rng.random() * scene.height * 0.8, rng.uniform(0.012, 0.03)
        reaches = [(size * (0.22 if step % 2 else 1.0), math.tau * step / 8) for step in range(8)]
        star = [(x + reach * math.cos(a), y + 1.3 * reach * math.sin(a)) for reach, a in reaches]
        pen.polygon(canvas.pixels(star), fill=mix(palette.light, WHITE, 0.7))
