"""What the two reporting functions do."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import logs
from events import Outbox
from reporting import alerts, page
from reporting.report import Report
from reporting.reports import ReportPage, Reports
from reporting.window import Window
from store import Deadline

# Of the run's time-out. The rest is for the week itself.
CATCH_UP_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Reporting:
    """Makes, announces, reads and shows weekly reports.

    A critical finding is announced: one error event in the log, and one event for the outbox, which is stored once, in
    the commit that notes in the report what was announced. Only the line in the log may come twice, with the same
    alert id, if a run breaks off before that commit. Every method raises Unavailable if Firestore does not answer in
    time.
    """

    reports: Reports
    outbox: Outbox
    clock: Callable[[], datetime]
    catch_up_seconds: float = CATCH_UP_SECONDS

    def make_scheduled(self, schedule_time: datetime) -> Report:
        """Makes and announces the report of the week that ended on the schedule's day, and earlier ones that are due.

        So in the end each request is counted, with its outcome, in the report of one week.
        """
        window = Window.of_schedule(schedule_time)
        # First: this week is compared with them.
        is_caught_up = self._catch_up(window)
        return self._announced(self.reports.make(window, self.clock(), may_count_before=is_caught_up))

    def make_now(self) -> Report:
        """Makes and announces the report of the seven days that end now."""
        now = self.clock()
        return self._announced(self.reports.make(Window.ending_now(now), now))

    def read(self, report_id: str | None) -> Report | None:
        """A stored report; the latest if no id is given."""
        return self.reports.read(report_id, self.clock())

    def listed(self, page_size: int, after_id: str | None) -> ReportPage:
        """A page of the stored reports, newest first.

        Raises:
            InvalidRequest: there is no report `after_id`.
        """
        return self.reports.listed(page_size, after_id, self.clock())

    def page(self, report: Report) -> str:
        """The report as one HTML page, with links to the weeks before and after."""
        return page.render(report, self.reports.weeks_before(report), self.reports.week_after(report))

    @property
    def page_style_source(self) -> str:
        """The hash of the page's styles, as a Content-Security-Policy names them."""
        return page.style_source()

    def _catch_up(self, window: Window) -> bool:
        """Makes the reports before this window's that are due; whether all were made.

        What fails is left to the run of the next week.
        """
        deadline, is_caught_up = Deadline.after(self.catch_up_seconds), True
        for week in self.reports.due_before(window):
            try:
                self._announced(self.reports.make(week, self.clock(), deadline))
            # The boundary of one week: an error in it must not keep the others from being made.
            except Exception as error:  # noqa: BLE001
                logs.error("earlier report not made", reportId=week.report_id, places=logs.places(error))
                is_caught_up = False
        return is_caught_up

    def _announced(self, report: Report) -> Report:
        new = report.unannounced()
        if not new:
            return report
        alerts.log(report.id, new)
        event, now = alerts.event(report.id, new), self.clock()
        self.reports.remember_announced(report.id, list(new), now, self.outbox.writes(event))
        self.outbox.send(event)
        return replace(report, announced={**(report.announced or {}), **dict.fromkeys(new, now)})
