"""Requests, counted."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reporting.fold import DayFold, usage_of
from reporting.usage import Counts, Day, Usage
from tests.support.builders import IMAGE_URL, LEASE_SECONDS, Books
from tests.unit.reporting.helpers import CREATED


def folded(*requests: dict[str, Any]) -> Usage:
    fold = DayFold("2026-11-20")
    for request in requests:
        fold.add(request)
    return usage_of([fold])


def test_each_request_is_counted_once_in_every_breakdown() -> None:
    """By outcome, option, day and reason; credits are spent if it completed, otherwise refunded if it ended."""
    request = {"userId": "ann", "model": "model-a", "style": "anime", "createdAt": CREATED, "cost": 3}
    usage = folded(
        {**request, "status": "completed", "updatedAt": CREATED + timedelta(seconds=4), "size": "512x512"},
        {**request, "status": "failed", "updatedAt": CREATED + timedelta(seconds=2), "failure": "GENERATION_FAILED"},
        {**request, "status": "canceled", "updatedAt": CREATED + timedelta(seconds=1)},
        {**request, "status": "pending", "userId": "bob"},
    )
    assert (usage.counts, usage.pending, usage.unknown) == (Counts(4, 1, 1, 1), 1, 0)
    assert (usage.credits_spent, usage.credits_refunded, usage.distinct_users) == (3, 6, 2)
    assert (usage.success_percent, usage.median_seconds, usage.p95_seconds) == (50, 4, 4)
    assert (usage.by["style"], usage.by["size"]["unknown"]) == ({"anime": Counts(4, 1, 1, 1)}, Counts(3, 0, 1, 1))
    assert usage.days == {"2026-11-20": Day(4, 1, 1, 1, 1, 0, 3, 6)}
    assert usage.failure_reasons == {"GENERATION_FAILED": 1}


def test_the_time_is_from_order_to_picture() -> None:
    """A claimed request's wait in the queue is in it; one that failed has no picture, so its lease is not in it."""
    books = Books()
    books.add_user()
    waiting, lost = books.reserve(), books.reserve()
    for path in (waiting.document.path, lost.document.path):
        books.change(path, claimableAt=books.clock(), claims=["claim"])
    waiting = replace(waiting, run_id="claim", document=books.store.read_one(waiting.document.path))
    books.clock.forward(90)
    books.ledger.complete(waiting, IMAGE_URL)
    books.clock.forward(LEASE_SECONDS)
    books.ledger.release_expired()
    usage = folded(*(dict(books.fields(each.document.path)) for each in (waiting, lost)))
    assert (usage.completed, usage.failed, usage.median_seconds, usage.p95_seconds) == (1, 1, 90, 90)


def test_a_week_in_parts_is_the_week() -> None:
    """Folded in two parts the figures are the same as in one."""
    requests = [
        {
            "userId": f"u{number % 7}",
            "status": ("completed", "failed", "canceled", "pending")[number % 4],
            "cost": number % 4,
        }
        | {"style": f"s{number % 5}", "createdAt": CREATED, "updatedAt": CREATED + timedelta(seconds=number)}
        for number in range(60)
    ]
    whole, left, right = DayFold("2026-11-20"), DayFold("2026-11-20"), DayFold("2026-11-20")
    for number, request in enumerate(requests):
        whole.add(request)
        (left if number < 25 else right).add(request)
    assert usage_of([left, right]) == usage_of([whole])


@pytest.mark.parametrize(
    "fields",
    [
        {"style": None},
        {"style": ""},
        {"style": 5},
        {"style": True},
        {"style": ["anime"]},
        {"style": {"anime": 1}},
        {"style": "__x__"},
        {"style": "x" * 300},
        {"style": "__a\nb__"},
        {"status": "exploded"},
        {"status": ["completed"]},
        {"cost": "1"},
        {"cost": True},
        {"cost": 2**62},
        {"cost": 1_000_001},
        {"cost": float("nan")},
        {"cost": [1]},
        {"userId": 5},
        {"userId": ["ann"]},
        {"updatedAt": datetime(9999, 1, 1, tzinfo=UTC)},
        {"updatedAt": "yesterday"},
        {"updatedAt": CREATED - timedelta(days=1)},
    ],
)
def test_a_document_that_somebody_broke_is_counted(fields: dict[str, Any]) -> None:
    """A missing or impossible value counts as unknown and does not stop the report."""
    request = {"userId": "ann", "style": "anime", "status": "completed", "cost": 1, "createdAt": CREATED}
    usage = folded({**request, "updatedAt": CREATED + timedelta(seconds=4), **fields})
    (field,) = fields
    assert usage.total == 1
    assert usage.by["style"] == {"unknown" if field == "style" else "anime": Counts(1, int(field != "status"), 0)}
    assert usage.credits_spent == (0 if field in ("cost", "status") else 1)
    assert usage.distinct_users == (0 if field == "userId" else 1)
    assert usage.median_seconds == (None if field in ("updatedAt", "status") else 4)


def test_credits_that_had_nobody_to_go_back_to_are_not_refunded() -> None:
    """As in the ledger: an account that was deleted gets nothing."""
    usage = folded(*({"status": "failed", "cost": 3, "failure": name} for name in ("ACCOUNT_DELETED", "LEASE_EXPIRED")))
    assert (usage.failed, usage.credits_spent, usage.credits_refunded) == (2, 0, 3)


def test_more_options_than_a_report_holds_are_added_up() -> None:
    """The most frequent 200 styles and reasons have their names; nothing is lost of the others."""
    usage = folded(*({"style": f"s{number}", "status": "failed", "failure": f"f{number}"} for number in range(1000)))
    assert (len(usage.by["style"]), usage.by["style"]["other"]) == (201, Counts(800, 0, 800))
    assert (len(usage.failure_reasons), usage.failure_reasons["other"]) == (201, 800)


@pytest.mark.parametrize("users", [0, 1, 100_000])
def test_users_are_counted_exactly(users: int) -> None:
    """Users who ordered on two days count once, also when there are 100,000 of them."""
    monday, tuesday = DayFold("2026-11-16"), DayFold("2026-11-17")
    for number in range(users):
        monday.add({"userId": f"user-{number}"})
        tuesday.add({"userId": f"user-{number // 2}"})
    assert usage_of([monday, tuesday]).distinct_users == users


def test_quantiles_are_those_of_the_sorted_times() -> None:
    """The nearest rank, in any order of arrival."""
    milliseconds = [random.Random(1).randrange(1, 90_000) for _ in range(997)]
    requests = [
        {"status": "completed", "createdAt": CREATED, "updatedAt": CREATED + timedelta(milliseconds=each)}
        for each in milliseconds
    ]
    usage = folded(*requests)
    ordered = sorted(milliseconds)
    assert (usage.median_seconds, usage.p95_seconds) == (ordered[498] / 1000, ordered[947] / 1000)
