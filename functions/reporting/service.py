"""What the two reporting functions do."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import logs
from errors import Unavailable
from reporting import alerts, page
from reporting.report import Report
from reporting.reports import Reports
from reporting.window import Window


@dataclass(frozen=True, slots=True)
class Reporting:
    """Makes, announces, reads and shows weekly reports.

    A critical finding is announced at least once. The stored report says what was announced, so a schedule that is
    delivered again announces nothing again. Twice, with the same alert id, is only possible if a delivery breaks off
    between announcing and storing that, if two overlap in this moment, or if the webhook failed. Every method raises
    Unavailable if Firestore does not answer in time.
    """

    reports: Reports
    webhook_url: str
    clock: Callable[[], datetime]
    post: alerts.Post = alerts.post_json

    def make_scheduled(self, schedule_time: datetime) -> Report:
        """Makes and announces the report of the week that ended on the schedule's day."""
        return self._announced(self.reports.make(Window.of_schedule(schedule_time), self.clock()))

    def make_now(self) -> Report:
        """Makes and announces the report of the seven days that end now."""
        now = self.clock()
        return self._announced(self.reports.make(Window.ending_now(now), now))

    def read(self, report_id: str | None) -> Report | None:
        """A stored report; the latest if no id is given."""
        return self.reports.read(report_id, self.clock())

    def page(self, report: Report) -> str:
        """The report as one HTML page."""
        return page.render(report, self.reports.weeks_before(report))

    def _announced(self, report: Report) -> Report:
        new = report.unannounced()
        if not new or not alerts.announce(report.id, new, self.webhook_url, self.post):
            return report
        now = self.clock()
        try:
            self.reports.remember_announced(report.id, list(new), now)
        except Unavailable:
            # With an error the schedule would be delivered again, and everything announced again.
            logs.warn("announcement not stored", reportId=report.id)
            return report
        return replace(report, announced={**(report.announced or {}), **dict.fromkeys(new, now)})
