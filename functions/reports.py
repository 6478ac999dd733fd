"""Window -> usage -> weekly report."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import nsmallest
from itertools import pairwise
from typing import Any

import anomalies
import database
import logs
from consistency import COMPLETED, FAILED, PENDING
from database import Answer, Commit, Database, Document, Query, Write
from week_usage import ADDED_UP

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
HISTORY_WEEKS = 8
# A manual run's week before may overlap its window by a day, so that a report made on a Sunday has one.
MANUAL_BASELINE_AGE = timedelta(days=6)
READ_THREADS = 2
# A report is one document of at most 1 MiB; what is rarer than the most frequent options is added up.
MOST_OPTIONS = 200
# Exact below this many users; above it an estimate whose standard error is 1 in 128, the root of this number.
COUNTED_USERS = 16_384

UNKNOWN = "unknown"
STORED, REPLACED, SUPERSEDED = "stored", "replaced", "superseded"
_DIMENSIONS = {"byModel": "model", "byStyle": "style", "byColor": "color", "bySize": "size"}
_FIELDS = ("userId", *_DIMENSIONS.values(), "cost", "status", "failure", "createdAt", "updatedAt")
REPORT_ID = re.compile(r"report_([0-9]{4}-[0-9]{2}-[0-9]{2})(T[0-9]{6}Z)?")
# No image costs more and no generation takes longer; a document that says so is broken, and must not spoil a sum.
MOST_CREDITS = 1_000_000
MOST_MILLISECONDS = 86_400_000
# Worth reading; the rest is counted.
MOST_FINDINGS = 100
_ANY_TIME = datetime(9999, 1, 1, tzinfo=UTC)
_HASH_RANGE = 2**64
MOST_NAME_BYTES = 100
_RESERVED_NAME = re.compile(r"__.*__", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Window:
    """Seven days, half-open: [end - 7 days, end), in UTC. A scheduled one ends at midnight."""

    end: datetime
    scheduled: bool

    @classmethod
    def of_schedule(cls, schedule_time: datetime) -> "Window":
        """The window that ends on the schedule time's day, so that a late retry means the same week."""
        day = schedule_time.astimezone(UTC)
        return cls(_midnight(day), scheduled=True)

    @classmethod
    def ending_now(cls, now: datetime) -> "Window":
        """The window that ends now, to the second."""
        return cls(now.astimezone(UTC).replace(microsecond=0), scheduled=False)

    @property
    def start(self) -> datetime:
        return self.end - WEEK

    @property
    def report_id(self) -> str:
        return _scheduled_id(self.end) if self.scheduled else f"report_{self.end:%Y-%m-%dT%H%M%SZ}"

    def before(self) -> "Window":
        """The seven days before these."""
        return Window(self.start, self.scheduled)

    def days(self) -> list[tuple[datetime, datetime]]:
        """The window cut at every midnight in UTC."""
        first = _midnight(self.start)
        midnights = [first + number * DAY for number in range(1, 8)]
        cuts = [self.start, *(midnight for midnight in midnights if self.start < midnight < self.end), self.end]
        return list(pairwise(cuts))


@dataclass(slots=True)
class Distinct:
    """How many different texts: their smallest hashes, from whose density the rest is estimated.

    Source: Bar-Yossef, Jayram, Kumar, Sivakumar, Trevisan, "Counting distinct elements in a data stream" (2002).
    """

    smallest: set[int] = field(default_factory=set)

    def add(self, text: str) -> None:
        self.smallest.add(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()))
        # Trimmed seldom, since it costs a pass; nothing is lost in between.
        if len(self.smallest) > 2 * COUNTED_USERS:
            self._trim()

    def merge(self, other: "Distinct") -> "Distinct":
        merged = Distinct(self.smallest | other.smallest)
        merged._trim()
        return merged

    def count(self) -> int:
        self._trim()
        if len(self.smallest) < COUNTED_USERS:
            return len(self.smallest)
        return round((COUNTED_USERS - 1) * _HASH_RANGE / max(self.smallest))

    def _trim(self) -> None:
        if len(self.smallest) > COUNTED_USERS:
            self.smallest = set(nsmallest(COUNTED_USERS, self.smallest))


