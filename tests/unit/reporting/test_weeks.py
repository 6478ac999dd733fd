"""Each credit is in one week's report, whatever happens: late ends, sweeps, schedules that run late, twice or never."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

import config
import services
from credits.documents import DEDUCTION, GRANT, PROVIDER_FAILED, REFUND, REVOCATION
from credits.ledger import Ledger
from credits.orders import Order
from credits.reservations import Reservation
from errors import GenerationFailed
from reporting import Reporting, Window
from tests.support.builders import IMAGE_URL, PURCHASE, Backend
from tests.unit.reporting.helpers import END, EXAMPLES

WEEK = timedelta(days=7)
WEEKS = 5
BEGIN = END - WEEKS * WEEK
LEASES_SECONDS = (61, 600, 86_400)
TWENTY_PAST = timedelta(minutes=20)


class InstanceKilled(BaseException):
    """The platform ends a run without asking."""


@dataclass(frozen=True)
class Bought:
    """One purchase: when, for how many credits, and after how many seconds the model is done; None for a crash."""

    at: datetime
    cost_credits: int
    lease_seconds: int
    seconds: float | None
    succeeds: bool = True


@dataclass(frozen=True)
class Run:
    """A delivery of the schedule of one week: how late, and after how many round trips its instance is killed."""

    scheduled: datetime
    late: timedelta = timedelta()
    killed_after: int | None = None


class Shop:
    """The services as they are deployed, on one store."""

    def __init__(self) -> None:
        self.backend = Backend()
        for user_id in ("ann", "bob"):
            self.backend.add_user(user_id, 10_000)
        self.keys = map(str, itertools.count())
        self.reporting: Reporting = self.backend.services.reporting()
        self.agenda: list[tuple[datetime, Callable[[], object]]] = []

    def plan(self, at: datetime, act: Callable[[], object]) -> None:
        self.agenda.append((at, act))

    def live(self) -> None:
        """Does everything planned, at its time."""
        while self.agenda:
            at, act = self.agenda.pop(min(range(len(self.agenda)), key=lambda number: self.agenda[number][0]))
            self.backend.clock.now = at
            act()

    def buy(self, bought: Bought) -> None:
        ledger = self._ledger(bought.lease_seconds)
        reservation = ledger.reserve(PURCHASE, next(self.keys), bought.cost_credits)
        assert isinstance(reservation, Reservation)

        def end() -> None:
            # The sweep may have been faster.
            with suppress(GenerationFailed):
                ledger.complete(reservation, IMAGE_URL) if bought.succeeds else ledger.refund(
                    reservation, PROVIDER_FAILED
                )

        if bought.seconds is not None:
            self.plan(bought.at + timedelta(seconds=bought.seconds), end)

    def move(self, credits: int) -> None:
        """An admin gives credits to somebody who buys nothing, or takes back what is there of so many."""
        order = Order.with_key(next(self.keys), "bob", abs(credits), "because")
        if credits > 0:
            self.backend.services.grants.grant(order)
        else:
            self.backend.services.revocations.revoke(order)

    def run(self, run: Run) -> None:
        left = itertools.count(run.killed_after or 0, -1)

        def kill(name: str) -> None:
            if next(left) == 0:
                raise InstanceKilled

        self.backend.store.before_rpc = kill if run.killed_after is not None else lambda name: None
        with suppress(InstanceKilled):
            self.reporting.make_scheduled(run.scheduled)
        self.backend.store.before_rpc = lambda name: None

    def sweep(self) -> None:
        self.backend.services.ledger.release_expired()

    def reports(self) -> dict[str, Mapping[str, Any]]:
        """The weekly reports: neither manual ones nor those that somebody started on another day."""
        return {
            path: fields
            for path, fields in self.backend.store.everything().items()
            if (window := Window.of_id(path.removeprefix("reports/"))) and window.scheduled and not window.end.weekday()
        }

    def documents(self, collection: str) -> list[Mapping[str, Any]]:
        everything = self.backend.store.everything()
        return [fields for path, fields in everything.items() if collection in path.split("/")]

    def _ledger(self, lease_seconds: int) -> Ledger:
        changes = {"RESERVATION_LEASE_SECONDS": str(lease_seconds), "MAX_PENDING_PER_USER": "1000"}
        deployed = config.load({config.FIRESTORE_HOST: "127.0.0.1:1", **changes})
        return services.build(deployed, connect=self.backend.store.connect).ledger


def counted(reports: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[int, int, int]]:
    """By week: requests, credits spent and credits refunded; without weeks that have none."""
    names = ("totalRequests", "totalCreditsSpent", "totalCreditsRefunded")
    figures = {path: (report[names[0]], report[names[1]], report[names[2]]) for path, report in reports.items()}
    return {path: each for path, each in figures.items() if any(each)}


def expected(requests: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, int, int]]:
    """The same of requests that have all ended, counted anew."""
    figures: dict[str, tuple[int, int, int]] = {}
    for request in requests:
        window = Window(END + WEEK * ((request["createdAt"] - END) // WEEK + 1))
        path, cost, is_spent = f"reports/{window.report_id}", request["cost"], request["status"] == "completed"
        total, spent, refunded = figures.get(path, (0, 0, 0))
        figures[path] = (total + 1, spent + cost * is_spent, refunded + cost * (not is_spent))
    return figures


def in_weeks(entries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The credits of ledger entries by week."""
    found: dict[str, int] = {}
    for entry in entries:
        path = f"reports/{Window(END + WEEK * ((entry['timestamp'] - END) // WEEK + 1)).report_id}"
        found[path] = found.get(path, 0) + entry["credits"]
    return found


