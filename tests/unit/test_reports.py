"""Windows, usage and weekly reports, on an in-process database."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from google.api_core import exceptions

from anomalies import Thresholds
from builders import Clock, impatient, sleepless
from database import RetryPolicy
from errors import Unavailable
from handlers import Call, Page, Reply, Reporting, make_scheduled_report, read_weekly_report
from memory import MemoryDatabase
from reports import Distinct, Reports, Usage, Window

END = datetime(2026, 11, 23, tzinfo=UTC)
CREATED = END - timedelta(days=3)


class Shop:
    """Reports over requests that a test puts straight into the database."""

    def __init__(self, policy: RetryPolicy | None = None) -> None:
        self.clock = Clock(END + timedelta(minutes=1))
        self.db = MemoryDatabase(self.clock, policy or sleepless())
        self.reports = Reports(self.db, self.db, Thresholds())
        self.stored = 0

    def put(self, count: int = 1, created: datetime = CREATED, **fields: Any) -> None:
        for _ in range(count):
            self.stored += 1
            request = {
                "userId": "ann",
                "model": "model-a",
                "style": "anime",
                "color": "neon",
                "size": "512x512",
                "cost": 1,
                "status": "completed",
                "createdAt": created,
                "updatedAt": created + timedelta(seconds=4),
                **fields,
            }
            stored = {name: value for name, value in request.items() if value is not None}
            self.db.put(f"generationRequests/r{self.stored}", stored)

    def make(self, end: datetime = END) -> dict[str, Any]:
        return dict(self.reports.make(Window.of_schedule(end), self.clock()).fields)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_three_requests_and_a_report_of_the_week_before(shop: Shop) -> None:
    """The example of the contract: totals, credits and rate, with requests that lack a color or a size."""
    shop.put(cost=3, created=END - timedelta(days=3), color=None)
    shop.put(cost=1, created=END - timedelta(days=2), status="failed", failure="GENERATION_FAILED")
    shop.put(cost=4, created=END - timedelta(days=1), size=None, style="sketch")
    shop.db.put("reports/report_2026-11-16", {"totalRequests": 2, "totalCreditsSpent": 5, "successRate": 100.0})
    report = shop.make()
    expected = {
        "totalRequests": 3,
        "totalCompleted": 2,
        "totalFailed": 1,
        "totalPending": 0,
        "totalCreditsSpent": 7,
        "totalCreditsRefunded": 1,
        "successRate": 66.67,
        "distinctUsers": 1,
        "failureReasons": {"GENERATION_FAILED": 1},
        "generationSeconds": {"median": 4.0, "p95": 4.0},
        "previousReportId": "report_2026-11-16",
        "windowStart": END - timedelta(days=7),
        "windowEnd": END,
    }
    assert {name: report[name] for name in expected} == expected
    assert isinstance(report["anomalies"], list)
    assert report["byStyle"]["anime"] == {"total": 2, "completed": 1, "failed": 1, "failureRate": 50.0}
    assert set(report["byColor"]) == {"neon", "unknown"}
    assert report["bySize"]["unknown"]["total"] == 1
    assert report["byDay"]["2026-11-22"]["creditsSpent"] == 4
    assert shop.db.everything()["reports/report_2026-11-23"] == report


def test_the_window_is_half_open(shop: Shop) -> None:
    """A request at the start counts, one at the end does not."""
    shop.put(created=END - timedelta(days=7))
    shop.put(created=END)
    shop.put(created=END - timedelta(days=7, microseconds=1))
    shop.put(created=END - timedelta(microseconds=1))
    assert shop.make()["totalRequests"] == 2


@pytest.mark.parametrize(
    ("schedule_time", "report_id", "start"),
    [
        ("2026-11-23T00:00:00+00:00", "report_2026-11-23", "2026-11-16"),
        ("2026-11-23T05:30:00+00:00", "report_2026-11-23", "2026-11-16"),
        ("2026-11-23T01:00:00+02:00", "report_2026-11-22", "2026-11-15"),
        ("2028-03-06T00:00:00+00:00", "report_2028-03-06", "2028-02-28"),
    ],
)
def test_a_scheduled_window_ends_at_midnight(schedule_time: str, report_id: str, start: str) -> None:
    """The day of the schedule time, in UTC, whatever the hour of a retry; February 29 is a day."""
    window = Window.of_schedule(datetime.fromisoformat(schedule_time))
    assert (window.report_id, f"{window.start:%Y-%m-%d}") == (report_id, start)
    assert len(window.days()) == 7


def test_a_manual_window_ends_now() -> None:
    """Seven days to the second, in eight pieces of UTC days, under an id of its own."""
    window = Window.ending_now(datetime(2026, 11, 23, 15, 4, 5, 999, tzinfo=UTC))
    assert window.report_id == "report_2026-11-23T150405Z"
    days = window.days()
    assert (days[0][0], days[-1][1], len(days)) == (window.start, window.end, 8)
    assert all(before[1] == after[0] for before, after in pairwise(days))


def test_made_again_it_is_right_and_replaces(shop: Shop) -> None:
    """A second report for the same end sees what settled since, and is not compared with the first."""
    shop.put(20, status="pending")
    first = shop.reports.make(Window.of_schedule(END), shop.clock())
    for path, data in shop.db.everything().items():
        if path.startswith("generationRequests"):
            shop.db.put(path, {**data, "status": "completed"})
    again = shop.reports.make(Window.of_schedule(END), shop.clock())
    assert (first.replaced, again.replaced) == (False, True)
    assert (first.fields["totalPending"], again.fields["totalCompleted"]) == (20, 20)
    assert again.fields["previousReportId"] is None
    assert again.fields["anomalies"] == []


def test_the_first_week_ever_compares_with_nothing(shop: Shop) -> None:
    """No earlier report and no earlier request: figures, and no finding."""
    shop.put(500)
    report = shop.make()
    assert (report["previousReportId"], report["anomalies"]) == (None, [])


def test_without_a_report_the_week_before_is_counted(shop: Shop) -> None:
    """The requests of the week before are the baseline where no report is: an outage is seen all the same."""
    shop.put(500, created=END - timedelta(days=10))
    report = shop.make()
    assert report["previousReportId"] is None
    assert "critical" in {finding["severity"] for finding in report["anomalies"]}


def test_an_empty_week_after_a_busy_one_is_an_outage(shop: Shop) -> None:
    """Nothing at all after a stored busy week is critical, and there is no rate to show."""
    shop.put(300, created=END - timedelta(days=10))
    shop.make(END - timedelta(days=7))
    report = shop.make()
    assert (report["totalRequests"], report["successRate"]) == (0, None)
    assert "critical" in {finding["severity"] for finding in report["anomalies"]}


@pytest.mark.parametrize("broken", [{"totalRequests": "many"}, {}, {"totalRequests": -1}])
def test_a_broken_report_is_skipped(shop: Shop, broken: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A report that cannot be read is no baseline, and the log says so."""
    shop.db.put("reports/report_2026-11-16", broken)
    shop.put(5, created=END - timedelta(days=10))
    assert shop.make()["previousReportId"] is None
    assert "report skipped" in capsys.readouterr().out


