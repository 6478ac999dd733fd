"""The line at the bottom of a picture: the prompt's beginning, and that it is simulated."""

import re
import unicodedata
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from images.drawing.palettes import BLACK, Color, Palette, brightness, mix

SIMULATED = "simulated"
MAX_PROMPT_LINES = 2
MIN_TEXT_PIXELS = 10
TEXT_SHARE = 0.024
SMALL = 0.82
LINE_SPACING = 1.32
# A caption takes at most this much of the height.
MAX_SHARE = 0.34
CUT = "…"
# The font draws its empty box for it.
REPLACEMENT = "\ufffd"
# What the font has (Aileron, basic Latin): ASCII, "·", the typographic quotes, "…".
UNSHOWABLE = re.compile("[^ -~\u00ab\u00b7\u00bb\u2018\u2019\u201c\u201d\u2026]+")
# What stands for letters that Unicode does not take apart, and for dashes, low quotes and the cross.
LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d"}
    | {"\u2013": "-", "\u2014": "-", "\u2212": "-", "\u201e": '"', "\u201a": "'", "\u00d7": "x", "\u0131": "i"}
)


@dataclass(frozen=True, slots=True)
class Line:
    """A text that fits, with its font."""

    text: str
    font: ImageFont.FreeTypeFont


def add_caption(picture: Image.Image, palette: Palette, prompt: str | None, made_by: str) -> None:
    """Writes up to two lines of the prompt and one that says "simulated"; nothing if that word does not fit."""
    lines = caption_lines(picture.size, prompt, made_by)
    if not lines:
        return
    margin = round(lines[-1].font.size * 1.1)
    high = round(sum(line.font.size for line in lines) * LINE_SPACING + 1.3 * margin)
    top = picture.height - high
    paper, ink = _colors(picture.crop((0, top, picture.width, picture.height)), palette)
    # Higher than the text and clear at its top, so that it has no edge.
    veil_top = max(picture.height - round(1.6 * high), 0)
    veil = Image.linear_gradient("L").resize((1, picture.height - veil_top))
    veil = veil.point([min(round(value * 1.55), 222) for value in range(256)])
    picture.paste(paper, (0, veil_top), veil.resize((picture.width, veil.height), Image.Resampling.NEAREST))
    pen, y = ImageDraw.Draw(picture), float(top + round(0.5 * margin))
    for number, line in enumerate(lines):
        color = ink if number < len(lines) - 1 else mix(ink, paper, 0.22)
        pen.text((margin, y), line.text, fill=color, font=line.font)
        y += line.font.size * LINE_SPACING


def readable(text: str) -> str:
    """The text in characters that the font has: accents dropped, anything else as one box for each run of it."""
    apart = unicodedata.normalize("NFKD", text.translate(LETTERS))
    kept = (" " if char.isspace() else char for char in apart if not _is_silent(char))
    return " ".join(UNSHOWABLE.sub(REPLACEMENT, "".join(kept)).split())


def _is_silent(char: str) -> bool:
    """Combining marks, and control and format characters except white space."""
    return unicodedata.category(char) in ("Mn", "Me", "Cc", "Cf") and not char.isspace()


def caption_lines(size: tuple[int, int], prompt: str | None, made_by: str) -> list[Line]:
    """What stands below a picture of this size; each line fits into its width."""
    width, height = size
    pixels = max(MIN_TEXT_PIXELS, round(TEXT_SHARE * min(size)))
    large, small = (_font(share * pixels) for share in (1.0, SMALL))
    room = width - 2.2 * small.size
    last = f"{SIMULATED} · {readable(made_by)}"
    if small.getlength(last) > room and small.getlength(f"{SIMULATED} · {CUT}") > room:
        last = SIMULATED
    if small.getlength(SIMULATED) > room or small.size * 3 > height * MAX_SHARE:
        return []
    shown = _wrapped(readable(prompt or ""), large, room)
    if (large.size * len(shown) + small.size * 2.5) * LINE_SPACING > height * MAX_SHARE:
        shown = []
    return [*(Line(text, large) for text in shown), Line(_cut(last, small, room), small)]


def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(max(size, MIN_TEXT_PIXELS * SMALL))
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow's wheels have FreeType"
    return font


def _wrapped(text: str, font: ImageFont.FreeTypeFont, room: float) -> list[str]:
    """Up to two lines, broken between words where there is a space; the last ends in "…" if there is more."""
    lines: list[str] = []
    while text and len(lines) < MAX_PROMPT_LINES - 1:
        fitting = _fitting(text, font, room)
        if fitting < len(text):
            space = text.rfind(" ", 0, fitting + 1)
            fitting = space if space > 0 else fitting
        lines.append(text[:fitting])
        text = text[fitting:].strip()
    return [*lines, _cut(text, font, room)] if text else lines


def _cut(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """The text, or as much of it as leaves room for "…"."""
    if font.getlength(text) <= room:
        return text
    return text[: _fitting(text, font, room - font.getlength(CUT))].rstrip() + CUT


def _fitting(text: str, font: ImageFont.FreeTypeFont, room: float) -> int:
    """How many characters fit, at least one."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle]) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def _colors(behind: Image.Image, palette: Palette) -> tuple[Color, Color]:
    """Of the veil and of the text: dark on light where the picture is light, else light on dark."""
    [level] = behind.convert("L").resize((1, 1), Image.Resampling.BOX).tobytes()
    dark = mix(palette.ink, BLACK, 0.35)
    light = palette.light
    if level > 0.55 * brightness(light) + 20:
        return light, dark
    return dark, light
