"""What is announced, and that it is announced once."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from grpc import StatusCode

from errors import Unavailable
from events import Silent
from reporting import Reporting
from reporting.words import NOTHING
from store import StoreError
from tests.support.queues import ListQueue
from tests.unit.reporting.helpers import END, Shop
from tests.unit.store.helpers import impatient
from webhooks import Deliveries, Receiver
from webhooks.documents import REPORTS

SCHEDULE = END + timedelta(minutes=20)


class Desk:
    """A shop with an outage, and all that was stored to be told and enqueued."""

    def __init__(self) -> None:
        self.shop = Shop()
        self.shop.put(500, created=END - timedelta(days=10))
        self.queue = ListQueue()
        self.deliveries = Deliveries(self.shop.store, self.queue, {REPORTS: Receiver("https://example.com/hook", "")})
        self.reporting = Reporting(self.shop.reports, self.deliveries.outbox(REPORTS), self.shop.clock)

    def told(self) -> list[Mapping[str, Any]]:
        """What each delivery tells, oldest first."""
        stored = [
            fields for path, fields in self.shop.store.everything().items() if path.startswith("webhookDeliveries/")
        ]
        return [fields["data"] for fields in sorted(stored, key=lambda fields: fields["createdAt"])]

    def alert_ids(self) -> list[list[str]]:
        return [[anomaly["id"] for anomaly in data["anomalies"]] for data in self.told()]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_schedule_that_is_delivered_again_announces_nothing_again(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stored report remembers what was announced, and when; it is kept when the report is made again."""
    first = desk.reporting.make_scheduled(SCHEDULE)
    desk.shop.clock.now += timedelta(minutes=5)
    again = desk.reporting.make_scheduled(SCHEDULE)
    ((alert_id,),) = desk.alert_ids()
    assert alert_id.startswith("report_2026-11-23-")
    assert capsys.readouterr().err.count("report anomaly") == 1
    assert desk.shop.stored()["announced"] == first.announced == again.announced == {alert_id: SCHEDULE}
    assert desk.shop.stored() == again.to_fields()


def test_what_is_new_in_a_report_made_again_is_announced(desk: Desk) -> None:
    """Only that: here a late failure of everything, after an outage."""
    desk.reporting.make_scheduled(SCHEDULE)
    desk.shop.put(300, status="failed")
    desk.reporting.make_scheduled(SCHEDULE)
    (outage,), others = desk.alert_ids()
    assert others
    assert outage not in others
    assert {*desk.shop.stored()["announced"]} == {outage, *others}


@pytest.mark.parametrize(
    ("hook", "once_stored"), [("before_rpc", "reports/report_2026-11-23"), ("after_rpc", "webhookDeliveries/")]
)
def test_a_crash_while_announcing_announces_once(desk: Desk, hook: str, once_stored: str) -> None:
    """The note in the report and the delivery are one commit: both are there, or neither."""

    def crash(name: str) -> None:
        if name == "Commit" and any(path.startswith(once_stored) for path in desk.shop.store.everything()):
            raise KeyboardInterrupt

    setattr(desk.shop.store, hook, crash)
    with pytest.raises(KeyboardInterrupt):
        desk.reporting.make_scheduled(SCHEDULE)
    setattr(desk.shop.store, hook, lambda name: None)
    desk.reporting.make_scheduled(SCHEDULE)
    desk.reporting.make_scheduled(SCHEDULE)
    assert len(desk.told()) == 1


def test_what_was_told_already_is_not_told_again(desk: Desk) -> None:
    """Even if the note in the report is lost: the delivery is there, and stays as it is."""
    desk.reporting.make_scheduled(SCHEDULE)
    (path,) = (path for path in desk.shop.store.everything() if path.startswith("webhookDeliveries/"))
    desk.shop.store.put(path, {**desk.shop.store.everything()[path], "status": "delivered"})
    desk.shop.store.put("reports/report_2026-11-23", {**desk.shop.stored(), "announced": {}})
    desk.reporting.make_scheduled(SCHEDULE)
    assert desk.shop.store.everything()[path]["status"] == "delivered"
    assert len(desk.shop.stored()["announced"]) == 1


def test_a_delivery_during_another_one_keeps_what_that_announced(desk: Desk) -> None:
    """It has read the report before the other notes its alerts: the conflict makes it read again."""
    other = Reporting(desk.shop.reports, Silent(), desk.shop.clock)
    waiting = [True]

    def other_delivery(name: str) -> None:
        if name == "Commit" and waiting and desk.shop.store.everything().get("reports/report_2026-11-23"):
            waiting.clear()
            other.make_scheduled(SCHEDULE)

    other.make_scheduled(SCHEDULE)
    desk.shop.store.put("reports/report_2026-11-23", {**desk.shop.stored(), "announced": {}})
    desk.shop.store.before_rpc = other_delivery
    desk.reporting.make_scheduled(SCHEDULE)
    assert not waiting
    assert desk.told() == []
    assert len(desk.shop.stored()["announced"]) == 1


