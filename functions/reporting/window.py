"""The week that a report is about, and the report's id."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from reporting import stored
from schemas.fields import REPORT_ID

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
# The day of the schedule in main.py, as datetime.weekday() counts it: Monday.
SCHEDULED_WEEKDAY = 0


@dataclass(frozen=True, slots=True)
class Window:
    """Seven days in UTC, up to but not including `end`. A scheduled window ends at midnight."""

    end: datetime
    scheduled: bool = True

    @classmethod
    def of_schedule(cls, schedule_time: datetime) -> "Window":
        """The window that ends on the schedule time's day, so that a late retry means the same week."""
        return cls(midnight(schedule_time.astimezone(UTC)))

    @classmethod
    def ending_now(cls, now: datetime) -> "Window":
        """The window that ends now: it includes what was bought a moment ago."""
        return cls(now.astimezone(UTC), scheduled=False)

    @classmethod
    def of_id(cls, report_id: str) -> "Window | None":
        """The window that a report's id names, to the day or to the second; None if it names none."""
        match = re.fullmatch(REPORT_ID, report_id)
        end = stored.moment(match[1] + (match[2] or "T000000Z")) if match else None
        # Earlier years leave no room for the weeks before.
        return cls(end, match[2] is None) if match and end and end.year >= 1970 else None

    @property
    def start(self) -> datetime:
        return self.end - WEEK

    @property
    def report_id(self) -> str:
        return f"report_{self.end:%Y-%m-%d}" if self.scheduled else f"report_{self.end:%Y-%m-%dT%H%M%SZ}"

    def before(self) -> "Window":
        """The seven days before these."""
        return Window(self.start, self.scheduled)

    def days(self) -> list[tuple[datetime, datetime]]:
        """The window cut at each midnight."""
        first = midnight(self.start)
        midnights = [first + number * DAY for number in range(1, 8)]
        cuts = [self.start, *(cut for cut in midnights if self.start < cut < self.end), self.end]
        return list(pairwise(cuts))


def scheduled_windows(newest_end: datetime, step: timedelta, count: int) -> list[Window]:
    """Windows that scheduled reports may have, newest first."""
    return [Window(newest_end - number * step) for number in range(count)]


def midnight(moment: datetime) -> datetime:
    """The start of the moment's day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