@dataclass(slots=True)
class Usage:
    """What happened in a stretch of time: a value that folds requests and merges, in memory that they do not grow."""

    statuses: Counter[str] = field(default_factory=Counter)
    options: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    days: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    generation_ms: Counter[int] = field(default_factory=Counter)
    users: Distinct = field(default_factory=Distinct)

    def add(self, request: Mapping[str, Any]) -> None:
        """Counts one request; whatever it lacks, or holds that cannot be, counts as unknown."""
        status = request.get("status")
        status = status if status in (COMPLETED, FAILED, PENDING) else UNKNOWN
        self.statuses[status] += 1
        for dimension, name in _DIMENSIONS.items():
            self.options[dimension, _option(request.get(name)), status] += 1
        created, updated = request.get("createdAt"), request.get("updatedAt")
        day = created.date().isoformat() if isinstance(created, datetime) else UNKNOWN
        self.days[day, status] += 1
        cost = request.get("cost")
        if type(cost) is int and 0 < cost <= MOST_CREDITS:
            self.days[day, f"{status}Credits"] += cost
        if status == FAILED:
            self.reasons[_option(request.get("failure"))] += 1
        if status in (COMPLETED, FAILED) and isinstance(created, datetime) and isinstance(updated, datetime):
            milliseconds = round((updated - created).total_seconds() * 1000)
            if 0 <= milliseconds <= MOST_MILLISECONDS:
                self.generation_ms[milliseconds] += 1
        user_id = request.get("userId")
        if isinstance(user_id, str):
            self.users.add(user_id)

    def merge(self, other: "Usage") -> "Usage":
        """Both together."""
        return Usage(
            self.statuses + other.statuses,
            self.options + other.options,
            self.days + other.days,
            self.reasons + other.reasons,
            self.generation_ms + other.generation_ms,
            self.users.merge(other.users),
        )

    def report_fields(self) -> dict[str, Any]:
        """The figures of a stored report."""
        by_day = {day: self._day(day) for day in sorted({day for day, _ in self.days})}
        return {
            "totalRequests": self.statuses.total(),
            "totalCompleted": self.statuses[COMPLETED],
            "totalFailed": self.statuses[FAILED],
            "totalPending": self.statuses[PENDING],
            "totalUnknown": self.statuses[UNKNOWN],
            "totalCreditsSpent": sum(day["creditsSpent"] for day in by_day.values()),
            "totalCreditsRefunded": sum(day["creditsRefunded"] for day in by_day.values()),
            "successRate": _percent(self.statuses[COMPLETED], self.statuses[FAILED]),
            **{dimension: self._by_option(dimension) for dimension in _DIMENSIONS},
            "byDay": by_day,
            "distinctUsers": self.users.count(),
            "generationSeconds": {"median": self._generation_seconds(0.5), "p95": self._generation_seconds(0.95)},
            "failureReasons": dict(_most(self.reasons)),
        }

    def _day(self, day: str) -> dict[str, int]:
        statuses = {status: self.days[day, status] for status in (COMPLETED, FAILED, PENDING, UNKNOWN)}
        return {
            "total": sum(statuses.values()),
            **statuses,
            "creditsSpent": self.days[day, f"{COMPLETED}Credits"],
            "creditsRefunded": self.days[day, f"{FAILED}Credits"],
        }

    def _by_option(self, dimension: str) -> dict[str, dict[str, Any]]:
        totals: Counter[str] = Counter()
        for (of, option, _), count in self.options.items():
            if of == dimension:
                totals[option] += count
        kept = _most(totals)
        cells: dict[str, Counter[str]] = {}
        for (of, option, status), count in self.options.items():
            if of == dimension:
                cells.setdefault(option if option in kept else ADDED_UP, Counter())[status] += count
        return {
            option: {
                "total": cell.total(),
                COMPLETED: cell[COMPLETED],
                FAILED: cell[FAILED],
                "failureRate": _percent(cell[FAILED], cell[COMPLETED]),
            }
            for option, cell in sorted(cells.items())
        }

    def _generation_seconds(self, share: float) -> float | None:
        """The smallest time that this share of the settled requests did not exceed; the nearest-rank definition."""
        rank = share * self.generation_ms.total()
        seen = 0
        for milliseconds in sorted(self.generation_ms):
            seen += self.generation_ms[milliseconds]
            if seen >= rank:
                return milliseconds / 1000
        return None