def test_without_a_webhook_findings_are_logged_and_remembered(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """One error event each, with the alert's id."""
    reporting = Reporting(desk.shop.reports, Silent(), desk.shop.clock)
    for _ in range(2):
        reporting.make_scheduled(SCHEDULE)
    (event,) = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "report anomaly" in line]
    assert (event["severity"], event["reportId"]) == ("ERROR", "report_2026-11-23")
    assert event["id"] == event["finding"]["id"] == next(iter(desk.shop.stored()["announced"]))
    assert event["finding"]["kind"] == "outage"


def test_firestore_away_while_announcing_is_an_error(desk: Desk) -> None:
    """The schedule is delivered again, and announces then."""
    desk.shop.store._policy = impatient()

    def away(name: str) -> None:
        if name == "Commit" and "reports/report_2026-11-23" in desk.shop.store.everything():
            raise StoreError(StatusCode.UNAVAILABLE)

    desk.shop.store.before_rpc = away
    with pytest.raises(Unavailable):
        desk.reporting.make_scheduled(SCHEDULE)
    desk.shop.store.before_rpc = lambda name: None
    desk.reporting.make_scheduled(SCHEDULE)
    assert len(desk.told()) == len(desk.queue.tasks) == 1


def test_a_manual_report_is_announced_too_and_reads_its_own_document_once(desk: Desk) -> None:
    """To note what was announced takes no further read."""
    report = desk.reporting.make_now()
    assert len(desk.told()) == len(desk.queue.tasks) == 1
    assert desk.shop.store.reads.count(f"reports/{report.id}") == 1
    read = desk.reporting.read(report.id)
    assert read is not None
    assert read.fields == report.fields


# --- The page ---


def linked(reporting: Reporting, report_id: str) -> list[str]:
    """The reports that a report's page leads to."""
    report = reporting.read(report_id)
    assert report is not None
    return re.findall(r'href="\?reportId=([^&"]*)&amp;format=html"', reporting.page(report))


def test_a_page_leads_to_the_weeks_beside_it(desk: Desk) -> None:
    """If they have a report; a manual report leads to the week it was compared with."""
    for weeks_ago in (3, 1, 0):
        desk.shop.make(END - timedelta(days=7 * weeks_ago))
    now, oldest, gap, newest = (f"report_2026-{day}" for day in ("11-23T002000Z", "11-02", "11-16", "11-23"))
    desk.reporting.make_now()
    assert linked(desk.reporting, oldest) == []
    assert linked(desk.reporting, gap) == [oldest, newest]
    assert linked(desk.reporting, newest) == [gap]
    assert linked(desk.reporting, now) == [gap]


def test_a_page_reads_nine_reports_beside_its_own(desk: Desk) -> None:
    """The eight weeks before it, and the week after."""
    desk.shop.make()
    report = desk.reporting.read("report_2026-11-23")
    assert report is not None
    desk.shop.store.reads.clear()
    desk.shop.store.queries.clear()
    desk.reporting.page(report)
    assert len(desk.shop.store.reads) == len({*desk.shop.store.reads}) == 9
    assert desk.shop.store.queries == []


# --- Earlier weeks ---

NEXT_SCHEDULE = SCHEDULE + timedelta(days=7)


def test_the_week_before_is_made_again_if_requests_were_in_flight(desk: Desk) -> None:
    """In place, without announcing anything twice; this week is compared with what became of it."""
    desk.shop.put(40)
    desk.shop.put(1, created=END - timedelta(seconds=5), cost=8, status="pending")
    desk.reporting.make_scheduled(SCHEDULE)
    first, announced = desk.shop.stored(), desk.alert_ids()
    desk.shop.end_pending()
    desk.shop.clock.now = NEXT_SCHEDULE
    report = desk.reporting.make_scheduled(NEXT_SCHEDULE)
    again = desk.shop.stored()
    assert [(each["totalPending"], each["totalCreditsSpent"]) for each in (first, again)] == [(1, 40), (0, 48)]
    assert first["announced"] == again["announced"] == {announced[0][0]: SCHEDULE}
    assert report.weeks is not None
    assert report.weeks[0].usage.credits_spent == 48
    # The second is the outage of the week without any request.
    assert [ids[0][:17] for ids in desk.alert_ids()] == ["report_2026-11-23", "report_2026-11-30"]


