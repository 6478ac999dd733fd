"""The weekly report over HTTP, on the server that production runs."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
import requests

from contract import error_of
from projects import Project
from servers import FunctionServer

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
    """The schedule time names the week: at midnight, hours later, and (the time missing) today."""
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
    with FunctionServer("getWeeklyReport", fresh.id) as server:
        assert (error_of(server.get())["code"], error_of(server.get())["message"]) == (404, "Report not found.")
    with FunctionServer("getWeeklyReport", shop.id) as server:
        made = requests.post(server.url, timeout=60).json()
        expected(made)
        assert made["previousReportId"] == f"report_{TODAY - timedelta(days=7):%Y-%m-%d}"
        assert server.get().json() == made == server.get(reportId=made["reportId"]).json()
        page = server.get(format="html")
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "<svg" in page.text
        assert error_of(server.get(reportId="report_2000-01-01"))["code"] == 404
        for query in ({"reportId": "x/y"}, {"reportId": ""}, {"format": "pdf"}):
            assert error_of(server.get(**query))["code"] == 400
        assert requests.put(server.url, timeout=60).headers["Allow"] == "GET, POST"
        older = server.get(reportId=f"report_{TODAY - timedelta(days=7):%Y-%m-%d}", format="html")
        assert older.status_code == 200, older.text


@contextmanager
def webhook(status: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    received: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", received
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [200, 500])
def test_critical_findings_are_logged_and_posted(status: int) -> None:
    """An outage is one error event and one post; a webhook that fails changes nothing else."""
    project = Project.seeded()
    busy = {"totalRequests": 900, "totalCompleted": 890, "totalFailed": 10, "totalCreditsSpent": 900}
    project.client.document(f"reports/report_{TODAY - timedelta(days=7):%Y-%m-%d}").set(busy | {"successRate": 98.89})
    with (
        webhook(status) as (url, received),
        FunctionServer("scheduleWeeklyReport", project.id, REPORT_WEBHOOK_URL=url) as server,
    ):
        assert scheduled(server, TODAY).status_code == 200
        events = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
        findings = [event["finding"] for event in events if event["message"] == "report anomaly"]
        assert findings
        assert {event["severity"] for event in events if event["message"] == "report anomaly"} == {"ERROR"}
        assert received[0] == {"reportId": f"report_{TODAY:%Y-%m-%d}", "anomalies": findings}
        assert (len(received) == 1) == (status == 200)
        assert any(event["message"] == "webhook failed" for event in events) == (status == 500)
    assert project.get(f"reports/report_{TODAY:%Y-%m-%d}") is not None
