"""Numbers, changes and dates in words."""

from datetime import UTC, datetime

import pytest
from markupsafe import Markup

from reporting import Window
from reporting.words import NOTHING, change, clean, duration, last_day, number, percentage, window_words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, NOTHING),
        (0, "0"),
        (999, "999"),
        (1_234_567, "1,234,567"),
        (12_345_678, "12.3M"),
        (1e9, "1,000.0M"),
        (1e15, "1,000,000.0B"),
    ],
)
def test_numbers(value: float | None, words: str) -> None:
    """All digits while they can be read."""
    assert number(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, NOTHING), (0, "0.0%"), (0.01, "<0.1%"), (66.666, "66.7%"), (99.99, ">99.9%"), (100, "100.0%")],
)
def test_percentages(value: float | None, words: str) -> None:
    """A rate that is not 0 or 100 never looks like it."""
    assert percentage(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, NOTHING),
        (0, "0 ms"),
        (0.04, "40 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (3.24, "3.2 s"),
        (120, "2.0 min"),
        (99_999, "27.8 h"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    """In the unit that reads best; a median of 40 ms is not "0.0 s"."""
    assert duration(seconds) == words.replace(" ", "\N{NO-BREAK SPACE}")


def test_changes() -> None:
    """The direction is a word, and there is a mood only if more is plainly better or worse."""
    assert change(150, 100, number) == ("up 50.0% from 100", "")
    assert change(5, 10, duration, better=-1) == ("down 50.0% from 10.0\N{NO-BREAK SPACE}s", "good")
    assert change(20, 10, duration, better=-1) == ("up 100.0% from 10.0\N{NO-BREAK SPACE}s", "bad")
    assert change(5, 0, number) == ("up from 0", "")
    assert change(5000, 10, number) == ("up 49,900.0% from 10", "")
    assert change(7, 7, number) == ("unchanged from 7", "")
    assert change(None, 10, number) == change(1, None, number) == ("", "")
    assert change(90, 95.5, percentage, better=1) == ("down 5.5 points from 95.5%", "bad")
    assert change(90.01, 90, percentage, better=1) == ("unchanged from 90.0%", "")


def test_windows() -> None:
    """Whole days by name, anything else to the minute; a week is named by its last day."""
    scheduled = Window(datetime(2026, 1, 5, tzinfo=UTC))
    assert window_words(scheduled) == "Mon 29 Dec 2025 to Sun 04 Jan 2026, UTC"
    manual = Window.ending_now(datetime(2026, 1, 5, 12, 30, 1, tzinfo=UTC))
    assert window_words(manual) == "29 Dec 2025 12:30 to 05 Jan 2026 12:30, UTC"
    assert window_words(None) == "Window not known"
    assert (last_day(scheduled), last_day(manual), last_day(None)) == ("Sun 04 Jan", "Mon 05 Jan", "a day not known")


def test_texts_are_cleaned_and_markup_is_not() -> None:
    """No control character, lone surrogate or bidi control is left; letters of any script are."""
    assert clean("a\u202eb\x00\x1b[31m\ud800\u2066\n") == "a�b��[31m���"
    assert clean("مرحبا 画 é <b>") == "مرحبا 画 é <b>"
    assert clean(5) == "5"
    assert clean(Markup("<b>\n</b>")) == "<b>\n</b>"
