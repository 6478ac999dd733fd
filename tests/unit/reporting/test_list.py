"""The list of weekly reports: newest first, page by page, and what it says of each."""

import math
from datetime import datetime, timedelta
from typing import Any

import pytest

import handlers
from calls import Call, Caller
from errors import InvalidRequest
from reporting import Window
from schemas.requests import ReportsQuery
from store import NO_DEADLINE
from tests.support.builders import Backend
from tests.unit.reporting.helpers import END, Shop

WEEK = timedelta(days=7)


@pytest.fixture
def shop() -> Shop:
    """Five weeks, and a report that somebody asked for."""
    shop = Shop()
    for weeks_ago in range(4, -1, -1):
        shop.put(3, created=END - weeks_ago * WEEK - timedelta(days=1))
        shop.make(END - weeks_ago * WEEK)
    shop.reports.make(Window.ending_now(END - timedelta(days=2, microseconds=5)), shop.clock())
    return shop


IDS = [
    "report_2026-11-23",
    "report_2026-11-20T235959Z",
    *(f"report_2026-{day}" for day in ("11-16", "11-09", "11-02", "10-26")),
]


@pytest.mark.parametrize("page_size", [1, 2, 3, 6, 7])
def test_pages_give_each_report_once_newest_first(shop: Shop, page_size: int) -> None:
    """By the end of its week, manual ones between the scheduled; the last page says that it is the last."""
    found: list[str] = []
    last_id = None
    while True:
        page = shop.reports.listed(page_size, last_id, shop.clock())
        found += [report.id for report in page.reports]
        if page.last_id is None:
            break
        assert len(page.reports) == page_size
        last_id = page.last_id
    assert found == IDS


def test_a_page_reads_its_reports_and_no_other(shop: Shop) -> None:
    """One more tells whether there is another page; the report that a page starts after is read again."""
    shop.store.reads.clear()
    shop.store.queries.clear()
    shop.reports.listed(2, IDS[1], shop.clock())
    assert (shop.store.reads, [query.limit for query in shop.store.queries]) == ([f"reports/{IDS[1]}"], [3])


@pytest.mark.parametrize("odd", [None, 5, "2026-11-23", math.nan, [END], END.replace(year=9999)], ids=repr)
def test_odd_reports_hide_no_other(shop: Shop, odd: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither one whose window ends at no time or never, nor one whose id names no week, which the log names."""
    shop.store.put("reports/report_2026-09-07", {"windowEnd": odd})
    shop.store.put("reports/odd", {"windowEnd": END})
    page = shop.reports.listed(50, None, shop.clock())
    assert [report.id for report in page.reports] == IDS
    assert '"report skipped", "reportId": "odd"' in capsys.readouterr().out


@pytest.mark.parametrize("after_id", ["report_2026-09-07", "odd"])
def test_a_token_of_no_report_is_refused(shop: Shop, after_id: str) -> None:
    """It is the caller's mistake."""
    shop.store.put("reports/odd", {"windowEnd": "2026-11-23"})
    with pytest.raises(InvalidRequest):
        shop.reports.listed(2, after_id, shop.clock())


def listed(backend: Backend, **query: Any) -> dict[str, Any]:
    answer = handlers.list_weekly_reports(
        ReportsQuery.model_validate(query), Call(Caller("root", is_admin=True), NO_DEADLINE), backend.services
    )
    return answer.reply.model_dump(mode="json", by_alias=True)


def test_the_answer_says_the_main_figures_of_each_report() -> None:
    """Null is what an older report does not say; the token leads to the next page."""
    backend = Backend()
    backend.add_user("ann", 25)
    made = backend.services.reporting().make_now()
    older: dict[str, Any] = {"windowEnd": backend.clock() - WEEK, "totalRequests": 4, "successRate": 75.0}
    backend.store.put("reports/report_2026-02-23", older)
    first = listed(backend, pageSize="1")
    assert first["reports"][0] | {"windowStart": None, "windowEnd": None, "generatedAt": None} == {
        "reportId": made.id,
        "windowStart": None,
        "windowEnd": None,
        "generatedAt": None,
        "scheduled": False,
        "totalRequests": 0,
        "totalCompleted": 0,
        "totalFailed": 0,
        "totalCanceled": 0,
        "totalCreditsGranted": 25,
        "totalCreditsRevoked": 0,
        "totalCreditsSpent": 0,
        "totalCreditsRefunded": 0,
        "anomalyCount": 0,
        "criticalCount": 0,
    }
    second = listed(backend, pageToken=first["nextPageToken"])
    (summary,) = second["reports"]
    names = (
        "reportId",
        "totalRequests",
        "totalFailed",
        "totalCanceled",
        "totalCreditsSpent",
        "anomalyCount",
        "criticalCount",
    )
    assert [summary[name] for name in names] == ["report_2026-02-23", 4, 1, None, None, None, None]
    assert "nextPageToken" not in second


def test_critical_findings_are_counted() -> None:
    """Of three findings one is critical: the list gives both numbers."""
    backend = Backend()
    findings = [{"severity": "critical", "message": "Grave."}, {"message": "Mild."}, {"message": "Mild."}]
    end = datetime.combine(backend.clock().date(), datetime.min.time(), backend.clock().tzinfo)
    backend.store.put("reports/report_2026-03-02", {"windowEnd": end, "anomalies": findings, "anomalyCount": 3})
    (summary,) = listed(backend)["reports"]
    assert (summary["anomalyCount"], summary["criticalCount"]) == (3, 1)
