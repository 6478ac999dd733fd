"""The page's words: numbers, changes and windows as a reader sees them."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from markupsafe import Markup

from reporting.window import Window, midnight

NOTHING = "\N{EN DASH}"
_SPACE = "\N{NO-BREAK SPACE}"
# Control characters, lone surrogates, and what would reorder the text around a name:
# https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(value: Any) -> Any:
    """A text without the characters that can upset the text around it; markup as it is."""
    return value if isinstance(value, Markup) else _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", str(value))


def number(value: float | None) -> str:
    """All digits up to ten million."""
    if value is None:
        return NOTHING
    if value < 1e7:
        return f"{value:,.0f}"
    return f"{value / 1e6:,.1f}M" if value < 1e10 else f"{value / 1e9:,.1f}B"


def percentage(value: float | None) -> str:
    """One decimal, and 0 or 100 only if it is exactly that."""
    if value is None:
        return NOTHING
    return "<0.1%" if 0 < value < 0.05 else ">99.9%" if 99.95 <= value < 100 else f"{value:,.1f}%"


def duration(seconds: float | None) -> str:
    """In the unit that reads best."""
    if seconds is None:
        return NOTHING
    if seconds < 99.5:
        return f"{1000 * seconds:.0f}{_SPACE}ms" if seconds < 0.9995 else f"{seconds:.1f}{_SPACE}s"
    return f"{seconds / 60:.1f}{_SPACE}min" if seconds < 5970 else f"{seconds / 3600:,.1f}{_SPACE}h"


def change(
    now: float | None, before: float | None, show: Callable[[float | None], str], better: int = 0
) -> tuple[str, str]:
    """What changed since the week before, and its mood. `better` is 1 if more is good, -1 if it is bad."""
    if now is None or before is None:
        return "", ""
    if show(now) == show(before):
        return f"unchanged from {show(before)}", ""
    direction, mood = ("up", better) if now > before else ("down", -better)
    if show is percentage:
        direction += f" {abs(now - before):.1f} points"
    elif before:
        direction += f" {percentage(100 * abs(now / before - 1))}"
    return f"{direction} from {show(before)}", {1: "good", -1: "bad"}.get(mood, "")


def last_day(window: Window | None) -> str:
    """The last day of a week, which names it."""
    return f"{window.end - timedelta(microseconds=1):%a %d %b}" if window else "a day not known"


def window_words(window: Window | None) -> str:
    """Whole days by their names, anything else to the minute."""
    if window is None:
        return "Window not known"
    if window.end == midnight(window.end):
        return f"{window.start:%a %d %b %Y} to {window.end - timedelta(days=1):%a %d %b %Y}, UTC"
    return f"{window.start:%d %b %Y %H:%M} to {window.end:%d %b %Y %H:%M}, UTC"
