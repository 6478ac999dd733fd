"""Numbers, changes and dates in words."""

from datetime import UTC, datetime

import pytest
from markupsafe import Markup

from credits import documents
from reporting import Window
from reporting.words import (
    NOTHING,
    REASONS,
    change,
    clean,
    duration,
    number,
    option,
    part,
    percentage,
    reason,
    week_name,
    window_words,
)


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
    """Numbers have all their digits below 10 million, and a unit above."""
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
    """The direction is a word; a percentage is said while it says more than the numbers."""
    assert change(150, 100, number) == "up 50.0% from 100"
    assert change(5, 10, duration) == "down 50.0% from 10.0\N{NO-BREAK SPACE}s"
    assert change(29, 10, number) == "up 190.0% from 10"
    assert change(30, 10, number) == "up from 10"
    assert change(5, 0, number) == "up from 0"
    assert change(0, 5, number) == "down from 5"
    assert change(7, 7, number) == "unchanged"
    assert change(None, 10, number) == change(1, None, number) == ""
    assert change(90, 95.5, percentage) == "down 5.5 points from 95.5%"
    assert change(90.01, 90, percentage) == "unchanged"


def test_parts() -> None:
    """A part of a whole is written with both numbers, each as numbers are elsewhere."""
    assert part(4, 6) == "4 of 6"
    assert part(1_234, 20_000_000) == "1,234 of 20.0M"


FAILURES = [
    value
    for name, value in vars(documents).items()
    if name == value and name not in ("PENDING", "COMPLETED", "FAILED") and isinstance(value, str)
]


def test_reasons_are_words() -> None:
    """Every code that the ledger knows; another one is shown as it is, whatever it is."""
    assert "PROVIDER_BUSY" in FAILURES
    assert {*FAILURES} <= {*REASONS}
    assert reason("PROVIDER_BUSY") == "The provider was busy"
    assert not [words for words in REASONS.values() if "_" in words or words.isupper()]
    assert reason("SOMETHING_ELSE") == "SOMETHING_ELSE"
    assert (reason("unknown"), reason("other")) == ("Not recorded", "All others")
    assert (option("unknown"), option("other"), option("anime")) == ("not recorded", "all others", "anime")


def test_windows() -> None:
    """Whole days by name, anything else to the minute."""
    scheduled = Window(datetime(2026, 1, 5, tzinfo=UTC))
    assert window_words(scheduled) == "Mon 29 Dec 2025 to Sun 04 Jan 2026, UTC"
    manual = Window.ending_now(datetime(2026, 1, 5, 12, 30, 1, tzinfo=UTC))
    assert window_words(manual) == "29 Dec 2025 12:30 to 05 Jan 2026 12:30, UTC"
    assert window_words(None) == "Window not known"


@pytest.mark.parametrize(
    ("window", "name"),
    [
        (Window(datetime(2026, 11, 23, tzinfo=UTC)), "16 - 22 Nov 2026"),
        (Window(datetime(2026, 10, 5, tzinfo=UTC)), "28 Sep - 4 Oct 2026"),
        (Window(datetime(2026, 1, 5, tzinfo=UTC)), "29 Dec 2025 - 4 Jan 2026"),
        (Window.ending_now(datetime(2026, 11, 25, 12, 30, tzinfo=UTC)), "18 - 25 Nov 2026"),
        (None, "Week not known"),
    ],
)
def test_a_week_is_named_by_its_own_days(window: Window | None, name: str) -> None:
    """The first and the last of them, with no more months and years than it takes."""
    assert week_name(window) == name.replace("-", NOTHING)


def test_texts_are_cleaned_and_markup_is_not() -> None:
    """No control character, lone surrogate or bidi control is left; letters of any script are."""
    assert clean("a\u202eb\x00\x1b[31m\ud800\u2066\n") == "a�b��[31m���"
    assert clean("مرحبا 画 é <b>") == "مرحبا 画 é <b>"
    assert clean(5) == "5"
    assert clean(Markup("<b>\n</b>")) == "<b>\n</b>"
