"""The caption: it says "simulated", quotes the prompt, and survives any text."""

import io
from dataclasses import replace

import pytest
from PIL import Image, ImageChops

from images.drawing import Drawing, draw
from images.drawing.caption import REPLACEMENT, add_caption, caption_lines, readable
from images.drawing.palettes import palette_for

ORDER = Drawing("model-a", "anime", "pastel", 512, 512, None, "s")
MADE_BY = "model-a · anime"
LAST = "simulated · model-a · anime"
SQUARE = (512, 512)


def texts(size: tuple[int, int], prompt: str | None, made_by: str = MADE_BY) -> list[str]:
    return [line.text for line in caption_lines(size, prompt, made_by)]


def test_without_a_prompt_one_line_says_what_it_is() -> None:
    """For no prompt, and for one of which nothing can be seen."""
    assert texts(SQUARE, None) == [LAST]
    assert texts(SQUARE, "") == [LAST]
    assert texts(SQUARE, " \n\t\x00\u200b") == [LAST]


def test_a_short_prompt_stands_above_it() -> None:
    """White space of any kind is one space."""
    assert texts(SQUARE, "a fox\n\nin the\tsnow") == ["a fox in the snow", LAST]


@pytest.mark.parametrize("size", [(256, 256), SQUARE, (1024, 1792), (2048, 512)])
@pytest.mark.parametrize(
    "prompt", ["a lighthouse at dawn " * 200, "x" * 4_000, "W" * 4_000, "i" * 4_000, "鳥 " * 2_000]
)
def test_a_long_prompt_is_cut_to_two_lines(size: tuple[int, int], prompt: str) -> None:
    """Which fit, fill the width, and end in "…"."""
    first, second, last = caption_lines(size, prompt, MADE_BY)
    for line in (first, second, last):
        assert line.font.getlength(line.text) <= size[0]
    assert first.font.getlength(first.text) > 0.75 * size[0]
    assert second.text.endswith("…")
    assert last.text == LAST


def test_lines_break_between_words() -> None:
    """Each word of the prompt stands whole on one of the lines."""
    words = [f"word{number}" for number in range(18)]
    first, second, _ = texts(SQUARE, " ".join(words))
    assert [*first.split(), *second.split()] == words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Straße, façade, Łódź, señor", "Strasse, facade, Lodz, senor"),
        ("“a \u2013 b” … 3\u00d74", "“a - b” ... 3x4"),
        ("狐と雪", REPLACEMENT),
        ("fox 🦊👨\u200d👩\u200d👧 snow", f"fox {REPLACEMENT} snow"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("a\x00b\x1b[31mc\x7f", "ab[31mc"),
        ("שלום عالم", f"{REPLACEMENT} {REPLACEMENT}"),
        ("\ud800 alone", f"{REPLACEMENT} alone"),
        ("Z̸̡̛a̶l̵g̷o̴", "Zalgo"),
        ("ﬁne", "fine"),
    ],
)
def test_what_the_font_lacks_is_replaced(text: str, shown: str) -> None:
    """Accents are dropped, controls and marks of direction are gone, other scripts are one box a word."""
    assert readable(text) == shown


@pytest.mark.parametrize(
    "prompt", ["狐", "🦊" * 2_000, "\ud800\udfff", "\x00", "\u202e" * 4_000, "a\n" * 2_000, "̸" * 4_000]
)
def test_no_prompt_breaks_the_picture(prompt: str) -> None:
    """Whatever the request holds, there is a picture of the ordered size."""
    with Image.open(io.BytesIO(draw(replace(ORDER, prompt=prompt)))) as picture:
        picture.load()
        assert picture.size == SQUARE


def test_the_replacement_can_be_seen() -> None:
    """The font has a box for what it lacks."""
    [line, _] = caption_lines(SQUARE, "狐", MADE_BY)
    assert line.font.getmask(line.text).getbbox() is not None


def test_the_font_has_what_is_not_replaced() -> None:
    """Each character that stays has a shape of its own."""
    [line] = caption_lines(SQUARE, None, MADE_BY)
    box = bytes(line.font.getmask(REPLACEMENT))
    kept = {char for char in map(chr, range(0x21, 0x2100)) if readable(char) == char}
    assert len(kept) == 94 + len("«·»") + len("\u2018\u2019\u201c\u201d")
    assert [char for char in kept if bytes(line.font.getmask(char)) == box] == []


def test_the_caption_stands_at_the_bottom() -> None:
    """It changes the lowest part of the picture and nothing above it."""
    plain = Image.new("RGB", SQUARE, (90, 120, 150))
    written = plain.copy()
    add_caption(written, palette_for("pastel"), "a fox " * 100, MADE_BY)
    box = ImageChops.difference(plain, written).getbbox()
    assert box is not None
    assert box[1] > 0.8 * 512
    assert box[3] > 0.97 * 512


@pytest.mark.parametrize("level", [0, 64, 128, 192, 255])
@pytest.mark.parametrize("color", ["vibrant", "monochrome", "pastel", "neon", "vintage", "another"])
def test_the_text_can_be_read_on_any_picture(color: str, level: int) -> None:
    """Between text and veil the contrast is at least 4.5, as WCAG 2.2 asks (success criterion 1.4.3)."""
    picture = Image.new("RGB", SQUARE, (level, level, level))
    add_caption(picture, palette_for(color), "Heights of text", MADE_BY)
    band = picture.crop((0, 480, 200, 512)).convert("L").histogram()
    tones = [tone for tone, count in enumerate(band) if count > 20]
    light, dark = (_luminance(tone) for tone in (tones[-1], tones[0]))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def _luminance(tone: int) -> float:
    share = tone / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((16, 16), []), ((4096, 16), []), ((16, 4096), []), ((64, 64), []), ((64, 80), ["simulated"]), ((96, 40), [])],
)
def test_a_tiny_picture_has_as_much_as_fits(size: tuple[int, int], expected: list[str]) -> None:
    """The word alone, or nothing; the mark in the file says it in any case."""
    assert texts(size, "a fox") == expected


def test_names_of_any_length_are_cut() -> None:
    """The catalog may hold them; "simulated" stays first."""
    [line] = caption_lines(SQUARE, None, "x" * 1_500)
    assert line.text.startswith("simulated · xxx")
    assert line.text.endswith("…")
    assert line.font.getlength(line.text) <= SQUARE[0]
