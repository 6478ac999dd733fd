"""The week's credits: given, taken back, spent on each option, and what users hold at its end."""

import math
from datetime import timedelta
from typing import Any

import pytest

from reporting import Report, Window
from reporting.report import Outstanding
from store import Opaque
from tests.unit.reporting.helpers import END, Shop

WEEK = timedelta(days=7)
ONE = timedelta(microseconds=1)
ODD_NUMBERS = [None, True, "5", -5, 0.5, math.nan, math.inf, 2**62, [5], Opaque("geo_point", b"")]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def moved(shop: Shop, collection: str, credits: Any, at: Any = END - timedelta(days=2)) -> None:
    number = len(shop.store.everything())
    shop.store.put(f"{collection}/m{number}", {"userId": "ann", "credits": credits, "timestamp": at})


def holding(shop: Shop, **credits: Any) -> Report:
    """The week's report when these users hold these credits."""
    for user_id, balance in credits.items():
        shop.store.put(f"users/{user_id}", {"credits": balance})
    return shop.make()


# --- Given and taken back ---


def test_grants_and_revocations_of_the_week_are_added_up(shop: Shop) -> None:
    """By the day of the ledger entry; the week's start is in it and its end is not; a day may have nothing else."""
    for at, credits in ((END - WEEK - ONE, 1), (END - WEEK, 20), (END - 2 * ONE, 300), (END, 4_000)):
        moved(shop, "grants", credits, at)
    moved(shop, "revocations", 5)
    moved(shop, "revocations", 0)
    shop.put(created=END - WEEK)
    usage = shop.make().usage
    assert (usage.credits_granted, usage.credits_revoked) == (320, 5)
    days = {date: (day.total, day.credits_granted, day.credits_revoked) for date, day in usage.days.items()}
    assert days == {"2026-11-16": (1, 20, 0), "2026-11-21": (0, 0, 5), "2026-11-22": (0, 300, 0)}


@pytest.mark.parametrize("odd", ODD_NUMBERS, ids=repr)
def test_an_odd_grant_is_left_out_and_hides_no_other(shop: Shop, odd: Any) -> None:
    """Its credits, or its time, are not what a grant has."""
    moved(shop, "grants", 7)
    moved(shop, "grants", odd)
    moved(shop, "revocations", 3, odd)
    usage = shop.make().usage
    assert (usage.credits_granted, usage.credits_revoked) == (7, 0)


def test_a_sum_that_no_week_can_have_is_not_known(shop: Shop) -> None:
    """It would make the stored report odd, and so useless as a baseline."""
    for _ in range(2):
        moved(shop, "grants", 10**15)
    assert shop.make().usage.credits_granted is None
    read = shop.reports.read("report_2026-11-23", END)
    assert read is not None
    assert (read.usage.credits_granted, read.usage.problems) == (None, ())


def test_a_week_before_that_is_counted_has_its_own_grants(shop: Shop) -> None:
    """Without a stored report of the week before, its 9 granted credits are counted anew."""
    moved(shop, "grants", 9, END - timedelta(days=9))
    shop.put(3, created=END - timedelta(days=9))
    previous = shop.make().previous
    assert previous is not None
    assert previous.credits_granted == 9


# --- Spent on what ---


def test_credits_spent_are_broken_down_by_option(shop: Shop) -> None:
    """Of completed requests only; an option that nothing was spent on has 0."""
    shop.put(2, cost=3, style="anime", size="1024x1024")
    shop.put(cost=4, style="sketch")
    shop.put(5, cost=4, style="comic", status="failed")
    usage = shop.make().usage
    assert usage.credits_by["style"] == {"anime": 6, "sketch": 4, "comic": 0}
    assert {sum(credits.values()) for credits in usage.credits_by.values()} == {usage.credits_spent}
    assert shop.stored()["bySize"]["1024x1024"]["creditsSpent"] == 6