def test_weeks_without_a_schedule_are_made_up_for(desk: Desk) -> None:
    """Oldest first, from the first request on; weeks before it have no report."""
    desk.shop.put(3)
    desk.shop.clock.now = NEXT_SCHEDULE + timedelta(days=7)
    desk.reporting.make_scheduled(desk.shop.clock.now)
    made = [path for path in desk.shop.store.everything() if path.startswith("reports/")]
    assert made == [f"reports/report_2026-{day}" for day in ("11-16", "11-23", "11-30", "12-07")]
    assert desk.shop.stored("report_2026-12-07")["previousReportId"] == "report_2026-11-30"


def test_a_week_is_made_up_for_at_most_eight_weeks_later(desk: Desk) -> None:
    """So that a request that never ends is not counted anew for ever."""
    desk.shop.put(1, status="pending")
    for weeks in range(10):
        desk.shop.clock.now = SCHEDULE + weeks * timedelta(days=7)
        desk.reporting.make_scheduled(desk.shop.clock.now)
    assert desk.shop.stored()["generatedAt"] == SCHEDULE + 8 * timedelta(days=7)


def test_a_run_by_hand_on_another_day_makes_up_for_no_week(desk: Desk) -> None:
    """Its weeks begin on that day. One that it made before, while requests were in flight, it makes again."""
    wednesday = SCHEDULE - timedelta(days=5)
    desk.shop.put(1, created=wednesday - timedelta(days=1), status="pending")
    desk.shop.clock.now = wednesday
    assert desk.reporting.make_scheduled(wednesday).usage.pending == 1
    desk.shop.end_pending()
    desk.shop.clock.now += timedelta(days=7)
    desk.reporting.make_scheduled(desk.shop.clock.now)
    assert len([path for path in desk.shop.store.everything() if path.startswith("reports/")]) == 2
    assert desk.shop.stored("report_2026-11-18")["totalPending"] == 0


def failing_for(desk: Desk, end: datetime) -> Callable[[str], None]:
    """Firestore fails every stream of the week that ended then."""

    def fail(name: str) -> None:
        if name == "RunQuery" and any(
            END - timedelta(days=7) <= query.where[0][2] < end for query in desk.shop.store.queries[-1:]
        ):
            raise StoreError(StatusCode.PERMISSION_DENIED)

    return fail


def test_an_earlier_week_that_fails_costs_this_week_nothing(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """It is logged, and the run of the next week tries again."""
    desk.shop.put(3)
    desk.shop.store.after_rpc = failing_for(desk, END)
    desk.shop.clock.now = NEXT_SCHEDULE
    report = desk.reporting.make_scheduled(NEXT_SCHEDULE)
    assert (report.id, report.previous_id, report.previous) == ("report_2026-11-30", None, None)
    assert [week.window.report_id for week in desk.reporting.reports.weeks_before(report)] == ["report_2026-11-16"]
    log = capsys.readouterr().err
    assert '"message": "earlier report not made", "reportId": "report_2026-11-23"' in log
    assert "StoreError" in log
    desk.shop.store.after_rpc = lambda name: None
    desk.shop.clock.now += timedelta(days=7)
    desk.reporting.make_scheduled(desk.shop.clock.now)
    assert desk.shop.stored()["totalRequests"] == 3


def test_earlier_weeks_take_no_time_from_this_one(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Once their share of the run's time is over they wait for the next week."""
    report = replace(desk.reporting, catch_up_seconds=0).make_scheduled(SCHEDULE)
    assert (report.id, report.previous_id) == ("report_2026-11-23", None)
    assert capsys.readouterr().err.count("earlier report not made") == 1
    assert "reports/report_2026-11-16" not in desk.shop.store.everything()


def test_an_old_week_is_announced_when_it_is_made(desk: Desk) -> None:
    """Nobody was told yet; only once, and before this week."""
    desk.shop.clock.now = NEXT_SCHEDULE
    for _ in range(2):
        desk.reporting.make_scheduled(NEXT_SCHEDULE)
    assert [ids[0][:17] for ids in desk.alert_ids()] == ["report_2026-11-23", "report_2026-11-30"]


def test_the_page_compares_with_what_the_report_was_compared_with(desk: Desk) -> None:
    """A first report with the week that was counted, and a manual report of a Wednesday with its scheduled one."""
    desk.shop.put(200)
    desk.shop.make()
    latest = desk.reporting.read(None)
    assert latest is not None
    assert f"Compared with 9 {NOTHING} 15 Nov 2026." in desk.reporting.page(latest)
    desk.shop.clock.now = END + timedelta(days=9, hours=3)
    desk.shop.put(30, created=END + timedelta(days=3))
    manual = desk.reporting.make_now()
    assert manual.previous_id == "report_2026-11-23"
    assert f"Compared with 16 {NOTHING} 22 Nov 2026." in desk.reporting.page(manual)
