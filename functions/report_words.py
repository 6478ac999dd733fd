"""The page's words: numbers, names, changes and dates as a reader sees them."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

MAX_SHOWN = 22
NOTHING = "\N{EN DASH}"

_LARGEST_EXACT = 1e7
_SUFFIXES = ((1e3, "k"), (1e6, "M"), (1e9, "B"), (1e12, "T"))
# They would reorder the text around a name: https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Name:
    """A name as shown; `full` only where that is not all of it."""

    shown: str
    full: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Against the week before, empty where there is nothing to compare; mood is good, bad or neutral."""

    direction: str = ""
    text: str = ""
    mood: str = "neutral"


def clean(value: Any) -> str:
    """Text that cannot upset the text around it: no control characters, lone surrogates or bidi controls."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if character in _BIDI_CONTROLS or unicodedata.category(character) in ("Cc", "Cs")
        else character
        for character in str(value)
    )


def exact(value: float | None) -> str:
    """All of a number's digits, where they are few enough to be read."""
    if value is None:
        return NOTHING
    return compact(value) if value >= 1e15 else f"{value:,.{0 if value == int(value) else 2}f}"


def compact(value: float) -> str:
    """At most three digits, with k, M, B or T."""
    if value < 1e3:
        return f"{value:.3g}" if value < 999.5 else "1k"
    for unit, suffix in _SUFFIXES:
        if value < unit * 999.5:
            return f"{value / unit:.3g}{suffix}"
    return f"{value:.0e}"


def figure(value: float | None) -> str:
    """A headline's number: exact up to ten million."""
    return exact(value) if value is None or value < _LARGEST_EXACT else compact(value)


def percent(value: float | None) -> str:
    """One decimal, and never 0 or 100 for what is not."""
    if value is None:
        return NOTHING
    if 0 < value < 0.05:
        return "<0.1%"
    if 99.95 <= value < 100:
        return ">99.9%"
    return f"{value:.1f}%"


def duration(seconds: float | None) -> str:
    """Seconds, or minutes or hours where those read better."""
    if seconds is None:
        return NOTHING
    if seconds < 99.5:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5970 else f"{compact(seconds / 3600)} h"


def shorten(text: str, width: int = MAX_SHOWN) -> Name:
    """Cuts a name to a width in Latin letters; East Asian letters count twice."""
    if not text.strip():
        return Name("(no name)")
    used = 0
    for position, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > width:
            return Name(text[:position].rstrip() + "…", text)
    return Name(text)


def relative_change(now: float | None, before: float | None, show: Callable[[float], str], more_is: str) -> Change:
    """How much more or less than before, in percent; `more_is` is good, bad or neutral."""
    if now is None or before is None:
        return Change()
    if now == before:
        return Change("", f"unchanged from {show(before)}")
    if not before:
        return Change("up", f"from {show(before)}", more_is)
    ratio = now / before
    amount = f"{compact(ratio)}\N{MULTIPLICATION SIGN}" if ratio >= 10 else percent(100 * abs(ratio - 1))
    return _moved(now > before, f"{amount} from {show(before)}", more_is)


def points_change(now: float | None, before: float | None) -> Change:
    """How many percentage points a rate moved, where more is good."""
    if now is None or before is None:
        return Change()
    if abs(now - before) < 0.05:
        return Change("", f"unchanged from {percent(before)}")
    return _moved(now > before, f"{abs(now - before):.1f} points from {percent(before)}", "good")


def _moved(up: bool, text: str, more_is: str) -> Change:
    mood = more_is if up else {"good": "bad", "bad": "good"}.get(more_is, "neutral")
    return Change("up" if up else "down", text, mood)


def window_words(start: datetime | None, end: datetime | None) -> str:
    """Whole days by their names, anything else to the minute."""
    if not start or not end:
        return "Window not known"
    if start.time() == end.time() == time(0) and start < end:
        last = end - timedelta(days=1)
        return f"{day_words(start, year=start.year != last.year)} to {day_words(last, year=True)}, UTC"
    return f"{start:%d %b %Y %H:%M} to {end:%d %b %Y %H:%M} UTC"


def day_words(day: date, *, year: bool = False) -> str:
    """As in "Mon 17 Nov"."""
    return f"{day:%a} {day.day} {day:%b}{f' {day.year}' if year else ''}"