@dataclass(frozen=True, slots=True)
class Report:
    """A weekly report: its id, its stored fields, and whether it took the place of an earlier one for the same end."""

    id: str
    fields: Mapping[str, Any]
    replaced: bool


class Reports:
    """Makes and reads weekly reports."""

    def __init__(self, db: Database, streams: Database, thresholds: anomalies.Thresholds) -> None:
        """`db` answers people and is impatient; `streams` reads a day's requests and has minutes."""
        self._db = db
        self._streams = streams
        self._thresholds = thresholds

    def make(self, window: Window, now: datetime) -> Report:
        """Reads the window's requests, compares them with the weeks before, and stores the report under its id.

        Made again for the same end it replaces the earlier one; reports are never compared with themselves.

        Raises:
            Unavailable: Firestore did not answer in time; nothing was stored.
        """
        fields = self.usage(window).report_fields()
        previous_id, counted, history = self._weeks_to_compare(window)
        found = anomalies.detect(anomalies.Usage.from_report(fields), history, self._thresholds)
        fields |= {
            "anomalies": [anomaly.to_dict() for anomaly in found[:MOST_FINDINGS]],
            "anomalyCount": len(found),
            "windowStart": window.start,
            "windowEnd": window.end,
            "scheduled": window.scheduled,
            "previousReportId": previous_id,
            # Without a report of the week before, what was counted in its stead, so that the figures can be followed.
            "previous": counted,
            "generatedAt": now,
        }
        outcome = self._store(window.report_id, fields)
        logs.info("report made", reportId=window.report_id, outcome=outcome, anomalies=len(found))
        return Report(window.report_id, fields, outcome == REPLACED)

    def read(self, report_id: str | None, now: datetime) -> Document | None:
        """A stored report; the one whose window ended last where no id is given, else the newest of an older form."""
        if report_id is not None:
            return next(iter(self._existing([report_id])), None)
        # The bound leaves out what somebody wrote as a text, which would sort behind every time.
        timely = (("windowEnd", "<=", _ANY_TIME),)
        latest = Query(database.REPORTS, where=timely, order_by="windowEnd", descending=True, limit=1)
        of_days = _scheduled_ends(_midnight(now), DAY, HISTORY_WEEKS * WEEK.days)
        return next(iter(self._db.query(latest) or self._existing(of_days)), None)

    def weeks_before(self, report_id: str, fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The weeks before a stored report, newest first: the one it was compared with, and those before that one."""
        previous_id = fields.get("previousReportId")
        newest = _end_in_id(previous_id) if isinstance(previous_id, str) else None
        if newest is None and (end := _end_in_id(report_id)) is not None:
            newest = end - WEEK
        if newest is None:
            return []
        ends = _scheduled_ends(newest, WEEK, HISTORY_WEEKS - 1)
        stored = self._existing(ends)
        weeks: list[Mapping[str, Any]] = [{"windowEnd": ends[week.id], **week.fields} for week in stored]
        counted = fields.get("previous")
        if previous_id is None and isinstance(counted, Mapping):
            weeks.insert(0, {"windowEnd": newest, **counted})
        return weeks

    def usage(self, window: Window) -> Usage:
        """The window's requests, read day by day, side by side, and folded."""
        with ThreadPoolExecutor(READ_THREADS) as threads:
            usage = Usage()
            for day in threads.map(lambda bounds: self._day_usage(*bounds), window.days()):
                usage = usage.merge(day)
            return usage

    def _day_usage(self, start: datetime, end: datetime) -> Usage:
        requests = Query(
            database.GENERATION_REQUESTS,
            where=(("createdAt", ">=", start), ("createdAt", "<", end)),
            order_by="createdAt",
        )
        return self._streams.fold(requests, _FIELDS, Usage, Usage.add)

    def _existing(self, report_ids: Iterable[str]) -> list[Document]:
        """Those of the reports that are there, in this order, in one round trip."""
        paths = [_path(report_id) for report_id in report_ids]
        documents = self._db.read(paths)
        return [documents[path] for path in paths if documents[path].data is not None]

    def _weeks_to_compare(self, window: Window) -> tuple[str | None, Mapping[str, Any] | None, list[anomalies.Usage]]:
        """The id of the report of the week before, or what was counted in its stead; and the weeks, newest first."""
        newest = window.start if window.scheduled else self._newest_baseline_end(window)
        ids = [] if newest is None else _scheduled_ends(newest, WEEK, HISTORY_WEEKS)
        earlier = {document.id: usage for document in self._existing(ids) if (usage := _readable(document))}
        history = [*earlier.values()]
        newest_id = next(iter(earlier), None)
        if newest_id is not None and (not window.scheduled or newest_id == _scheduled_id(window.start)):
            return newest_id, None, history
        counted = self.usage(window.before()).report_fields()
        # Before the first week ever there is nothing, which is no week to compare with.
        if counted["totalRequests"] > 0 or history:
            history = [anomalies.Usage.from_report(counted), *history][:HISTORY_WEEKS]
        return None, counted, history

    def _newest_baseline_end(self, window: Window) -> datetime | None:
        """The day on which the newest scheduled report ended that is old enough for a manual run."""
        ends = _scheduled_ends(_midnight(window.end - MANUAL_BASELINE_AGE), DAY, HISTORY_WEEKS * WEEK.days)
        return next((ends[document.id] for document in self._existing(ends) if _readable(document)), None)

    def _store(self, report_id: str, fields: Mapping[str, Any]) -> str:
        """Puts the report in the place of an earlier one for the same end, but not of one made later than it."""
        path = _path(report_id)

        def plan(documents: Mapping[str, Document]) -> Commit[str] | Answer[str]:
            stored = documents[path]
            if stored.data is None:
                return Commit([Write(path, fields)], lambda versions: STORED)
            made = stored.data.get("generatedAt")
            if isinstance(made, datetime) and made > fields["generatedAt"]:
                return Answer(SUPERSEDED)
            # What an older form had beside our fields would be no part of this report.
            stale = dict.fromkeys(stored.data.keys() - fields.keys(), database.REMOVED)
            return Commit([Write(path, {**stale, **fields}, stored.version)], lambda versions: REPLACED)

        return self._db.run_transaction([path], plan)


def is_report_id(text: str) -> bool:
    """Whether a text has the form of a report's id."""
    return REPORT_ID.fullmatch(text) is not None


def _readable(document: Document) -> anomalies.Usage | None:
    if document.data is None:
        return None
    try:
        return anomalies.Usage.from_report(document.data)
    except ValueError as error:
        logs.warn("report skipped", reportId=document.id, problem=str(error))
        return None


def _path(report_id: str) -> str:
    return f"{database.REPORTS}/{report_id}"


def _scheduled_id(end: datetime) -> str:
    return f"report_{end:%Y-%m-%d}"


def _scheduled_ends(newest: datetime, step: timedelta, count: int) -> dict[str, datetime]:
    """The days on which so many scheduled reports would end, newest first, by the reports' ids."""
    return {_scheduled_id(end): end for end in (newest - number * step for number in range(count))}


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _end_in_id(report_id: str) -> datetime | None:
    """The day on which a report's window ends, by its id; None where the id has none."""
    match = REPORT_ID.fullmatch(report_id)
    try:
        return datetime.fromisoformat(match[1]).replace(tzinfo=UTC) if match and int(match[1][:4]) >= 1970 else None
    except ValueError:
        return None


def _option(value: Any) -> str:
    """A value as a field's name, which may be neither empty nor reserved nor long."""
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= MOST_NAME_BYTES or _RESERVED_NAME.fullmatch(value):
        return UNKNOWN
    return value


def _percent(part: int, rest: int) -> float | None:
    return round(100 * part / (part + rest), 2) if part + rest else None


def _most(counts: Mapping[str, int]) -> Counter[str]:
    """The most frequent options, and the others together."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    most = Counter(dict(ranked[:MOST_OPTIONS]))
    if rest := sum(count for _, count in ranked[MOST_OPTIONS:]):
        most[ADDED_UP] += rest
    return most
