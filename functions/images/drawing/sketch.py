"""Sketch: pencil outlines and hatching on paper."""

import math
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from images.drawing.canvas import Canvas, Stencil, dimmed, levels
from images.drawing.palettes import Palette, brightness, mix
from images.drawing.shapes import Kind, Point, Scene, Shape, ellipse

# Slope and gap (in units) of each sheet of hatching, from light to dark.
SHEETS = ((0.9, 0.015), (-0.75, 0.013), (0.2, 0.011), (2.4, 0.01), (-1.1, 0.009))
SHADOW_SHEET = 4
PENCIL = 0.0028
OUTLINE = 0.0042


def paint_sketch(scene: Scene, palette: Palette, canvas: Canvas) -> Image.Image:
    """Each shape hides what is behind it with paper, then gets its hatching and its outline."""
    paper = mix(palette.light, (250, 248, 242), 0.3)
    lead = mix(palette.ink, (60, 60, 66), 0.35)
    tooth = levels(canvas.noise(0.003), -40, 130)
    sheets = [ImageChops.multiply(_hatching(canvas, slope, gap), tooth) for slope, gap in SHEETS]
    picture = canvas.blank(paper)
    _sky(picture, scene, palette, canvas, sheets)
    for number, shape in enumerate(scene.shapes):
        stencil = canvas.stencil(shape.points, 0.01)
        if stencil is None:
            continue
        picture.paste(paper, stencil.corner, stencil.mask)
        if shape.kind is not Kind.CLOUD:
            lines = _tone(shape, number, stencil, sheets, canvas)
            picture.paste(mix(shape.color, lead, 0.2), stencil.corner, ImageChops.multiply(lines, stencil.mask))
        edge = Image.new("L", stencil.size)
        for _ in range(1 if shape.kind is Kind.MARK else 2):
            _outline(edge, [*shape.points, shape.points[0]], canvas, stencil.corner)
        soft = edge.filter(ImageFilter.BoxBlur(0.4))
        picture.paste(lead, stencil.corner, ImageChops.multiply(soft, tooth.crop(stencil.box)))
    return picture


def _sky(picture: Image.Image, scene: Scene, palette: Palette, canvas: Canvas, sheets: Sequence[Image.Image]) -> None:
    """Lighter toward the horizon and around the sun, which is two rings."""
    sun, share = scene.sun, scene.horizon / scene.height
    small = canvas.smaller(4)
    light = levels(small.glow(sun.x, sun.y, sun.radius * (1.5 if scene.is_centred else 3.5)), 0, 120)
    fade = small.vertical([(0, (230,) * 3), (share, (50,) * 3), (min(share + 0.02, 1), (0,) * 3)]).convert("L")
    dark = canvas.enlarged(ImageChops.subtract(fade, light))
    picture.paste(mix(palette.sky, palette.far, 0.7), (0, 0), ImageChops.multiply(sheets[2], dark))
    ring = Image.new("L", canvas.size)
    for turn in range(2):
        circle = ellipse(sun.x, sun.y, sun.radius * (1 + 0.02 * turn))
        _outline(ring, [*circle, *circle[:3]], canvas, (0, 0))
    picture.paste(mix(palette.accent, palette.ink, 0.2), (0, 0), dimmed(ring, 0.85))


def _tone(shape: Shape, number: int, stencil: Stencil, sheets: Sequence[Image.Image], canvas: Canvas) -> Image.Image:
    """The darker the color, the more hatching; one more layer on the side away from the light."""
    darkness = 1 - brightness(shape.color) / 255
    lines = sheets[number % 2].crop(stencil.box)
    if darkness > 0.4:
        lines = ImageChops.lighter(lines, sheets[2 + number % 2].crop(stencil.box))
    if darkness > 0.65:
        lines = ImageChops.lighter(lines, sheets[1 - number % 2].crop(stencil.box))
    shift = canvas.thick(0.03)
    lit = Image.new("L", stencil.size)
    lit.paste(stencil.mask, (-shift, -shift))
    shadow = ImageChops.subtract(sheets[SHADOW_SHEET].crop(stencil.box), lit)
    return ImageChops.lighter(lines, shadow)


def _hatching(canvas: Canvas, slope: float, gap: float) -> Image.Image:
    """Lines across the canvas, each a little off, some pressed harder."""
    sheet = Image.new("L", canvas.size)
    pen, rng = ImageDraw.Draw(sheet), canvas.rng
    angle = math.atan(slope)
    cos, sin = math.cos(angle), math.sin(angle)
    reach, step = math.hypot(*canvas.size) / 2, max(gap * canvas.unit, 2)
    for number in range(round(-reach / step), round(reach / step) + 1):
        off, tilt = (number + rng.uniform(-0.25, 0.25)) * step, rng.uniform(-0.012, 0.012) * reach
        x, y = canvas.width / 2 - sin * off, canvas.height / 2 + cos * off
        ends = (x - cos * reach, y - sin * reach - tilt, x + cos * reach, y + sin * reach + tilt)
        pen.line(ends, fill=rng.randrange(130, 245), width=canvas.thick(PENCIL))
    return sheet


def _outline(sheet: Image.Image, line: Sequence[Point], canvas: Canvas, corner: tuple[int, int]) -> None:
    """By hand: each point a little off."""
    sway = 0.0022 * canvas.unit
    gauss = canvas.rng.gauss
    moved = [(x - corner[0] + gauss(0, sway), y - corner[1] + gauss(0, sway)) for x, y in canvas.pixels(line)]
    ImageDraw.Draw(sheet).line(moved, fill=235, width=canvas.thick(OUTLINE), joint="curve")
