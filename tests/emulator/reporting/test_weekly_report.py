"""The weekly report over HTTP, on the server that production runs."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from credits.orders import Order
from tests.support.assembly import assembled, in_process
from tests.support.contract import error_of, order
from tests.support.projects import Project
from tests.support.servers import FunctionServer

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def put(project: Project, request_id: str, days_ago: float, **fields: Any) -> None:
    created = TODAY - timedelta(days=days_ago)
    request = {"userId": "ann", "model": "model-a", "style": "anime", "createdAt": created, "updatedAt": created}
    project.client.document(f"generationRequests/{request_id}").set({**request, **fields})


@pytest.fixture
def shop() -> Project:
    """Three requests of the last days, and a report of the week before them."""
    project = Project.seeded()
    put(project, "a", 2.5, status="completed", cost=3, size="1024x1024")
    put(project, "b", 1.5, status="failed", cost=1, color="neon")
    put(project, "c", 0.5, status="completed", cost=4)
    week_before = {"totalRequests": 4, "totalCreditsSpent": 8, "successRate": 75.0}
    project.client.document(f"reports/report_{TODAY - timedelta(days=7):%Y-%m-%d}").set(week_before)
    return project


def scheduled(server: FunctionServer, time: datetime | None) -> requests.Response:
    headers = {"X-CloudScheduler-ScheduleTime": f"{time:%Y-%m-%dT%H:%M:%SZ}"} if time else {}
    return requests.post(server.url, headers=headers, timeout=60)


def expected(report: dict[str, Any]) -> None:
    figures = ("totalRequests", "totalCreditsSpent", "totalCreditsRefunded", "successRate")
    assert [report[name] for name in figures] == [3, 7, 1, 66.67]
    assert isinstance(report["anomalies"], list)


def test_the_schedule_writes_the_report_of_its_day(shop: Project) -> None:
    """The schedule time names the week: at midnight, hours later, and today if there is no time."""
    with FunctionServer("scheduleWeeklyReport", shop.id) as server:
        report_id = f"report_{TODAY:%Y-%m-%d}"
        for time in (TODAY, TODAY + timedelta(hours=5), None):
            assert scheduled(server, time).status_code == 200
            report = shop.get(f"reports/{report_id}")
            assert report is not None
            expected(report)
            assert "topUser" not in report
            shop.client.document(f"reports/{report_id}").update({"topUser": "ann"})
            assert report["previousReportId"] == f"report_{TODAY - timedelta(days=7):%Y-%m-%d}"
        assert len([path for path in shop.everything() if path.startswith("reports/")]) == 2
        assert '"outcome": "replaced"' in server.log()


@pytest.mark.parametrize("function", ["scheduleWeeklyReport", "releaseExpiredReservations"])
def test_only_a_post_runs_a_scheduled_function(function: str) -> None:
    """On the server of production, too; both functions, at any path."""
    project = Project.empty()
    put(project, "a", 1, status="pending", cost=1, leaseExpiresAt=TODAY)
    project.add_user(10, "ann")
    before = project.everything()
    with FunctionServer(function, project.id) as server:
        for path in ("", "/__/health", "/x"):
            refused = requests.get(f"{server.url}{path}", timeout=60)
            assert (error_of(refused)["code"], refused.headers["Allow"]) == (405, "POST")
        assert project.everything() == before
        assert requests.post(server.url, timeout=60).status_code == 200
    assert project.everything() != before


def test_the_functions_emulator_makes_no_report_by_asking_whether_it_is_ready() -> None:
    """It starts a worker for each function with GET /__/health; only the POST makes the report."""
    url, project = f"{os.environ['FUNCTIONS_BASE_URL']}/scheduleWeeklyReport-0", Project(os.environ["GCLOUD_PROJECT"])
    path = f"reports/report_{TODAY:%Y-%m-%d}"
    assert requests.get(url, timeout=60).status_code == 405
    assert project.get(path) is None
    assert requests.post(url, timeout=60).status_code == 200
    assert project.get(path) is not None


def test_two_processes_at_once_write_one_right_report(shop: Project) -> None:
    """A duplicate delivery to another instance does no harm."""
    with (
        FunctionServer("scheduleWeeklyReport", shop.id) as one,
        FunctionServer("scheduleWeeklyReport", shop.id) as other,
        ThreadPoolExecutor(8) as callers,
    ):
        answers = list(callers.map(lambda number: scheduled((one, other)[number % 2], TODAY), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    report = shop.get(f"reports/report_{TODAY:%Y-%m-%d}")
    assert report is not None
    expected(report)


def test_people_make_and_read_reports(shop: Project) -> None:
    """404 before there is one; POST makes one; GET reads the latest, one by id, and as a page."""
    fresh = Project.empty()
    nothing = in_process(fresh).of("getWeeklyReport").get()
    assert (error_of(nothing)["code"], error_of(nothing)["message"]) == (404, "Report not found.")
    with FunctionServer("getWeeklyReport", shop.id) as server:
        made = server.post().json()
        expected(made)
        assert made["previousReportId"] == f"report_{TODAY - timedelta(days=7):%Y-%m-%d}"
        assert server.get().json() == made == server.get(reportId=made["reportId"]).json()
        page = server.get(format="html")
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "<h1><small>Weekly report</small>" in page.text
        assert f'href="?reportId=report_{TODAY - timedelta(days=7):%Y-%m-%d}&amp;format=html"' in page.text
        assert error_of(server.get(reportId="report_2000-01-01"))["code"] == 404
        for query in ({"reportId": "x/y"}, {"reportId": ""}, {"format": "pdf"}):
            assert error_of(server.get(**query))["code"] == 400
        older = server.get(reportId=f"report_{TODAY - timedelta(days=7):%Y-%m-%d}", format="html")
        assert older.status_code == 200, older.text


def test_a_report_made_right_after_a_purchase_includes_it(shop: Project) -> None:
    """Also one of the same second."""
    report = in_process(shop).of("getWeeklyReport")
    now = datetime.now(UTC)
    purchase = {"userId": "bob", "status": "completed", "cost": 1, "createdAt": now, "updatedAt": now}
    shop.client.document("generationRequests/d").set(purchase)
    assert report.post().json()["totalRequests"] == 4


def test_a_report_says_what_was_granted_taken_back_and_is_outstanding(project: Project) -> None:
    """As the ledger has it: here 25 granted, 5 of them taken back, 3 spent."""
    services = assembled(project)
    services.grants.grant(Order.with_key("a", "ann", 25, "because"))
    services.revocations.revoke(Order.with_key("b", "ann", 5, "because"))
    project.client.document("users/odd").set({"credits": float("nan")})
    bought = in_process(project).of("createGenerationRequest").post(order("ann", size="1024x1024"))
    assert bought.status_code == 200, bought.text
    made = in_process(project).of("getWeeklyReport").post().json()
    totals = {name: made[f"totalCredits{name}"] for name in ("Granted", "Revoked", "Spent", "Refunded")}
    assert totals == {"Granted": 25, "Revoked": 5, "Spent": 3, "Refunded": 0}
    assert made["outstanding"]["credits"] == 17
    assert made["byDay"][f"{datetime.now(UTC):%Y-%m-%d}"]["creditsGranted"] == 25
    assert made["bySize"]["1024x1024"]["creditsSpent"] == 3


def test_reports_are_listed_page_by_page(shop: Project) -> None:
    """Newest first, with real cursors; an older form without a window is not in it."""
    report, listed = (in_process(shop).of(name) for name in ("getWeeklyReport", "listWeeklyReports"))
    made = report.post().json()
    for days in (0, 7, 14):
        ended = {"windowEnd": TODAY - timedelta(days=days), "totalRequests": days}
        shop.client.document(f"reports/report_{TODAY - timedelta(days=days):%Y-%m-%d}").set(ended)
    shop.client.document("reports/report_2020-01-06").set({"totalRequests": 3})
    found = [each["reportId"] for page in listed.pages(pageSize="1") for each in page["reports"]]
    assert found == [made["reportId"], *(f"report_{TODAY - timedelta(days=days):%Y-%m-%d}" for days in (0, 7, 14))]
    assert error_of(listed.get(pageToken="eA=="))["details"]["fields"][0]["field"] == "pageToken"


def test_a_report_that_json_cannot_express_is_shown_all_the_same(shop: Project) -> None:
    """NaN and bytes, which only somebody's hand can have stored; as JSON and as a page."""
    path = f"reports/report_{TODAY:%Y-%m-%d}"
    shop.client.document(path).set({"successRate": float("nan"), "x": b"x", "totalRequests": 3})
    report = in_process(shop).of("getWeeklyReport")
    answer = report.get()
    assert (answer.status_code, answer.json()["successRate"]) == (200, "nan")
    assert report.get(format="html").status_code == 200


