"""The catalog: what it holds, how long it is served, and how it is refreshed."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from grpc import StatusCode

from credits.documents import MAX_COST_CREDITS
from errors import InvalidRequest, Unavailable
from images.catalog import MAX_STALENESS, Catalog, CatalogCache, choice_problem, quotable
from reporting.fold import DayFold, usage_of
from store import Connection, Deadline, RetryPolicy, Store, StoreError
from tests.support.builders import Clock, Stopwatch, expired, failing, impatient, quiet
from tests.support.memory import MemoryStore

TTL_SECONDS = 60.0
OFFER: dict[str, Any] = {"model": "model-a", "style": "anime", "color": "neon", "size": "512x512"}


class Cache:
    """A catalog of one of each option, its cache and the clock of the cache; counts reads of sizes."""

    def __init__(self) -> None:
        self.stopwatch = Stopwatch()
        self.store = MemoryStore(Clock(), impatient(self.stopwatch))
        for path in ("styles/anime", "colors/neon"):
            self.store.put(path, {})
        self.store.put("sizes/512x512", {"credits": 1})
        self.cache = CatalogCache(self.store, ["model-a", "model-b"], TTL_SECONDS, self.stopwatch)

    @property
    def reads(self) -> int:
        return sum(query.collection == "sizes" for query in self.store.queries)

    def refreshed(self) -> Catalog:
        """The catalog once the refresh that this call starts has ended."""
        self.cache.current()
        wait_for_refresh()
        return self.cache.current()


@pytest.fixture
def shop() -> Iterator[Cache]:
    yield Cache()
    wait_for_refresh()


def wait_for_refresh() -> None:
    for thread in threading.enumerate():
        if thread.name == "catalog":
            thread.join(10)


def test_the_catalog_is_what_the_documents_say(shop: Cache) -> None:
    """A document's id is the option; a size's credits are its price."""
    catalog = shop.cache.current()
    assert catalog == Catalog(["model-a", "model-b"], ["anime"], ["neon"], {"512x512": 1})
    assert catalog.options() == {
        "model": ["model-a", "model-b"],
        "style": ["anime"],
        "color": ["neon"],
        "size": ["512x512"],
    }


def test_a_new_document_is_a_new_option(shop: Cache) -> None:
    """Within the time to live, without a deploy."""
    shop.cache.current()
    shop.store.put("sizes/2048x2048", {"credits": 9})
    shop.stopwatch.forward(TTL_SECONDS + 1)
    assert shop.refreshed().size_credits == {"512x512": 1, "2048x2048": 9}


def test_its_three_queries_go_side_by_side(shop: Cache) -> None:
    """One round trip's time: all three are sent before one is answered."""
    asked: list[int] = []
    original = shop.store.query_all

    def query_all(queries: list[object], deadline: Deadline) -> object:
        asked.append(len(queries))
        return original(queries, deadline)  # type: ignore[arg-type]

    shop.store.query_all = query_all  # type: ignore[method-assign, assignment]
    shop.cache.current()
    assert asked == [3]


def test_a_fresh_catalog_is_not_read_again(shop: Cache) -> None:
    """Up to its time to live."""
    shop.cache.current()
    shop.stopwatch.forward(TTL_SECONDS)
    shop.cache.current()
    wait_for_refresh()
    assert shop.reads == 1


def test_a_stale_catalog_is_served_while_it_is_refreshed(shop: Cache) -> None:
    """The caller does not wait; the next one gets the new catalog."""
    shop.cache.current()
    shop.store.put("styles/sketch", {})
    shop.stopwatch.forward(TTL_SECONDS + 1)
    assert shop.cache.current().styles == ["anime"]
    wait_for_refresh()
    assert shop.cache.current().styles == ["anime", "sketch"]
    assert shop.reads == 2