moments = st.one_of(
    st.integers(0, 7 * 86_400 * WEEKS).map(lambda seconds: BEGIN + timedelta(seconds=seconds)),
    # At the edge of a week, and so shortly before it that the request is in flight then.
    st.builds(
        lambda weeks, seconds: BEGIN + weeks * WEEK + timedelta(seconds=seconds),
        st.integers(1, WEEKS),
        st.sampled_from([0, -1e-6, 1e-6, -1, -59, -600, -86_000]),
    ),
)
purchases = st.builds(
    Bought,
    moments,
    st.integers(1, 9),
    st.sampled_from(LEASES_SECONDS),
    st.none() | st.sampled_from([0, 30, 90, 3_600, 86_390, 90_000]),
    st.booleans(),
)
# Up to nine days: the retry of one week's schedule can run after the next week's.
runs = st.builds(
    Run,
    st.integers(1, WEEKS).map(lambda weeks: BEGIN + weeks * WEEK + TWENTY_PAST),
    st.sampled_from([0, 0, 5, 3_600, 86_400, 9 * 86_400]).map(lambda seconds: timedelta(seconds=seconds)),
    st.none() | st.integers(0, 25),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    bought=st.lists(purchases, min_size=1, max_size=12),
    runs=st.lists(runs, max_size=8),
    sweeps=st.lists(moments, max_size=6),
    moved=st.lists(st.tuples(moments, st.integers(-9_000, 9_000).filter(bool)), max_size=4),
    manual=st.lists(moments, max_size=3),
    by_hand=st.lists(moments, max_size=3),
)
@example(
    bought=[Bought(END - timedelta(seconds=5), 8, 86_400, 3_600)],
    runs=[Run(END + TWENTY_PAST)],
    sweeps=[],
    moved=[(END - timedelta(microseconds=1), 5), (END, -7)],
    manual=[],
    by_hand=[],
)
@example(bought=[Bought(BEGIN, 8, 600, 1)], runs=[], sweeps=[], moved=[], manual=[], by_hand=[])
def test_every_credit_is_in_the_report_of_one_week(
    bought: list[Bought],
    runs: list[Run],
    sweeps: list[datetime],
    moved: list[tuple[datetime, int]],
    manual: list[datetime],
    by_hand: list[datetime],
) -> None:
    """Once all requests have ended and the schedule has run again, the reports add up to the ledger.

    Each also says what was granted and revoked in its week, as the ledger's entries do.
    """
    shop, last = Shop(), Run(END + 2 * WEEK + TWENTY_PAST)
    for each in bought:
        shop.plan(each.at, partial(shop.buy, each))
    for run in [*runs, *map(Run, by_hand), last]:
        shop.plan(run.scheduled + run.late, partial(shop.run, run))
    for at, credits in moved:
        shop.plan(at, partial(shop.move, credits))
    for at in manual:
        shop.plan(at, shop.reporting.make_now)
    for at in [*sweeps, last.scheduled - timedelta(days=1)]:
        shop.plan(at, shop.sweep)
    shop.live()
    reports = counted(shop.reports())
    assert reports == expected(shop.documents("generationRequests"))
    entries = shop.documents("transactions")
    taken, back = (sum(each["credits"] for each in entries if each["type"] == kind) for kind in (DEDUCTION, REFUND))
    assert [sum(figures) for figures in zip(*reports.values(), strict=True)] == [len(bought), taken - back, back]
    for kind, name in ((GRANT, "totalCreditsGranted"), (REVOCATION, "totalCreditsRevoked")):
        expected_credits = in_weeks([each for each in entries if each["type"] == kind])
        made = {path: fields[name] for path, fields in shop.reports().items()}
        assert made == {path: expected_credits.get(path, 0) for path in made}