def test_a_manual_report_leaves_scheduled_ones_alone(shop: Shop) -> None:
    """It has its own id, compares with the newest scheduled report of at least six days ago, and is no baseline."""
    shop.put(5, created=END - timedelta(days=10))
    shop.make(END - timedelta(days=7))
    for hour in (1, 2):
        manual = shop.reports.make(Window.ending_now(END + timedelta(hours=hour)), shop.clock())
        assert manual.fields["previousReportId"] == "report_2026-11-16"
    assert shop.make()["previousReportId"] == "report_2026-11-16"
    assert len([path for path in shop.db.everything() if path.startswith("reports/")]) == 4


@pytest.mark.parametrize(
    "fields",
    [
        {"style": None},
        {"style": ""},
        {"style": 5},
        {"style": ["anime"]},
        {"style": "__x__"},
        {"style": "x" * 300},
        {"style": "__a\nb__"},
        {"status": "exploded"},
        {"cost": "1"},
        {"cost": 2**62},
        {"cost": 2_000_000_000},
        {"updatedAt": datetime(9999, 1, 1, tzinfo=UTC)},
        {"cost": float("nan")},
        {"userId": 5},
        {"updatedAt": "yesterday"},
        {"updatedAt": CREATED - timedelta(days=1)},
    ],
)
def test_a_document_that_somebody_broke_is_counted(shop: Shop, fields: dict[str, Any]) -> None:
    """Missing or impossible values count as unknown and never stop a report."""
    shop.put(**fields)
    report = shop.make()
    assert report["totalRequests"] == 1
    if "style" in fields:
        assert report["byStyle"]["unknown"]["total"] == 1


def test_usage_merges() -> None:
    """Folding in two parts and merging is folding in one."""
    requests = [
        {"userId": f"u{number % 7}", "status": ("completed", "failed", "pending")[number % 3], "cost": number % 4}
        | {"style": f"s{number % 5}", "createdAt": CREATED, "updatedAt": CREATED + timedelta(seconds=number)}
        for number in range(60)
    ]
    whole, left, right = Usage(), Usage(), Usage()
    for number, request in enumerate(requests):
        whole.add(request)
        (left if number < 25 else right).add(request)
    assert left.merge(right).report_fields() == whole.report_fields()


def test_more_options_than_a_report_holds_are_added_up() -> None:
    """The most frequent 200 styles have their names; nothing is lost of the others."""
    usage = Usage()
    for number in range(1000):
        usage.add({"style": f"s{number}", "status": "completed"})
    by_style = usage.report_fields()["byStyle"]
    assert (len(by_style), by_style["other"]["total"]) == (201, 800)


