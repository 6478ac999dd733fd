"""The week that a report is about."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from reporting import Window


@pytest.mark.parametrize(
    ("schedule_time", "report_id", "start"),
    [
        ("2026-11-23T00:20:00+00:00", "report_2026-11-23", "2026-11-16"),
        ("2026-11-23T05:30:00+00:00", "report_2026-11-23", "2026-11-16"),
        ("2026-11-23T01:00:00+02:00", "report_2026-11-22", "2026-11-15"),
        ("2028-03-06T00:00:00+00:00", "report_2028-03-06", "2028-02-28"),
    ],
)
def test_a_scheduled_window_ends_at_midnight(schedule_time: str, report_id: str, start: str) -> None:
    """Of the schedule time's day in UTC, at any hour of a retry; February 29 is a day."""
    window = Window.of_schedule(datetime.fromisoformat(schedule_time))
    assert (window.report_id, f"{window.start:%Y-%m-%d}") == (report_id, start)
    assert len(window.days()) == 7


def test_a_manual_window_ends_now() -> None:
    """To the microsecond, in eight pieces of UTC days, under an id that names the second."""
    now = datetime(2026, 11, 23, 15, 4, 5, 999, tzinfo=UTC)
    window = Window.ending_now(now)
    assert (window.report_id, window.end, window.start) == ("report_2026-11-23T150405Z", now, now - timedelta(days=7))
    days = window.days()
    assert (days[0][0], days[-1][1], len(days)) == (window.start, window.end, 8)
    assert all(before[1] == after[0] for before, after in pairwise(days))


@pytest.mark.parametrize(
    "window", [Window(datetime(2026, 11, 23, tzinfo=UTC)), Window(datetime(2026, 11, 23, 15, 4, 5, tzinfo=UTC), False)]
)
def test_an_id_names_its_window(window: Window) -> None:
    """The id of a scheduled and of a manual window gives the window back."""
    assert Window.of_id(window.report_id) == window


@pytest.mark.parametrize(
    "report_id", ["", "x", "report_2026-02-30", "report_2026-11-23T996161Z", "report_1969-01-01", "report_2026-11-23\n"]
)
def test_any_other_id_names_none(report_id: str) -> None:
    """Dates that do not exist, years without weeks before, and other texts."""
    assert Window.of_id(report_id) is None
