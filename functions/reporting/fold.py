"""Generation requests, grants and revocations -> Usage. They are added one by one, and only counts of them are kept."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from credits.documents import ACCOUNT_DELETED, CANCELED, COMPLETED, FAILED, MAX_COST_CREDITS, STATUSES
from reporting import stored
from reporting.usage import DIMENSIONS, OTHERS, UNKNOWN, Counts, Day, Usage, percent

# All that is read of a request.
FIELDS = ("userId", *DIMENSIONS, "cost", "status", "failure", "createdAt", "updatedAt")
# All that is read of a grant or a revocation.
MOVED_FIELDS = ("credits", "timestamp")
# A report is one document of at most 1 MiB: options that are rarer than the first 200 are added up.
MAX_OPTIONS = 200
MAX_NAME_BYTES = 100
# No generation takes longer. A document that says so is broken and must not spoil a quantile.
MAX_MILLISECONDS = 86_400_000
# Firestore reserves these as names of fields: https://firebase.google.com/docs/firestore/quotas#limits
_RESERVED_NAME = re.compile(r"__.*__", re.DOTALL)
_MILLISECOND = timedelta(milliseconds=1)
# Which of a Day's sums the cost of a request belongs to.
_CREDITS = {COMPLETED: "credits_spent", FAILED: "credits_refunded", CANCELED: "credits_refunded"}


class DayFold:
    """One day's requests, counted. Distinct users are kept as Python's own 8-byte hashes, 80 bytes of memory a user."""

    __slots__ = ("date", "milliseconds", "rows", "users")

    def __init__(self, date: str) -> None:
        self.date = date
        self.rows: Counter[tuple[Any, ...]] = Counter()
        self.users: set[int] = set()
        self.milliseconds: Counter[int] = Counter()

    def add(self, request: Mapping[str, Any]) -> None:
        """Counts one request. For speed, requests that are alike share a row, and its values are checked later."""
        get = request.get
        status, cost, user_id = get("status"), get("cost"), get("userId")
        # True is 1 as a key, but it is not a price.
        cost = cost if type(cost) is int else None
        row: tuple[Any, ...] = (get("model"), get("style"), get("color"), get("size"), status, cost, get("failure"))
        try:
            self.rows[row] += 1
        except TypeError:
            # A list or a map, which cannot be a key.
            row = tuple(value if isinstance(value, str | int) else None for value in row)
            self.rows[row] += 1
            status = row[4]
        if isinstance(user_id, str):
            self.users.add(hash(user_id))
        if status == COMPLETED:
            created, updated = get("createdAt"), get("updatedAt")
            if isinstance(created, datetime) and isinstance(updated, datetime):
                milliseconds = round((updated - created) / _MILLISECOND)
                if 0 <= milliseconds <= MAX_MILLISECONDS:
                    self.milliseconds[milliseconds] += 1


class CreditsFold:
    """The credits of grants or of revocations, by UTC day; without those that no order can have."""

    __slots__ = ("by_date",)

    def __init__(self) -> None:
        self.by_date: Counter[str] = Counter()

    def add(self, moved: Mapping[str, Any]) -> None:
        """Counts one grant or revocation."""
        credits, at = stored.credits(moved.get("credits")), moved.get("timestamp")
        if credits is not None and isinstance(at, datetime):
            self.by_date[f"{at:%Y-%m-%d}"] += credits


def usage_of(folds: Sequence[DayFold]) -> Usage:
    """All days together. A value that is missing or impossible counts as unknown."""
    days = {fold.date: Counter[str]() for fold in folds}
    options: dict[str, dict[str, Counts]] = {dimension: {} for dimension in DIMENSIONS}
    spent: dict[str, Counter[str]] = {dimension: Counter() for dimension in DIMENSIONS}
    reasons: dict[str, Counts] = {}
    for fold in folds:
        for (*names, given_status, cost, failure), count in fold.rows.items():
            status = given_status if given_status in STATUSES else UNKNOWN
            days[fold.date].update({"total": count, status: count})
            outcomes = (count * (status == outcome) for outcome in (COMPLETED, FAILED, CANCELED))
            counts = Counts(count, *outcomes)
            # The credits of a deleted account had nobody to go back to.
            is_priced = failure != ACCOUNT_DELETED and cost is not None and 0 < cost <= MAX_COST_CREDITS
            credits = count * cost if is_priced and status in _CREDITS else 0
            if credits:
                days[fold.date][_CREDITS[status]] += credits
            for dimension, name in zip(DIMENSIONS, names, strict=True):
                option = _option(name)
                options[dimension][option] = options[dimension].get(option, Counts()) + counts
                spent[dimension][option] += credits * (status == COMPLETED)
            if status == FAILED:
                reasons[_option(failure)] = reasons.get(_option(failure), Counts()) + counts
    whole = sum(days.values(), Counter[str]())
    by = {dimension: _most_used(options[dimension]) for dimension in DIMENSIONS}
    milliseconds = sum((fold.milliseconds for fold in folds), Counter[int]())
    figures: dict[str, Any] = {name: whole[name] for name in ("total", *STATUSES, UNKNOWN, *_CREDITS.values())}
    return Usage(
        **figures,
        distinct_users=len(set[int]().union(*(fold.users for fold in folds))),
        success_percent=percent(whole[COMPLETED], whole[COMPLETED] + whole[FAILED]),
        median_seconds=_quantile_seconds(milliseconds, 0.5),
        p95_seconds=_quantile_seconds(milliseconds, 0.95),
        by=by,
        credits_by={dimension: _credits_of(by[dimension], spent[dimension]) for dimension in DIMENSIONS},
        days={date: Day(**counts) for date, counts in days.items() if counts},
        failure_reasons={reason: counts.total for reason, counts in _most_used(reasons).items()},
    )


def with_moved(usage: Usage, granted: CreditsFold, revoked: CreditsFold) -> Usage:
    """The week with the credits that were granted and revoked in it. A sum that no week can have is not known."""
    moved: dict[str, Any] = {}
    days = dict(usage.days)
    for name, fold in (("credits_granted", granted), ("credits_revoked", revoked)):
        moved[name] = stored.credits(fold.by_date.total())
        for date, credits in fold.by_date.items() if moved[name] else ():
            days[date] = replace(days.get(date, Day()), **{name: credits})
    return replace(usage, **moved, days=days)


def _option(value: Any) -> str:
    """A value as the name of a stored field, which must not be empty, reserved or long."""
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= MAX_NAME_BYTES or _RESERVED_NAME.fullmatch(value):
        return UNKNOWN
    return value


def _most_used(options: Mapping[str, Counts]) -> dict[str, Counts]:
    """The most used options, and the others together."""
    ranked = sorted(options, key=lambda name: (-options[name].total, name))
    most = {name: options[name] for name in ranked[:MAX_OPTIONS]}
    if others := ranked[MAX_OPTIONS:]:
        most[OTHERS] = sum((options[name] for name in others), most.get(OTHERS, Counts()))
    return most


def _credits_of(most_used: Mapping[str, Counts], spent: Mapping[str, int]) -> dict[str, int]:
    """The credits spent on each of the options that _most_used gives."""
    credits = dict.fromkeys(most_used, 0)
    for name, count in spent.items():
        credits[name if name in most_used else OTHERS] += count
    return credits


def _quantile_seconds(milliseconds: Mapping[int, int], share: float) -> float | None:
    """The smallest time that this share of the completed requests did not exceed: the nearest-rank definition."""
    ordered = sorted(milliseconds)
    ranks = list(accumulate(milliseconds[each] for each in ordered))
    return ordered[bisect_left(ranks, share * ranks[-1])] / 1000 if ranks else None