def test_credits_spent_on_rare_options_are_added_up(shop: Shop) -> None:
    """Under the same name as their requests."""
    for number in range(203):
        shop.put(2 if number < 199 else 1, cost=1, style=f"s{number}")
    credits = shop.make().usage.credits_by["style"]
    assert (len(credits), credits["s0"], credits["other"], sum(credits.values())) == (201, 2, 3, 402)


def test_credits_by_option_are_not_known_of_an_older_report(shop: Shop) -> None:
    """Nor if those of one option are odd: they would not add up."""
    shop.put(3)
    shop.put(3, style="sketch")
    shop.make()
    stored = shop.stored()
    del stored["byStyle"]["sketch"]["creditsSpent"]
    stored["byColor"]["neon"]["creditsSpent"] = -1
    report = Report.from_fields("report_2026-11-23", stored)
    known = {dimension: bool(credits) for dimension, credits in report.usage.credits_by.items()}
    assert known == {"model": True, "style": False, "color": False, "size": True}
    assert report.usage.problems == ()


# --- Outstanding ---


def test_the_credits_of_all_users_are_added_up(shop: Shop) -> None:
    """What all users hold when the report is made is stored with it, with that time."""
    report = holding(shop, ann=97, bob=0, eve=3)
    assert report.outstanding == Outstanding(100, shop.clock())
    read = shop.reports.read(report.id, shop.clock())
    assert read is not None
    assert read.outstanding == report.outstanding


@pytest.mark.parametrize("odd", [None, True, "5", -5, math.nan, math.inf, -math.inf, [5]], ids=repr)
def test_what_is_not_a_balance_is_left_out(shop: Shop, odd: Any) -> None:
    """It hides nobody else's credits."""
    assert holding(shop, ann=97, odd=odd).outstanding == Outstanding(97, shop.clock())


def test_a_sum_that_is_not_whole_is_not_known(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """The log says so, and the audit finds the user."""
    assert holding(shop, ann=97, odd=0.5).outstanding is None
    assert "outstanding credits not known" in capsys.readouterr().out


def test_a_report_made_again_keeps_what_was_outstanding_first(shop: Shop) -> None:
    """That was nearer to the end of the week."""
    first = holding(shop, ann=97)
    shop.clock.now += timedelta(hours=1)
    assert holding(shop, ann=50).outstanding == first.outstanding
    shop.clock.now += WEEK
    assert holding(shop, ann=10).outstanding == first.outstanding


@pytest.mark.parametrize(("late", "is_known"), [(timedelta(days=1), True), (timedelta(days=1) + ONE, False)])
def test_what_is_outstanding_long_after_the_week_is_not_the_weeks(shop: Shop, late: timedelta, is_known: bool) -> None:
    """A report that is made up for later does not say it, and nothing is read for it."""
    shop.clock.now = END + late
    assert (holding(shop, ann=97).outstanding is not None) == is_known
    assert ("users" in {query.collection for query in shop.store.queries}) == is_known


@pytest.mark.parametrize(
    "odd",
    [None, 5, {}, {"credits": 5}, {"credits": -1, "at": END}, {"credits": 2**63, "at": END}, {"credits": 1, "at": "x"}],
    ids=repr,
)
def test_an_odd_sum_in_a_stored_report_is_not_known(odd: Any) -> None:
    """Anything but a count of credits with a time is read as None, as if nothing had been recorded."""
    assert Report.from_fields("report_2026-11-23", {"outstanding": odd}).outstanding is None


# --- Reads ---


def test_the_credits_cost_few_reads(shop: Shop) -> None:
    """One query for the grants, one for the revocations, and one sum."""
    shop.make()
    shop.store.queries.clear()
    shop.reports.make(Window(END), shop.clock())
    others = [query.collection for query in shop.store.queries if query.collection != "generationRequests"]
    assert sorted(others) == ["grants", "grants", "revocations", "revocations", "users"]