def test_one_refresh_runs_at_a_time(shop: Cache) -> None:
    """A crowd that meets a stale catalog starts one read, and all are served at once."""
    shop.cache.current()
    may_answer = threading.Event()

    def wait(name: str) -> None:
        assert may_answer.wait(10)

    shop.store.before_rpc = wait
    shop.stopwatch.forward(TTL_SECONDS + 1)
    with ThreadPoolExecutor(16) as threads:
        catalogs = list(threads.map(lambda _: shop.cache.current(), range(64)))
    refreshes = sum(thread.name == "catalog" for thread in threading.enumerate())
    may_answer.set()
    assert refreshes == 1
    assert all(catalog is catalogs[0] for catalog in catalogs)
    wait_for_refresh()
    assert shop.reads == 2


def test_a_catalog_that_is_too_old_is_read_first(shop: Cache) -> None:
    """An instance that was idle does not sell by yesterday's prices."""
    shop.cache.current()
    shop.store.put("sizes/512x512", {"credits": 5})
    shop.stopwatch.forward(TTL_SECONDS * MAX_STALENESS + 1)
    assert shop.cache.current().size_credits == {"512x512": 5}


@pytest.mark.parametrize("age", [TTL_SECONDS + 1, TTL_SECONDS * MAX_STALENESS + 1])
def test_a_refresh_that_fails_keeps_the_old_catalog(
    shop: Cache, age: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the background or first: it is logged once, and not tried again before the next time to live has passed."""
    old = shop.cache.current()
    shop.store.before_rpc = failing(StatusCode.PERMISSION_DENIED, "RunQuery", times=1_000)
    shop.stopwatch.forward(age)
    assert shop.refreshed() is old
    assert capsys.readouterr().err.count("catalog not refreshed") == 1
    shop.store.before_rpc = quiet
    shop.store.put("styles/sketch", {})
    assert shop.refreshed() is old
    shop.stopwatch.forward(TTL_SECONDS + 1)
    assert shop.refreshed().styles == ["anime", "sketch"]


def test_an_emptied_catalog_keeps_the_old_one(shop: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    """Deleting every style by mistake closes no running shop, and the log says which part is empty."""
    old = shop.cache.current()
    shop.store.remove("styles/anime")
    shop.stopwatch.forward(TTL_SECONDS + 1)
    assert shop.refreshed() is old
    logged = capsys.readouterr().err
    assert "catalog empty" in logged
    assert "catalog not refreshed" in logged


@pytest.mark.parametrize("part", ["styles/anime", "colors/neon", "sizes/512x512"])
def test_an_empty_catalog_is_not_cached(shop: Cache, part: str) -> None:
    """Without a style, a color or a size there is nothing to sell; the next call looks again."""
    removed = shop.store.everything()[part]
    shop.store.remove(part)
    with pytest.raises(Unavailable):
        shop.cache.current()
    shop.store.put(part, removed)
    assert shop.cache.current().price(**OFFER) == 1


def test_the_first_callers_share_one_read(shop: Cache) -> None:
    """A crowd at a cold start reads the catalog once."""
    together = threading.Barrier(16)

    def ask(_: int) -> Catalog:
        together.wait()
        return shop.cache.current()

    with ThreadPoolExecutor(16) as threads:
        catalogs = list(threads.map(ask, range(16)))
    assert all(catalog is catalogs[0] for catalog in catalogs)
    assert shop.reads == 1


def test_the_first_read_ends_with_its_callers_deadline(shop: Cache) -> None:
    """A caller without time left gets Unavailable, also while another one reads."""
    with pytest.raises(Unavailable):
        shop.cache.current(expired(shop.stopwatch))
    is_reading, may_answer = threading.Event(), threading.Event()

    def wait(name: str) -> None:
        is_reading.set()
        assert may_answer.wait(10)

    shop.store.before_rpc = wait
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(shop.cache.current)
        assert is_reading.wait(10)
        with pytest.raises(Unavailable):
            shop.cache.current(Deadline.after(0.01))
        may_answer.set()
        assert first.result().price(**OFFER) == 1


@pytest.mark.parametrize("credits", [0, -1, True, "3", 1.5, None, float("nan"), MAX_COST_CREDITS + 1, 2**62])
def test_a_price_that_is_not_one_leaves_its_size_out(
    shop: Cache, credits: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """A price is an integer that a report can count; the log names the document."""
    shop.store.put("sizes/huge", {"credits": credits})
    assert shop.cache.current().size_credits == {"512x512": 1}
    assert "sizes/huge" in capsys.readouterr().err


def test_the_highest_price_is_one_that_a_report_counts(shop: Cache) -> None:
    """What is sold is in the sums."""
    shop.store.put("sizes/huge", {"credits": MAX_COST_CREDITS})
    price = shop.cache.current().size_credits["huge"]
    day = DayFold("2026-11-20")
    for status in ("completed", "completed", "failed"):
        day.add({"status": status, "cost": price})
    usage = usage_of([day])
    assert (usage.credits_spent, usage.credits_refunded) == (2_000_000, 1_000_000)


def test_the_price_is_the_sizes(shop: Cache) -> None:
    """The other options cost nothing extra."""
    assert shop.cache.current().price(**OFFER) == 1


def test_an_order_that_is_not_on_offer_has_no_price(shop: Cache) -> None:
    """Every bad option is named at once, with the values allowed; it is given back and not raised."""
    error = shop.cache.current().price(model="model-x", style="anime", color="mauve", size="512x512")
    assert isinstance(error, InvalidRequest)
    assert error.message == (
        "Invalid model 'model-x'. Available models: model-a, model-b. Invalid color 'mauve'. Available colors: neon"
    )
    assert error.details["fields"] == [
        {
            "field": "model",
            "message": "Invalid model 'model-x'. Available models: model-a, model-b",
            "allowed": ["model-a", "model-b"],
        },
        {"field": "color", "message": "Invalid color 'mauve'. Available colors: neon", "allowed": ["neon"]},
    ]


def test_what_is_wrong_with_a_choice() -> None:
    """Missing, of the wrong type, or not on offer; each names the values allowed."""
    assert choice_problem("style", "anime", ["anime"]) is None
    for value, message in (
        (None, "style is required. Available styles: anime, sketch"),
        (5, "Invalid style: it must be a string. Available styles: anime, sketch"),
        (["anime"], "Invalid style: it must be a string. Available styles: anime, sketch"),
        ("x", "Invalid style 'x'. Available styles: anime, sketch"),
    ):
        problem = choice_problem("style", value, ["anime", "sketch"])
        assert problem is not None
        assert (problem.message, problem.allowed) == (message, ["anime", "sketch"])
        assert problem.is_missing == (value is None)


def test_a_clients_text_is_quoted_briefly_and_can_be_encoded() -> None:
    """A long text is cut, and a lone surrogate is replaced."""
    assert quotable("short") == "short"
    assert quotable("x" * 101) == "x" * 100 + "…"
    assert quotable("a\ud800b") == "a?b"


class Silent(Connection):
    """Firestore does not answer."""

    def __init__(self) -> None:
        self.asked = 0

    def run_queries(self, queries: Any, timeout_seconds: float, read_time: Any = None) -> Any:
        self.asked += 1
        time.sleep(timeout_seconds)
        raise StoreError(StatusCode.DEADLINE_EXCEEDED)


def test_those_who_wait_for_the_first_catalog_fail_together() -> None:
    """One read for all: otherwise each would hold its thread for a read of its own, one after the other."""
    silent = Silent()
    cache = CatalogCache(Store(lambda: silent, RetryPolicy(max_seconds=0.3)), ["model-a"], 60, time.monotonic)

    def ask(_: int) -> None:
        with pytest.raises(Unavailable):
            cache.current(Deadline.after(5))

    with ThreadPoolExecutor(8) as callers:
        list(callers.map(ask, range(8)))
    # One caller's attempts, and perhaps another's who came just after; eight callers would ask more than 20 times.
    assert silent.asked <= 10


def test_a_refresh_that_fails_unexpectedly_keeps_the_old_catalog(
    shop: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    """A library's exception in the background is logged without its message, like any other."""

    def broken(name: str) -> None:
        raise ValueError("words of a library")

    old = shop.cache.current()
    shop.store.before_rpc = broken
    for age in (TTL_SECONDS + 1, TTL_SECONDS * MAX_STALENESS + 1):
        shop.stopwatch.forward(age)
        assert shop.refreshed() is old
    printed = capsys.readouterr()
    assert "catalog not refreshed" in printed.err
    assert "words of a library" not in printed.err
