"""Weekly reports, made and read on an in-process store."""

import itertools
import math
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from grpc import StatusCode

from errors import Unavailable
from reporting import Window
from reporting.report import MAX_FINDINGS
from schemas.report import WeeklyReport, report_reply
from store import StoreError
from tests.unit.reporting.helpers import CREATED, END, Clock, CountingStore, Shop
from tests.unit.store.helpers import impatient

WEEK = timedelta(days=7)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def severities(report: Any) -> set[str]:
    return {finding.severity for finding in report.findings}


def test_three_requests_and_a_report_of_the_week_before(shop: Shop) -> None:
    """The example of the contract: totals, credits and rate, with requests that lack a color or a size."""
    shop.put(cost=3, created=END - timedelta(days=3), color=None)
    shop.put(cost=1, created=END - timedelta(days=2), status="failed", failure="GENERATION_FAILED")
    shop.put(cost=4, created=END - timedelta(days=1), size=None, style="sketch")
    shop.store.put("reports/report_2026-11-16", {"totalRequests": 2, "totalCreditsSpent": 5, "successRate": 100.0})
    report = shop.make()
    stored = shop.stored()
    assert stored == report.to_fields()
    expected = {
        "totalRequests": 3,
        "totalCompleted": 2,
        "totalFailed": 1,
        "totalCanceled": 0,
        "totalPending": 0,
        "totalUnknown": 0,
        "totalCreditsSpent": 7,
        "totalCreditsRefunded": 1,
        "totalCreditsGranted": 0,
        "totalCreditsRevoked": 0,
        "successRate": 66.67,
        "distinctUsers": 1,
        "failureReasons": {"GENERATION_FAILED": 1},
        "generationSeconds": {"median": 4.0, "p95": 4.0},
        "previousReportId": "report_2026-11-16",
        "previous": None,
        "windowStart": END - WEEK,
        "windowEnd": END,
        "scheduled": True,
        "generatedAt": shop.clock(),
        "anomalies": [],
        "anomalyCount": 0,
        "outstanding": {"credits": 0, "at": shop.clock()},
        "announced": {},
    }
    assert {name: stored[name] for name in expected} == expected
    assert {*stored} - {*expected} == {"byModel", "byStyle", "byColor", "bySize", "byDay"}
    assert stored["byStyle"]["anime"] == {
        "total": 2,
        "completed": 1,
        "failed": 1,
        "canceled": 0,
        "failureRate": 50.0,
        "creditsSpent": 3,
    }
    assert set(stored["byColor"]) == {"neon", "unknown"}
    assert stored["bySize"]["unknown"]["total"] == 1
    assert stored["byDay"]["2026-11-22"] == {
        "total": 1,
        "completed": 1,
        "failed": 0,
        "canceled": 0,
        "pending": 0,
        "unknown": 0,
        "creditsSpent": 4,
        "creditsRefunded": 0,
        "creditsGranted": 0,
        "creditsRevoked": 0,
    }


def test_what_was_canceled_changes_no_rate_and_no_finding(shop: Shop) -> None:
    """Half of the requests: the success rate, the times and the findings are those of a week without them."""
    shop.put(200, created=END - timedelta(days=9))
    shop.make(END - WEEK)
    shop.put(180)
    shop.put(20, status="failed")
    usual = shop.make()
    shop.put(100, status="canceled", cost=3, updatedAt=CREATED + timedelta(hours=2))
    report = shop.make()
    names = ("successRate", "generationSeconds", "failureReasons", "anomalies", "totalCreditsSpent")
    assert {name: shop.stored()[name] for name in names} == {name: usual.to_fields()[name] for name in names}
    assert [finding.kind for finding in report.findings or ()] == ["failure_rate_rise"]
    stored = shop.stored()
    assert (stored["totalRequests"], stored["totalCanceled"], stored["totalCreditsRefunded"]) == (300, 100, 320)
    assert (stored["byModel"]["model-a"]["canceled"], stored["byModel"]["model-a"]["failureRate"]) == (100, 10.0)
    assert stored["byDay"]["2026-11-20"]["canceled"] == 100


