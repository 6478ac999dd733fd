"""Watercolor: translucent blots that bleed, darker rims, the grain of the paper."""

import math
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from images.drawing.canvas import Canvas, add_light, dimmed, levels, softened
from images.drawing.palettes import WHITE, Color, Palette, brightness, mix
from images.drawing.shapes import Kind, Point, Scene, Shape, ellipse

MARGIN = 0.045
DROPS = 16
# The paint of a ridge thins out toward its foot.
FADING = [max(90, 255 - value) for value in range(256)]


def paint_watercolor(scene: Scene, palette: Palette, canvas: Canvas) -> Image.Image:
    """One glaze over the other; the paper stays bare at its edges."""
    sheet = Sheet(scene, palette, canvas)
    sheet.wash_sky()
    for shape in scene.shapes:
        if shape.kind is not Kind.CLOUD:
            sheet.blot(shape)
    sheet.splatter()
    paper = canvas.noise(0.011).filter(ImageFilter.EMBOSS)
    return add_light(sheet.picture, softened(paper, 0.08))


class Sheet:
    """Paper with the paint on it so far."""

    def __init__(self, scene: Scene, palette: Palette, canvas: Canvas) -> None:
        self.picture = canvas.blank(mix(palette.light, (252, 250, 245), 0.7))
        self._scene = scene
        self._palette = palette
        self._canvas = canvas
        small = canvas.smaller(3)
        self._pigment = canvas.enlarged(small.fractal(0.22))
        self._margin = canvas.enlarged(_bare_edges(scene, small))

    def wash_sky(self) -> None:
        """Darker at the top, bare around the sun."""
        scene, palette, canvas = self._scene, self._palette, self._canvas.smaller(3)
        sun, share = scene.sun, scene.horizon / scene.height
        if scene.is_centred:
            fade = canvas.glow(sun.x, sun.y, max(scene.width, scene.height) * 0.75)
        else:
            stops = [(0.0, (250,) * 3), (share * 0.7, (130,) * 3), (min(share + 0.1, 1), (0,) * 3)]
            fade = canvas.vertical(stops).convert("L")
        bare = levels(canvas.glow(sun.x, sun.y, sun.radius * 1.6), 60, 110)
        wash = self._canvas.enlarged(ImageChops.subtract(fade, bare))
        wash = ImageChops.multiply(ImageChops.multiply(wash, levels(self._pigment, 30, 170)), self._margin)
        self._glaze(mix(palette.sky, palette.far, 0.35), wash, (0, 0))
        color = mix(palette.second, palette.accent, 0.25)
        self.blot(Shape(Kind.THING, color, ellipse(sun.x, sun.y, sun.radius), 0.2))

    def blot(self, shape: Shape) -> None:
        """A shape in one glaze: a little of what is under it is lifted, its rim dries darker."""
        unit = self._canvas.unit
        stencil = self._canvas.stencil(self._frayed(shape.points), 0.03)
        if stencil is None:
            return
        body, corner = stencil.mask, stencil.corner
        if shape.kind is not Kind.MARK:
            lifted = dimmed(body, 0.66 if shape.kind is Kind.THING else 0.45)
            self.picture.paste(mix(WHITE, shape.color, 0.06), corner, lifted)
        strength = 0.56 + 0.34 * (1 - brightness(shape.color) / 255) + 0.1 * shape.depth
        wash = dimmed(ImageChops.multiply(body, levels(self._pigment.crop(stencil.box), -20, 190)), strength)
        if shape.kind is Kind.LAND:
            fade = (
                Image.linear_gradient("L").resize((1, stencil.size[1])).resize(stencil.size, Image.Resampling.NEAREST)
            )
            wash = ImageChops.multiply(wash, fade.point(FADING))
        inner = levels(body.filter(ImageFilter.BoxBlur(0.012 * unit)), 60, 235)
        wash = ImageChops.add(wash, dimmed(ImageChops.subtract(body, inner), 0.35))
        self._glaze(shape.color, ImageChops.multiply(wash, self._margin.crop(stencil.box)), corner)

    def splatter(self) -> None:
        """Drops from the brush."""
        rng, canvas, palette = self._canvas.rng, self._canvas, self._palette
        spots = Image.new("L", canvas.size)
        for color in (palette.accent, palette.second, palette.far):
            x, y = rng.random() * self._scene.width, rng.random() * self._scene.height
            spots.paste(0, (0, 0, *canvas.size))
            for _ in range(DROPS):
                at = x + rng.gauss(0, 0.12), y + rng.gauss(0, 0.12)
                drop = canvas.around(*at, 0.002 + abs(rng.gauss(0, 0.004)))
                ImageDraw.Draw(spots).ellipse(drop, fill=rng.randrange(60, 150))
            if box := spots.getbbox():
                self._glaze(color, spots.crop(box), box[:2])

    def _glaze(self, color: Color, wash: Image.Image, corner: tuple[int, int]) -> None:
        """Multiplies the color in, as a filter in front of the paper would."""
        pigment = Image.new("RGB", wash.size, WHITE)
        pigment.paste(color, (0, 0), wash)
        box = (corner[0], corner[1], corner[0] + wash.width, corner[1] + wash.height)
        self.picture.paste(ImageChops.multiply(self.picture.crop(box), pigment), corner)

    def _frayed(self, points: Sequence[Point]) -> list[Point]:
        """The outline, a little off at two scales, as water finds its way."""
        rng = self._canvas.rng
        across = [x for x, _ in points]
        size = min((max(across) - min(across)) / 0.2, 1.0)
        turn, waves = rng.random() * math.tau, rng.uniform(2, 5)
        frayed = []
        for index, (x, y) in enumerate(points):
            drift = 0.006 * size * math.sin(turn + waves * math.tau * index / len(points))
            frayed.append((x + drift + rng.gauss(0, 0.002 * size), y + drift + rng.gauss(0, 0.002 * size)))
        return frayed


def _bare_edges(scene: Scene, canvas: Canvas) -> Image.Image:
    """Black where the paper stays bare: along its edges, unevenly."""
    inner = Image.new("L", canvas.size)
    box = [value * canvas.unit for value in (MARGIN, MARGIN, scene.width - MARGIN, scene.height - MARGIN)]
    ImageDraw.Draw(inner).rectangle(box, fill=255)
    soft = inner.filter(ImageFilter.BoxBlur(0.03 * canvas.unit))
    return levels(Image.blend(soft, canvas.fractal(0.09), 0.4), 95, 130)
