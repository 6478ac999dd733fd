"""One odd document, edited by hand, breaks neither a report nor the reports around it."""

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import Silent
from reporting import Reporting, Window
from schemas.report import report_reply
from store import Opaque
from store.values import encode
from tests.unit.reporting.helpers import END, EXAMPLES, Shop
from tests.unit.reporting.test_page import Reader

WEEK = timedelta(days=7)
TEXTS = ("", "x", "x" * 2_000, "\x00\u202e", "2026-11-23")
NUMBERS = (True, False, 0, -1, 1, 2**62, -(2**63), 2**63 - 1, 0.5, -0.0, 1e308, math.nan, math.inf, -math.inf)
TIMES = (datetime(1, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC), END)
GROUPS: tuple[Any, ...] = ([], [[]], [None, {}, "x", 1], {}, {"": None}, {"total": 5}, {"a": {"total": 3, "failed": 5}})
OTHERS = (None, b"x", Opaque("geo_point", encode(3).SerializeToString()))
ODD: tuple[Any, ...] = (*TEXTS, *NUMBERS, *TIMES, *GROUPS, *OTHERS)


def places(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Where something could be replaced: each field, at any depth."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield (*path, name)
        yield from places(each, *path, name)


def changed(value: Any, path: tuple[str | int, ...], odd: Any) -> Any:
    """The value with what is at the place replaced; as it is, if an earlier change took the place away."""
    if not path:
        return odd
    first, *rest = path
    if isinstance(value, Mapping) and first in value:
        return {**value, first: changed(value[str(first)], tuple(rest), odd)}
    if isinstance(value, list) and isinstance(first, int) and first < len(value):
        return [*value[:first], changed(value[first], tuple(rest), odd), *value[first + 1 :]]
    return value


def busy_shop() -> Shop:
    """Two weeks of requests, with findings in the second, some requests in flight, and the first week's report."""
    shop = Shop()
    for weeks_ago, failed in ((1, 2), (0, 30)):
        at = END - weeks_ago * WEEK - timedelta(days=2)
        shop.put(40, created=at)
        shop.put(failed, created=at, status="failed", failure="GENERATION_FAILED", style="sketch")
        shop.put(1, created=at, status="pending")
    shop.make(END - WEEK)
    return shop


def busy_again() -> Shop:
    """What busy_shop() gives, without counting its first week again."""
    shop = Shop()
    for path, fields in BUSY.items():
        shop.store.put(path, fields)
    return shop


def check_everything(shop: Shop, odd_id: str, requests: int = 71) -> None:
    """Makes the next report, with what is due before it; reads it, the odd one and a manual one, as JSON and a page."""
    reporting = Reporting(shop.reports, Silent(), shop.clock)
    made = reporting.make_scheduled(shop.clock())
    manual = reporting.make_now()
    latest = reporting.read(None)
    assert latest is not None
    # Often two of them are the same.
    for report_id in {made.id, manual.id, odd_id, latest.id}:
        report = reporting.read(report_id)
        assert report is not None
        reply = report_reply(report.id, report.fields)
        assert json.dumps(reply.model_dump(mode="json", by_alias=True), allow_nan=False)
        Reader(reporting.page(report))
    assert made.usage.total == requests


SHOP = busy_shop()
BUSY = SHOP.store.everything()
SHOP.make()
REPORT = SHOP.stored()
REPORT_PLACES = list(places(REPORT))
REQUEST = SHOP.store.everything()["generationRequests/r1"]


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    changes=st.lists(st.tuples(st.sampled_from(REPORT_PLACES), st.sampled_from(ODD)), min_size=1, max_size=3),
    weeks_ago=st.sampled_from([0, 1, 3]),
)
def test_an_odd_report_breaks_no_other(changes: list[tuple[tuple[str | int, ...], Any]], weeks_ago: int) -> None:
    """With any of its fields replaced: the week's own report made again, the one before it, or an older one."""
    shop, fields, odd_id = busy_again(), REPORT, Window(END - weeks_ago * WEEK).report_id
    for place, odd in changes:
        fields = changed(fields, place, odd)
    shop.store.put(f"reports/{odd_id}", fields)
    check_everything(shop, odd_id)


@settings(max_examples=EXAMPLES, deadline=None)
@given(fields=st.dictionaries(st.sampled_from(list(REQUEST)), st.sampled_from(ODD), min_size=1, max_size=4))
def test_an_odd_request_breaks_no_report(fields: dict[str, Any]) -> None:
    """With any of its fields replaced; the others of its week are counted, and it too if its time is one."""
    shop = busy_again()
    shop.store.put("generationRequests/odd", {**REQUEST, "createdAt": END - timedelta(days=3), **fields})
    is_in_week = "createdAt" not in fields
    check_everything(shop, "report_2026-11-16", requests=71 + is_in_week)


@pytest.mark.parametrize("odd", [None, 5, "2026-11-23", math.nan, [END], {"a": END}], ids=repr)
def test_the_latest_report_is_found_beside_odd_ones(odd: Any) -> None:
    """With ends of their windows that are missing, of another type, or not a number."""
    shop = busy_again()
    shop.make()
    shop.store.put("reports/odd", {"windowEnd": odd})
    shop.store.put("reports/report_2026-11-09", {"windowEnd": odd})
    latest = shop.reports.read(None, shop.clock())
    assert latest is not None
    assert latest.id == "report_2026-11-23"
