"""Five palettes of seven colours each, and one for any other name."""

import colorsys
import random
from collections.abc import Mapping
from dataclasses import dataclass

Color = tuple[int, int, int]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by what they are for: the nearest and darkest first, the paper last."""

    ink: Color
    near: Color
    far: Color
    sky: Color
    accent: Color
    second: Color
    light: Color

    def at_night(self) -> "Palette":
        """The same hues for a dark scene: a black that keeps its tint, a bright far plane."""
        black = mix(scaled(self.ink, 24), scaled(self.near, 24), 0.5)
        far, accent, second = (vivid(color, 1.5) for color in (self.far, self.accent, self.second))
        near, sky = mix(black, self.near, 0.35), mix(black, far, 0.45)
        return Palette(black, near, far, sky, accent, second, self.light)


def mix(one: Color, other: Color, share: float) -> Color:
    """`one` with this share (0 to 1) of the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def scaled(color: Color, brightest: int) -> Color:
    """The same hue, its brightest channel at this value."""
    factor = brightest / max(*color, 1)
    red, green, blue = (round(channel * factor) for channel in color)
    return red, green, blue


def vivid(color: Color, factor: float) -> Color:
    """The same hue with so many times the saturation; a grey stays as it is."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in color))
    return _from_hsv(hue, min(saturation * factor, 1.0), value)


def brightness(color: Color) -> float:
    """Luma from 0 to 255, as ITU-R BT.601 weighs the channels."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]


def _palette(*codes: str) -> Palette:
    red, green, blue = slice(0, 2), slice(2, 4), slice(4, 6)
    return Palette(*((int(code[red], 16), int(code[green], 16), int(code[blue], 16)) for code in codes))


PALETTES: Mapping[str, Palette] = {
    "vibrant": _palette("1b1440", "159a6c", "3a6ee0", "45c4f5", "ff4f4f", "ffc62e", "fff4dd"),
    "monochrome": _palette("141416", "47474b", "85858a", "b9b9bd", "e4e4e4", "c4c4c8", "f6f5f2"),
    "pastel": _palette("5d5577", "8fb8a8", "a9b6e0", "c4e0f2", "f7a8b1", "fbd9a0", "fff8f1"),
    "neon": _palette("0b0524", "0a5ab0", "8a2bf0", "34108a", "ff2fae", "16f0e0", "f2e9ff"),
    "vintage": _palette("2f2420", "5c6142", "74958f", "ecd3a0", "c4512d", "e3a43f", "f6e9cf"),
}


def palette_for(name: str) -> Palette:
    """The named palette; any other name always gets the same one, made from a hue of its own."""
    if name in PALETTES:
        return PALETTES[name]
    rng = random.Random(f"palette {name}".encode("utf-8", "surrogatepass"))
    hue, turn = rng.random(), rng.choice((0.33, 0.42, 0.5, 0.58))
    values = (
        (hue, 0.55, 0.17),
        (hue + 0.08, 0.5, 0.42),
        (hue - 0.04, 0.45, 0.68),
        (hue - 0.02, 0.3, 0.88),
        (hue + turn, 0.7, 0.92),
        (hue + turn + 0.1, 0.5, 0.96),
        (hue + turn, 0.07, 0.98),
    )
    return Palette(*(_from_hsv(*value) for value in values))


def _from_hsv(hue: float, saturation: float, value: float) -> Color:
    red, green, blue = (round(255 * channel) for channel in colorsys.hsv_to_rgb(hue % 1, saturation, value))
    return red, green, blue