def test_critical_findings_are_logged_and_told_once() -> None:
    """An outage is one error event and one delivery, also if the schedule is delivered again."""
    project = Project.seeded()
    busy = {"totalRequests": 900, "totalCompleted": 890, "totalFailed": 10, "totalCreditsSpent": 900}
    project.client.document(f"reports/report_{TODAY - timedelta(days=7):%Y-%m-%d}").set(busy | {"successRate": 98.89})
    report_id, url = f"report_{TODAY:%Y-%m-%d}", "http://127.0.0.1:9/s3cret"
    with FunctionServer("scheduleWeeklyReport", project.id, REPORT_WEBHOOK_URL=url) as server:
        for _ in range(2):
            assert scheduled(server, TODAY).status_code == 200
        events = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
        assert "s3cret" not in server.log()
    (event,) = [event for event in events if event["message"] == "report anomaly"]
    assert (event["severity"], event["reportId"], event["finding"]["kind"]) == ("ERROR", report_id, "outage")
    (told,) = [snapshot.to_dict() or {} for snapshot in project.client.collection("webhookDeliveries").stream()]
    assert (told["target"], told["status"], told["data"]["reportId"]) == ("reports", "pending", report_id)
    assert told["data"]["anomalies"] == [event["finding"]]
    assert "No requests at all" in told["data"]["text"]
    report = project.get(f"reports/{report_id}")
    assert report is not None
    assert list(report["announced"]) == [event["id"]]
