"""Makes weekly reports and reads them back."""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import MAXYEAR, UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

import logs
from credits.documents import GENERATION_REQUESTS, GRANTS, REVOCATIONS, USERS, is_count
from errors import InvalidRequest
from reporting.detector import detect
from reporting.fold import FIELDS, MOVED_FIELDS, CreditsFold, DayFold, usage_of, with_moved
from reporting.report import MAX_FINDINGS, MAX_OUTSTANDING_CREDITS, Outstanding, Report, Week
from reporting.usage import Usage
from reporting.window import DAY, SCHEDULED_WEEKDAY, WEEK, Window, midnight, scheduled_windows
from schemas.fields import REPORT_ID
from store import NO_DEADLINE, REMOVED, Answer, Commit, Deadline, Document, Query, Store, Write

REPORTS = "reports"
HISTORY_WEEKS = 8
# The week before a manual report may overlap its window by a day, so that one made on a Sunday has a week before.
MIN_BASELINE_AGE = timedelta(days=6)
# How many days of requests are read side by side.
STREAMS = 4


class ReportPage(NamedTuple):
    """One page of reports, newest first; `last_id` is None on the last page."""

    reports: Sequence[Report]
    last_id: str | None


class Reports:
    """Makes and reads weekly reports. Raises Unavailable if Firestore does not answer in time."""

    def __init__(self, store: Store, streams: Store) -> None:
        """`store` answers people and gives up soon. `streams` reads a day's requests and has minutes."""
        self._store = store
        self._streams = streams

    def make(
        self, window: Window, now: datetime, deadline: Deadline = NO_DEADLINE, *, may_count_before: bool = True
    ) -> Report:
        """Counts the window's requests, compares them with the weeks before, and stores the report under its id.

        Made again for the same end it replaces the earlier report, and keeps what was announced of that and the credits
        outstanding, since they were read nearer to the end of the week.

        Args:
            window: the week.
            now: when this run started.
            deadline: of the counting.
            may_count_before: whether a week before without a report is counted too, to compare with.
        """
        outstanding = self._outstanding(window, now, deadline)
        usage = self._usage(window, deadline)
        previous_id, weeks = self._weeks_to_compare(window, deadline if may_count_before else None)
        findings = detect(usage, [week.usage for week in weeks])
        counted = weeks[0].usage if weeks and previous_id is None and weeks[0].window == window.before() else None
        stored = findings[:MAX_FINDINGS]
        made = Report(
            window.report_id, window, usage, stored, len(findings), previous_id, counted, now, outstanding, weeks=weeks
        )
        outcome, report = self._put(made)
        logs.info("report made", reportId=report.id, outcome=outcome, anomalies=report.finding_count)
        return report

    def due_before(self, window: Window) -> list[Window]:
        """The weeks before a scheduled one whose reports are to be made, oldest first; at most HISTORY_WEEKS back.

        Again, if a report counts requests that had not ended; at last, if the schedule did not run.
        """
        weeks = scheduled_windows(window.start, WEEK, HISTORY_WEEKS)
        made = {report.id: report for report in self._existing([week.report_id for week in weeks])}
        began = datetime.max.replace(tzinfo=UTC)
        # Started by hand on another day, no week of it was left out by the schedule.
        if len(made) < len(weeks) and window.end.weekday() == SCHEDULED_WEEKDAY:
            since = (("createdAt", ">=", weeks[-1].start),)
            first = self._store.query(Query(GENERATION_REQUESTS, since, order_by="createdAt", limit=1))
            began = min([began, *(request.fields["createdAt"] for request in first)])

        def is_due(week: Window) -> bool:
            report = made.get(week.report_id)
            return began < week.end if report is None else bool(report.usage.pending)

        return [week for week in reversed(weeks) if is_due(week)]

    def read(self, report_id: str | None, now: datetime) -> Report | None:
        """A stored report. Without an id: the one whose window ended last, otherwise the newest of an older form."""
        if report_id is not None:
            return next(iter(self._existing([report_id])), None)
        latest = self._store.query(_latest(now, 1))
        if latest:
            return Report.from_fields(latest[0].id, latest[0].fields)
        days = scheduled_windows(midnight(now), DAY, HISTORY_WEEKS * 7)
        return next(iter(self._existing([day.report_id for day in days])), None)

    def listed(self, page_size: int, after_id: str | None, now: datetime) -> ReportPage:
        """A page of the reports, newest first by the end of their weeks; older forms that lack it are not in it.

        Raises:
            InvalidRequest: there is no report `after_id`, the last one of the page before.
        """
        after = self._store.read_one(f"{REPORTS}/{after_id}") if after_id else None
        if after is not None and not isinstance(after.fields.get("windowEnd"), datetime):
            raise InvalidRequest.of_page_token()
        shown, last_id = self._store.page(_latest(now, page_size, after), page_size)
        reports = [Report.from_fields(each.id, each.fields) for each in shown if re.fullmatch(REPORT_ID, each.id)]
        for odd in {each.id for each in shown} - {report.id for report in reports}:
            logs.warn("report skipped", reportId=odd, problem="its id names no week")
        return ReportPage(reports, last_id)

    def weeks_before(self, report: Report) -> Sequence[Week]:
        """The weeks before a report's that are known, newest first: the one it was compared with, then those before."""
        if report.weeks is not None:
            return report.weeks
        compared = Window.of_id(report.previous_id or "") or (report.window and report.window.before())
        if compared is None:
            return []
        weeks = self._weeks(scheduled_windows(midnight(compared.end), WEEK, HISTORY_WEEKS))
        if weeks and weeks[0].window.end == compared.end:
            return weeks
        counted = None if report.previous_id else report.previous
        return [Week(compared, counted or Usage(None)), *weeks] if counted or weeks else []

    def week_after(self, report: Report) -> Window | None:
        """The next week, if it has a scheduled report; costs one read."""
        window = report.window
        # Somebody's hand can have stored a week at the end of time.
        if window is None or not window.scheduled or window.end.year >= MAXYEAR:
            return None
        after = Window(window.end + WEEK)
        return after if self._existing([after.report_id]) else None

    def remember_announced(
        self, report_id: str, alert_ids: Sequence[str], now: datetime, telling: Sequence[Write]
    ) -> None:
        """Notes in the stored report which alerts were announced, keeping what others noted, and tells of them.

        What tells of them is only created: if it is there, another run has announced the same.
        """
        note = Write(f"{REPORTS}/{report_id}", {"announced": dict.fromkeys(alert_ids, now)}, merges=True)

        def plan(found: Mapping[str, Document]) -> Commit[None]:
            new = [replace(write, merges=False) for write in telling if not found[write.path].exists]
            return Commit([note, *new], lambda versions: None)

        # Without a read at first: a conflict brings one.
        paths = [note.path, *(write.path for write in telling)]
        self._store.transact(paths, plan, known={path: Document(path, None, None) for path in paths})

    def _usage(self, window: Window, deadline: Deadline) -> Usage:
        """The window's requests, counted. They are read day by day, so that a stream that breaks costs one day."""

        def counted(bounds: tuple[datetime, datetime]) -> DayFold:
            start, end = bounds
            of_day = (("createdAt", ">=", start), ("createdAt", "<", end))
            query = Query(GENERATION_REQUESTS, of_day, order_by="createdAt")
            return self._streams.fold(query, FIELDS, partial(DayFold, f"{start:%Y-%m-%d}"), DayFold.add, deadline)

        def moved(collection: str) -> CreditsFold:
            in_window = (("timestamp", ">=", window.start), ("timestamp", "<", window.end))
            query = Query(collection, in_window, order_by="timestamp")
            return self._streams.fold(query, MOVED_FIELDS, CreditsFold, CreditsFold.add, deadline)

        with ThreadPoolExecutor(STREAMS) as threads:
            days = threads.map(counted, window.days())
            granted, revoked = threads.map(moved, (GRANTS, REVOCATIONS))
            return with_moved(usage_of(list(days)), granted, revoked)

    def _outstanding(self, window: Window, now: datetime, deadline: Deadline) -> Outstanding | None:
        """What all users together hold; None if the week ended long ago, or the sum is not a number of credits."""
        if now - window.end > DAY:
            return None
        # Leaves out what is not a balance: texts, NaN, infinity, numbers below 0.
        held = (("credits", ">", 0), ("credits", "<=", MAX_OUTSTANDING_CREDITS))
        credits = self._streams.sum(Query(USERS, held, order_by="credits"), "credits", deadline)
        if not is_count(credits, minimum=0):
            logs.warn("outstanding credits not known", reportId=window.report_id)
            return None
        return Outstanding(credits, now)

    def _weeks_to_compare(self, window: Window, deadline: Deadline | None) -> tuple[str | None, Sequence[Week]]:
        """The report of the week before, or None if that week has none; and the weeks before, newest first.

        Without a report that week is counted, if a deadline is given for it. A first week ever has none: a week
        without requests before it is not a week to compare with.
        """
        newest, step = (window.start, WEEK) if window.scheduled else (midnight(window.end - MIN_BASELINE_AGE), DAY)
        found = self._weeks(scheduled_windows(newest, step, HISTORY_WEEKS * (WEEK // step)))
        weeks = [week for week in found if not (found[0].window.end - week.window.end) % WEEK]
        if weeks and (weeks[0].window.end == window.start or not window.scheduled):
            return weeks[0].window.report_id, weeks
        if deadline is None:
            return None, weeks
        counted = self._usage(window.before(), deadline)
        return None, [Week(window.before(), counted), *weeks] if counted.total or weeks else []

    def _weeks(self, windows: Sequence[Window]) -> list[Week]:
        """The weeks that have a report that can be read."""
        by_id = {window.report_id: window for window in windows}
        weeks = []
        for report in self._existing(list(by_id)):
            if report.usage.problems:
                logs.warn("report skipped", reportId=report.id, problem=report.usage.problems[0])
            else:
                weeks.append(Week(by_id[report.id], report.usage))
        return weeks

    def _existing(self, report_ids: Sequence[str]) -> list[Report]:
        """Those of the reports that exist, in this order, in one round trip."""
        paths = [f"{REPORTS}/{report_id}" for report_id in report_ids]
        documents = self._store.read(paths) if paths else {}
        found = [documents[path] for path in paths]
        return [Report.from_fields(document.id, document.fields) for document in found if document.exists]

    def _put(self, report: Report) -> tuple[str, Report]:
        """Stores the report unless one made later is already there. Returns what is stored then."""
        path = f"{REPORTS}/{report.id}"

        def plan(documents: Mapping[str, Document]) -> Commit[tuple[str, Report]] | Answer[tuple[str, Report]]:
            document = documents[path]
            if not document.exists:
                return Commit([Write(path, report.to_fields())], lambda versions: ("stored", report))
            earlier = Report.from_fields(report.id, document.fields)
            if _is_newer(earlier, report):
                return Answer(("superseded", earlier))
            again = replace(report, announced=earlier.announced, outstanding=earlier.outstanding or report.outstanding)
            fields = again.to_fields()
            # What an older form had besides would not belong to this report.
            stale = dict.fromkeys(document.fields.keys() - fields.keys(), REMOVED)
            return Commit([Write(path, {**stale, **fields}, document.version)], lambda versions: ("replaced", again))

        return self._store.transact([path], plan)


def _latest(now: datetime, limit: int, after: Document | None = None) -> Query:
    """The reports whose windows ended last."""
    # The bound leaves out what somebody stored as a text, which sorts after every time, or far in the future.
    timely = (("windowEnd", "<=", now + DAY),)
    return Query(REPORTS, timely, order_by="windowEnd", descending=True, after=after, limit=limit)


def _is_newer(stored: Report, made: Report) -> bool:
    """Whether the stored report is of a run that started later. A time a day ahead was stored by hand."""
    started, other = made.generated_at, stored.generated_at
    return started is not None and other is not None and timedelta() < other - started < DAY
