"""Realistic: soft light, haze that grows with distance, rounded things with shadows."""

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from images.drawing.canvas import FAST, SOFT, Canvas, Stencil, add_light, dimmed, levels, softened, vertical
from images.drawing.palettes import WHITE, Color, Palette, brightness, mix
from images.drawing.shapes import Kind, Scene, Shape


def paint_realistic(scene: Scene, palette: Palette, canvas: Canvas) -> Image.Image:
    """Far things are pale, near ones dark; the light comes from the upper left."""
    back = _wall if scene.is_centred else _sky
    picture = canvas.enlarged(back(scene, palette, canvas.smaller(3)))
    haze = mix(palette.sky, palette.light, 0.5)
    relief = canvas.enlarged(_relief(canvas.smaller(2)))
    for shape in scene.shapes:
        stencil = None if shape.kind is Kind.CLOUD else canvas.stencil(shape.points)
        if stencil is None:
            continue
        if shape.kind is Kind.LAND:
            rough = softened(relief.crop(stencil.box), 0.12 if scene.is_centred else 0.15 + 0.5 * shape.depth)
            _land(picture, shape, stencil, haze, rough, canvas)
        elif shape.kind is Kind.WATER:
            _water(picture, scene, shape.color, canvas)
        elif shape.kind is Kind.THING:
            if scene.is_centred:
                _cast_shadow(picture, stencil, mix(palette.ink, (0, 0, 0), 0.4), 0.012 * canvas.unit)
            picture.paste(_rounded(shape.color, palette, stencil.size), stencil.corner, stencil.mask)
        else:
            picture.paste(mix(shape.color, haze, 0.3 * (1 - shape.depth)), stencil.box, stencil.mask)
    return _vignette(picture, canvas)


def _sky(scene: Scene, palette: Palette, canvas: Canvas) -> Image.Image:
    share = scene.horizon / scene.height
    high = mix(mix(palette.sky, palette.far, 0.6), palette.ink, 0.2)
    low = mix(mix(palette.sky, palette.light, 0.55), palette.accent, 0.3)
    picture = canvas.vertical([(0, high), (share * 0.5, palette.sky), (share * 0.95, low)])
    sun = scene.sun
    for reach, color, strength in ((9, palette.second, 0.6), (4, mix(palette.accent, palette.light, 0.5), 0.85)):
        picture.paste(color, (0, 0), dimmed(canvas.glow(sun.x, sun.y, sun.radius * reach), strength))
    picture.paste(mix(palette.light, WHITE, 0.6), (0, 0), levels(canvas.glow(sun.x, sun.y, sun.radius * 1.2), 25, 70))
    clouds = levels(canvas.fractal(0.5, 0.12), 126, 205)
    lit = mix(palette.light, palette.accent, 0.12)
    picture.paste(mix(lit, mix(palette.far, palette.sky, 0.5), 0.6), (0, 0), dimmed(clouds, 0.75))
    lifted = ImageChops.offset(clouds, 0, -canvas.thick(0.014))
    picture.paste(lit, (0, 0), dimmed(ImageChops.multiply(clouds, lifted), 0.85))
    return picture


def _wall(scene: Scene, palette: Palette, canvas: Canvas) -> Image.Image:
    """A wall in soft light, with lights out of focus."""
    wall = mix(palette.far, palette.sky, 0.35)
    picture = canvas.vertical([(0, mix(wall, palette.ink, 0.55)), (0.5, wall), (1, mix(wall, palette.ink, 0.35))])
    rng, sun = canvas.rng, scene.sun
    light = mix(palette.sky, palette.light, 0.55)
    picture.paste(light, (0, 0), dimmed(canvas.glow(sun.x - 0.1, sun.y - 0.08, 0.75), 0.8))
    spots = Image.new("L", canvas.size)
    for _ in range(16):
        x, y, radius = rng.random() * scene.width, rng.random() * scene.height * 0.75, rng.uniform(0.03, 0.09)
        ImageDraw.Draw(spots).ellipse(canvas.around(x, y, radius), fill=rng.randrange(30, 120))
    picture.paste(
        mix(palette.second, palette.light, 0.4), (0, 0), spots.filter(ImageFilter.BoxBlur(0.006 * canvas.unit))
    )
    return picture


def _relief(canvas: Canvas) -> Image.Image:
    """Light from the left on rough ground."""
    ground = canvas.fractal(0.13, 0.15)
    shift = canvas.thick(0.009)
    return ImageChops.add(ground, ImageChops.invert(ImageChops.offset(ground, shift, shift)), 1, -127)


def _land(
    picture: Image.Image, shape: Shape, stencil: Stencil, haze: Color, rough: Image.Image, canvas: Canvas
) -> None:
    """Its foot fades into the haze, the more the farther it is."""
    fading = min(0.36 * canvas.unit / stencil.size[1], 1.0)
    foot = mix(shape.color, haze, 0.85 * (1 - shape.depth))
    picture.paste(
        add_light(vertical(stencil.size, [(0, shape.color), (fading, foot)]), rough), stencil.corner, stencil.mask
    )


def _water(picture: Image.Image, scene: Scene, color: Color, canvas: Canvas) -> None:
    """What stands above it, upside down, darker and blurred along."""
    line = round(scene.horizon * canvas.unit)
    deep = canvas.height - line
    above = picture.crop((0, max(line - deep, 0), canvas.width, line)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    mirror = above.resize((max(canvas.width // 8, 1), max(above.height // 2, 1)), Image.Resampling.BOX)
    mirror = mirror.resize((canvas.width, deep), SOFT)
    mirror = Image.blend(mirror, Image.new("RGB", mirror.size, color), 0.4)
    ripples = softened(canvas.noise(0.2, 0.012).crop((0, line, canvas.width, canvas.height)), 0.2)
    picture.paste(add_light(mirror, ripples), (0, line))


def _cast_shadow(picture: Image.Image, stencil: Stencil, color: Color, blur: float) -> None:
    pad, shift = round(3 * blur), round(blur)
    shadow = Image.new("L", (stencil.size[0] + 2 * pad, stencil.size[1] + 2 * pad))
    shadow.paste(dimmed(stencil.mask, 0.42), (pad, pad))
    corner = (stencil.box[0] - pad + shift, stencil.box[1] - pad + shift)
    picture.paste(color, corner, shadow.filter(ImageFilter.BoxBlur(blur)))


def _rounded(color: Color, palette: Palette, size: tuple[int, int]) -> Image.Image:
    """Lit from the upper left, as if it were round."""
    lit = mix(color, WHITE, 0.42 if brightness(color) < 200 else 0.7)
    dark = mix(mix(color, palette.ink, 0.5), (0, 0, 0), 0.25)
    # A table of 48 by 48 is smooth enough: the light has no detail.
    small = ImageChops.invert(Image.radial_gradient("L")).crop((78, 87, 228, 237)).resize((48, 48), SOFT)
    picture = Image.new("RGB", small.size, dark)
    picture.paste(color, (0, 0), levels(small, 0, 140))
    picture.paste(lit, (0, 0), levels(small, 120, 250))
    return picture.resize(size, SOFT)


def _vignette(picture: Image.Image, canvas: Canvas) -> Image.Image:
    edge = levels(ImageChops.invert(Image.radial_gradient("L")), -330, 110).resize((64, 64), FAST)
    return ImageChops.multiply(picture, canvas.enlarged(Image.merge("RGB", (edge,) * 3)))
