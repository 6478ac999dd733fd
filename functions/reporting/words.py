"""The page's words: numbers, changes, weeks and reasons as a reader sees them."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from markupsafe import Markup

from credits import documents
from reporting.usage import OTHERS, UNKNOWN
from reporting.window import Window, midnight

NOTHING = "\N{EN DASH}"
# More than so many times as much is not said in percent.
MAX_RATIO = 3
# Why a request failed, by the code that is stored.
REASONS = {
    documents.PROVIDER_BUSY: "The provider was busy",
    documents.REFUSED_CONTENT: "The provider refused the content",
    documents.TIMED_OUT: "The picture took too long",
    documents.PROVIDER_FAILED: "The provider failed",
    documents.GENERATION_FAILED: "The picture could not be made",
    documents.STORAGE_FAILED: "The picture could not be kept",
    documents.LEASE_EXPIRED: "It broke off before it was done",
    documents.ACCOUNT_DELETED: "The account was deleted",
}
# Names that a report gives itself.
OPTIONS = {UNKNOWN: "not recorded", OTHERS: "all others"}
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


def change(now: float | None, before: float | None, show: Callable[[float | None], str]) -> str:
    """What changed since the week before; nothing if one of them is not known. Whether it matters, a finding says."""
    if now is None or before is None:
        return ""
    if show(now) == show(before):
        return "unchanged"
    direction = "up" if now > before else "down"
    if show is percentage:
        direction += f" {abs(now - before):.1f} points"
    # Beyond these, a percentage says less than the two numbers.
    elif now and now < MAX_RATIO * before:
        direction += f" {percentage(100 * abs(now / before - 1))}"
    return f"{direction} from {show(before)}"


def part(count: int, whole: int) -> str:
    """As in "4 of 6"."""
    return f"{number(count)} of {number(whole)}"


def reason(code: str) -> str:
    """Why a request failed; a code that is not known here as it is."""
    return REASONS.get(code) or (option(code).capitalize() if code in OPTIONS else code)


def option(name: str) -> str:
    """A model, style, color or size as it is called."""
    return OPTIONS.get(name, name)


def week_name(window: Window | None) -> str:
    """The week by its own first and last day."""
    if window is None:
        return "Week not known"
    first, last = window.start, window.end - timedelta(microseconds=1)
    begins = f"{first.day}"
    if (first.year, first.month) != (last.year, last.month):
        begins = f"{first.day} {first:%b}" if first.year == last.year else f"{first.day} {first:%b %Y}"
    return f"{begins} {NOTHING} {last.day} {last:%b %Y}"


def window_words(window: Window | None) -> str:
    """Whole days by their names, anything else to the minute."""
    if window is None:
        return "Window not known"
    if window.end == midnight(window.end):
        return f"{window.start:%a %d %b %Y} to {window.end - timedelta(days=1):%a %d %b %Y}, UTC"
    return f"{window.start:%d %b %Y %H:%M} to {window.end:%d %b %Y %H:%M}, UTC"
