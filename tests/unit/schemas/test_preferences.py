"""The Prefer header, as RFC 7240 writes it."""

import pytest

from schemas.preferences import WaitPreference, parse_prefer


@pytest.mark.parametrize(
    ("header", "seconds", "applied"),
    [
        ("respond-async", 0, "respond-async"),
        ("Respond-Async", 0, "respond-async"),
        ("wait=10", 10, "wait=10"),
        ("respond-async, wait=10", 10, "respond-async, wait=10"),
        ("respond-async,wait=10", 10, "respond-async, wait=10"),
        ("wait = 10 ; x=1, return=minimal", 10, "wait=10"),
        ('foo="a, wait=3", respond-async', 0, "respond-async"),
        ('wait="5"', 5, "wait=5"),
        ("wait=99999999999", 99999999999, "wait=99999999999"),
        ("wait=1, wait=9", 1, "wait=1"),
        ("respond-async, wait=soon", 0, "respond-async"),
    ],
)
def test_a_client_says_how_long_it_waits(header: str, seconds: int, applied: str) -> None:
    """Names in any case, spaces, parameters and unknown preferences are allowed; the first of each name counts."""
    assert parse_prefer(header) == WaitPreference(seconds, applied)


@pytest.mark.parametrize(
    "header", [None, "", "return=minimal", "wait", "wait=", "wait=-1", "wait=1.5", "wait=٣", ",,;="]
)
def test_other_preferences_change_nothing(header: str | None) -> None:
    """What cannot be read is ignored, as the RFC asks."""
    assert parse_prefer(header) is None