def test_the_window_is_half_open(shop: Shop) -> None:
    """A request at the start counts, one at the end does not."""
    shop.put(created=END - WEEK)
    shop.put(created=END)
    shop.put(created=END - WEEK - timedelta(microseconds=1))
    shop.put(created=END - timedelta(microseconds=1))
    assert shop.make().usage.total == 2


def test_a_manual_report_includes_what_was_bought_a_moment_ago(shop: Shop) -> None:
    """Up to the microsecond before it."""
    now = END + timedelta(hours=3, microseconds=1)
    shop.put(created=now - timedelta(microseconds=1))
    report = shop.reports.make(Window.ending_now(now), shop.clock())
    assert (report.id, report.usage.total) == ("report_2026-11-23T030000Z", 1)


def test_made_again_it_is_right_and_replaces(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """A second report for the same end sees what settled since, and is not compared with the first."""
    shop.put(20, status="pending")
    first = shop.make()
    for path, data in shop.store.everything().items():
        if path.startswith("generationRequests"):
            shop.store.put(path, {**data, "status": "completed"})
    again = shop.make()
    assert (first.usage.pending, again.usage.completed) == (20, 20)
    assert (again.previous_id, again.findings) == (None, [])
    log = capsys.readouterr().out
    assert log.count('"outcome": "stored"') == log.count('"outcome": "replaced"') == 1


def test_the_first_week_ever_compares_with_nothing(shop: Shop) -> None:
    """No earlier report and no earlier request: figures, and no finding."""
    shop.put(500)
    report = shop.make()
    assert (report.previous_id, report.previous, report.weeks, report.findings) == (None, None, [], [])


def test_without_a_report_the_week_before_is_counted(shop: Shop) -> None:
    """The requests of the week before are the baseline if there is no report: an outage is seen all the same."""
    shop.put(500, created=END - timedelta(days=10))
    report = shop.make()
    assert (report.previous_id, report.previous and report.previous.total) == (None, 500)
    assert "critical" in severities(report)


def test_an_empty_week_after_a_busy_one_is_an_outage(shop: Shop) -> None:
    """Nothing at all after a stored busy week is critical, and there is no rate to show."""
    shop.put(300, created=END - timedelta(days=10))
    shop.make(END - WEEK)
    report = shop.make()
    assert (report.usage.total, report.usage.success_percent) == (0, None)
    assert severities(report) == {"critical"}


@pytest.mark.parametrize("broken", [{"totalRequests": "many"}, {}, {"totalRequests": -1}])
def test_a_broken_report_is_skipped(shop: Shop, broken: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A report that cannot be read is not a baseline, and the log says so."""
    shop.store.put("reports/report_2026-11-16", broken)
    shop.put(5, created=END - timedelta(days=10))
    assert shop.make().previous_id is None
    assert "report skipped" in capsys.readouterr().out


def test_a_manual_report_leaves_scheduled_ones_alone(shop: Shop) -> None:
    """It has its own id, compares with the newest scheduled report of at least six days ago, and is not a baseline."""
    shop.put(5, created=END - timedelta(days=10))
    shop.make(END - WEEK)
    for hour in (1, 2):
        manual = shop.reports.make(Window.ending_now(END + timedelta(hours=hour)), shop.clock())
        assert manual.previous_id == "report_2026-11-16"
    assert shop.make().previous_id == "report_2026-11-16"
    assert len([path for path in shop.store.everything() if path.startswith("reports/")]) == 4


@pytest.mark.parametrize("days_later", [0, 2, 6, 9])
def test_a_manual_report_is_compared_with_eight_weeks(shop: Shop, days_later: int) -> None:
    """Those of the scheduled reports, newest first, on every day of the week."""
    for weeks_ago in range(10, -1, -1):
        shop.put(3, created=END - weeks_ago * WEEK - timedelta(days=1))
        shop.make(END - weeks_ago * WEEK)
    report = shop.reports.make(Window.ending_now(END + timedelta(days=days_later, hours=5)), shop.clock())
    newest = END if days_later >= 6 else END - WEEK
    assert report.weeks is not None
    assert [week.window.end for week in report.weeks] == [newest - number * WEEK for number in range(8)]
    assert report.previous_id == f"report_{newest:%Y-%m-%d}"


def test_a_manual_report_reads_no_document_twice(shop: Shop) -> None:
    """Neither to make it, nor to store it, nor to show the weeks before on its page."""
    for weeks_ago in range(9, 0, -1):
        shop.put(2, created=END - weeks_ago * WEEK - timedelta(days=1))
        shop.make(END - weeks_ago * WEEK)
    shop.put(30)
    shop.store.reads.clear()
    shop.store.queries.clear()
    report = shop.reports.make(Window.ending_now(END + timedelta(days=1, hours=5)), shop.clock())
    assert len(shop.reports.weeks_before(report)) == 8
    assert max(Counter(shop.store.reads).values()) == 1
    of_requests = [query for query in shop.store.queries if query.collection == "generationRequests"]
    bounds = [tuple(bound for _, _, bound in query.where) for query in of_requests]
    assert len(bounds) == 8
    assert [query.collection for query in shop.store.queries if query not in of_requests] == [
        *("users", "grants", "revocations")
    ]
    assert all(before[1] == after[0] for before, after in zip(sorted(bounds), sorted(bounds)[1:], strict=False))


def test_a_scheduled_report_reads_few_documents(shop: Shop) -> None:
    """Besides the requests: eight reports before it, and its own."""
    shop.make(END - WEEK)
    shop.store.reads.clear()
    shop.make()
    assert len(shop.store.reads) == len(set(shop.store.reads)) == 9


def test_what_is_due_is_learned_from_few_documents(shop: Shop) -> None:
    """Eight reports; and if one is missing, the first request."""
    weeks = range(8, 0, -1)
    for weeks_ago in weeks:
        shop.make(END - weeks_ago * WEEK)
    shop.store.reads.clear()
    shop.store.queries.clear()
    assert shop.reports.due_before(Window(END)) == []
    assert (len(shop.store.reads), shop.store.queries) == (8, [])
    shop.store.remove("reports/report_2026-11-02")
    assert shop.reports.due_before(Window(END)) == []
    shop.put(created=END - 5 * WEEK)
    assert shop.reports.due_before(Window(END)) == [Window(END - 3 * WEEK)]
    assert [query.limit for query in shop.store.queries] == [1, 1]


@pytest.mark.parametrize("created", [None, "2026-11-01", math.nan, [END], datetime.max.replace(tzinfo=UTC)])
def test_a_request_with_an_odd_time_makes_no_week_due(shop: Shop, created: Any) -> None:
    """It is in no week; the others are found all the same."""
    shop.put(created=END)
    fields = shop.store.everything()["generationRequests/r1"]
    shop.store.put("generationRequests/odd", {**fields, "createdAt": created})
    assert shop.reports.due_before(Window(END)) == []


def test_firestore_away_is_an_error_and_stores_nothing(shop: Shop) -> None:
    """So that the schedule is delivered again."""

    def away(name: str) -> None:
        raise StoreError(StatusCode.UNAVAILABLE)

    shop.store.policy = shop.store._policy = impatient()
    shop.store.before_rpc = away
    with pytest.raises(Unavailable):
        shop.make()
    assert shop.store.everything() == {}


def test_a_stream_that_breaks_is_folded_anew(shop: Shop) -> None:
    """What was counted before the break is not counted twice."""
    shop.put(5)
    broken: list[str] = []

    def break_once(name: str) -> None:
        if name == "RunQuery" and not broken:
            broken.append(name)
            raise StoreError(StatusCode.UNAVAILABLE)

    shop.store.after_rpc = break_once
    assert shop.make().usage.total == 5
    assert broken


def test_an_older_run_does_not_replace_a_newer_one(shop: Shop) -> None:
    """A slow duplicate that stores last was made first: the newer figures stay, and it gives those."""
    slow = shop.clock()
    shop.clock.now += timedelta(seconds=60)
    shop.put(3)
    newer = shop.make()
    assert shop.reports.make(Window.of_schedule(END), slow).fields == newer.fields
    assert shop.stored() == newer.to_fields()


def test_a_report_from_the_future_is_replaced(shop: Shop) -> None:
    """Somebody's hand put that time there; no run that started later takes a day."""
    shop.make()
    shop.store.put("reports/report_2026-11-23", {**shop.stored(), "generatedAt": END.replace(year=2099)})
    shop.put(3)
    assert shop.make().usage.total == shop.stored()["totalRequests"] == 3


def test_four_days_are_read_side_by_side(shop: Shop) -> None:
    """No stream of the first four ends before all of them have begun."""
    begun, streams = threading.Barrier(4), itertools.count(1)

    def meet(name: str) -> None:
        if name == "RunQuery" and next(streams) <= 4:
            begun.wait(10)

    shop.put(3)
    shop.store.before_rpc = meet
    assert shop.make().usage.total == 3
    assert not begun.broken


def test_a_replaced_report_keeps_nothing_of_the_old_one(shop: Shop) -> None:
    """Fields of an older form do not stay beside the new figures."""
    shop.store.put("reports/report_2026-11-23", {"totalRequests": 1, "topUser": "ann"})
    shop.make()
    assert "topUser" not in shop.stored()


def test_the_latest_may_be_of_an_older_form(shop: Shop) -> None:
    """Reports without windowEnd, or with a text there, are found by their day; one with a time goes before them."""
    shop.store.put("reports/report_2026-11-16", {"totalRequests": 1})
    shop.store.put("reports/report_2026-11-09", {"totalRequests": 1, "windowEnd": "2026-11-09"})
    latest = shop.reports.read(None, shop.clock())
    assert latest is not None
    assert (latest.id, latest.window) == ("report_2026-11-16", Window(END - WEEK))
    shop.store.put("reports/report_x", {"windowEnd": END + timedelta(days=4000)})
    shop.make()
    latest = shop.reports.read(None, shop.clock())
    assert latest is not None
    assert latest.id == "report_2026-11-23"


def test_what_is_read_is_what_was_made(shop: Shop) -> None:
    """As a value and as JSON; and unknown reports are not there."""
    shop.put(500, created=END - timedelta(days=10))
    shop.put(2)
    made, read = shop.make(), shop.reports.read("report_2026-11-23", shop.clock())
    assert read is not None
    assert read.fields == made.fields
    assert (read.window, read.generated_at, read.finding_count) == (made.window, made.generated_at, made.finding_count)
    assert shop.reports.read("report_2026-11-24", shop.clock()) is None


def test_a_report_from_before_grants_were_counted_says_that_they_are_not_known(shop: Shop) -> None:
    """Null, in the form that clients know; nothing else of it changes."""
    shop.put(3)
    shop.make()
    fields = shop.stored()
    for name in ("totalCreditsGranted", "totalCreditsRevoked", "outstanding"):
        del fields[name]
    day, option = fields["byDay"]["2026-11-20"], fields["byStyle"]["anime"]
    del day["creditsGranted"], day["creditsRevoked"], option["creditsSpent"]
    reply = report_reply("report_2026-11-23", fields)
    assert isinstance(reply, WeeklyReport)
    assert (reply.total_credits_granted, reply.total_credits_revoked, reply.outstanding) == (None, None, None)
    assert reply.by_day["2026-11-20"].credits_granted is None
    assert reply.by_style["anime"].credits_spent is None


def test_a_report_of_an_older_form_is_given_as_it_is(shop: Shop) -> None:
    """With fields that are not known here, and values that only somebody's hand can have stored."""
    shop.store.put("reports/report_2026-11-16", {"topUser": "ann", "x": b"x", "y": [math.inf, 1]})
    report = shop.reports.read(None, shop.clock())
    assert report is not None
    assert report.fields == {"topUser": "ann", "x": b"x", "y": [math.inf, 1]}


def test_the_weeks_before_have_their_own_dates(shop: Shop) -> None:
    """Also those of a manual report, which are seven days apart, and the week that was counted instead of a report."""
    now = END + timedelta(days=2, hours=5)
    shop.put(4, created=now - timedelta(days=10))
    report = shop.reports.make(Window.ending_now(now), shop.clock())
    read = shop.reports.read(report.id, shop.clock())
    assert read is not None
    for each in (report, read):
        (week,) = shop.reports.weeks_before(each)
        assert (week.window.end, week.usage.total) == (now - WEEK, 4)


def test_the_weeks_before_a_stored_report_are_those_it_was_compared_with(shop: Shop) -> None:
    """Read back, they are the same; a week that has no report is left out."""
    for weeks_ago in (5, 4, 2, 1):
        shop.put(3, created=END - weeks_ago * WEEK - timedelta(days=1))
        shop.make(END - weeks_ago * WEEK)
    made = shop.make()
    shop.clock.now += timedelta(days=1)
    read = shop.reports.read(made.id, shop.clock())
    assert read is not None
    ends = [(END - week.window.end) // WEEK for week in shop.reports.weeks_before(read)]
    assert ends == [(END - week.window.end) // WEEK for week in made.weeks or []] == [1, 2, 4, 5]


def test_a_report_that_is_gone_leaves_a_week_that_is_not_known(shop: Shop) -> None:
    """What was compared is not replaced by an older week."""
    for weeks_ago in (2, 1, 0):
        shop.put(3, created=END - weeks_ago * WEEK - timedelta(days=1))
        shop.make(END - weeks_ago * WEEK)
    shop.store.remove("reports/report_2026-11-16")
    read = shop.reports.read("report_2026-11-23", shop.clock())
    assert read is not None
    weeks = shop.reports.weeks_before(read)
    assert [(week.window.end, week.usage.total) for week in weeks] == [(END - WEEK, None), (END - 2 * WEEK, 3)]


def test_a_stored_window_that_is_odd_is_not_known(shop: Shop) -> None:
    """A week has seven days; the page of such a report shows the rest."""
    shop.store.put("reports/report_2026-11-16", {"windowStart": END, "windowEnd": END, "totalRequests": 1})
    report = shop.reports.read("report_2026-11-16", shop.clock())
    assert report is not None
    assert (report.window, shop.reports.weeks_before(report)) == (None, [])


def test_some_findings_are_stored_and_the_rest_is_counted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report is one document; a hundred findings are enough to read."""
    assert MAX_FINDINGS == 100
    monkeypatch.setattr("reporting.reports.MAX_FINDINGS", 3)
    for days_ago, styles in ((10, "ab"), (3, "cd")):
        for style in styles:
            shop.put(30, created=END - timedelta(days=days_ago), style=style)
    report = shop.make()
    assert report.findings is not None
    assert (len(report.findings), report.finding_count, shop.stored()["anomalyCount"]) == (3, 4, 4)


def test_two_stores_are_used_for_what_each_is_for() -> None:
    """The patient one for requests, the other for reports."""
    clock = Clock()
    shop = Shop(clock)
    streams = CountingStore(clock)
    shop.reports._streams = streams
    shop.make(datetime.combine(END, datetime.min.time(), END.tzinfo))
    assert Counter(query.collection for query in streams.queries) == {
        "generationRequests": 14,
        "grants": 2,
        "revocations": 2,
        "users": 1,
    }
    assert shop.store.queries == []


@pytest.mark.parametrize("end", [datetime(1, 1, 1, tzinfo=UTC), datetime(1, 2, 1, tzinfo=UTC)])
def test_a_stored_window_in_the_year_1_hides_no_other_report(end: datetime) -> None:
    """There is no week before it; its report is read without its window."""
    shop = Shop()
    shop.store.put("reports/report_2026-11-16", {"totalRequests": 2, "windowEnd": end})
    shop.put(3)
    assert shop.make().id == "report_2026-11-23"
    found = shop.reports.read("report_2026-11-16", shop.clock())
    assert found is not None
    assert found.window is None
    assert shop.reports.weeks_before(found) == []