@pytest.mark.parametrize(("users", "tolerance"), [(0, 0), (1, 0), (16_000, 0), (200_000, 0.03)])
def test_users_are_counted_or_estimated(users: int, tolerance: float) -> None:
    """Exact while few, then within a few hundredths, in bounded memory."""
    half, other = Distinct(), Distinct()
    for number in range(users):
        (half if number % 2 else other).add(f"user-{number}")
    both = half.merge(other)
    assert abs(both.count() - users) <= tolerance * users
    assert len(both.smallest) <= 16_384


def test_firestore_away_is_an_error_for_the_scheduler(shop: Shop) -> None:
    """A report that cannot be made raises, so that Cloud Scheduler tries again, and stores nothing."""

    def away(name: str) -> None:
        raise exceptions.ServiceUnavailable("away")

    impatient_shop = Shop(impatient())
    impatient_shop.db.before_rpc = away
    reporting = Reporting(impatient_shop.reports, lambda report: None, impatient_shop.clock)
    with pytest.raises(Unavailable):
        make_scheduled_report(END, reporting)
    assert impatient_shop.db.everything() == {}


def test_a_stream_that_breaks_off_is_folded_anew(shop: Shop) -> None:
    """What was counted before the break is not counted twice."""
    shop.put(5)
    broken: list[str] = []

    def break_once(name: str) -> None:
        if name == "RunQuery" and not broken:
            broken.append(name)
            raise exceptions.ServiceUnavailable("cut")

    shop.db.after_rpc = break_once
    assert shop.make()["totalRequests"] == 5
    assert broken


def test_an_older_run_does_not_replace_a_newer_one(shop: Shop) -> None:
    """A slow duplicate that stores last was made first: the newer figures stay."""
    slow = shop.clock()
    shop.clock.forward(60)
    shop.put(3)
    newer = shop.make()
    shop.reports.make(Window.of_schedule(END), slow)
    assert shop.db.everything()["reports/report_2026-11-23"] == newer


def test_a_replaced_report_keeps_nothing_of_the_old_one(shop: Shop) -> None:
    """Fields of an older form do not stay beside the new figures."""
    shop.db.put("reports/report_2026-11-23", {"totalRequests": 1, "topUser": "ann"})
    shop.make()
    assert "topUser" not in shop.db.everything()["reports/report_2026-11-23"]


def test_the_latest_may_be_of_an_older_form(shop: Shop) -> None:
    """Reports without windowEnd, or with a text there, are found by their day; one with a time goes before them."""
    shop.db.put("reports/report_2026-11-16", {"totalRequests": 1})
    shop.db.put("reports/report_2026-11-09", {"totalRequests": 1, "windowEnd": "2026-11-09"})
    latest = shop.reports.read(None, shop.clock())
    assert latest is not None
    assert latest.id == "report_2026-11-16"
    shop.make()
    latest = shop.reports.read(None, shop.clock())
    assert latest is not None
    assert latest.id == "report_2026-11-23"


def page_of(shop: Shop, report_id: str | None = None) -> str:
    query = {"format": "html"} | ({"reportId": report_id} if report_id else {})
    page = read_weekly_report(Call(query=query), Reporting(shop.reports, lambda report: None, shop.clock))
    assert isinstance(page, Page)
    return page.text


def test_the_page_compares_with_what_the_report_was_compared_with(shop: Shop) -> None:
    """A manual report of a Wednesday with its scheduled one, and a first report with the week that was counted."""
    shop.put(20, created=END - timedelta(days=10))
    shop.put(200)
    shop.make()
    assert "no week before" not in page_of(shop)
    wednesday = Window.ending_now(END + timedelta(days=9, hours=3))
    shop.put(30, created=END + timedelta(days=1))
    manual = shop.reports.make(wednesday, shop.clock())
    assert manual.fields["previousReportId"] == "report_2026-11-23"
    assert "no week before" not in page_of(shop, wednesday.report_id)


def test_an_old_report_whose_findings_are_sentences_shows_them(shop: Shop) -> None:
    """Never "nothing unusual" where an older form said otherwise."""
    shop.db.put("reports/report_2026-11-16", {"totalRequests": 1, "anomalies": ["Success rate dropped to 10%!"]})
    assert "Success rate dropped to 10%!" in page_of(shop)


def test_a_stored_report_that_json_cannot_say_is_shown_all_the_same(shop: Shop) -> None:
    """NaN, bytes and the like, which only somebody's hand can have stored."""
    shop.db.put("reports/report_2026-11-16", {"successRate": float("nan"), "x": b"x", "y": [float("inf"), 1]})
    reply = read_weekly_report(Call(), Reporting(shop.reports, lambda report: None, shop.clock))
    assert isinstance(reply, Reply)
    json.dumps(reply.body, allow_nan=False)


def test_rare_options_that_are_added_up_are_neither_new_nor_vanished(shop: Shop) -> None:
    """250 styles used alike: who is among the first 200 is chance, and no finding."""
    for days_ago in (10, 3):
        for number in range(250):
            count = 31 if (number + days_ago) % 2 else 30
            shop.put(count, created=END - timedelta(days=days_ago), style=f"s{number}")
    assert shop.make()["anomalies"] == []
