"""A weekly report and its stored form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from reporting import stored
from reporting.findings import CRITICAL, Finding
from reporting.usage import Usage
from reporting.window import WEEK, Window
from schemas.report import ReportSummary

# Firestore adds up whole numbers of 64 bits. Beyond that the sum is only about right.
MAX_OUTSTANDING_CREDITS = 2**63 - 1
# Worth reading. The rest is only counted.
MAX_FINDINGS = 100


class Week(NamedTuple):
    """A week before a report's."""

    window: Window
    usage: Usage


class Outstanding(NamedTuple):
    """The credits that all users together held at a moment."""

    credits: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """A weekly report. None is "not known"; in reports of older forms much is.

    `previous_id` is the report of the week before; without one, `previous` is what was counted in that week.
    `outstanding` is of the moment at which the report was first made. `announced` says when each alert was sent, by its
    id. `weeks` are those before, if they were read to make the report, and `stored` is the document, if it was read
    from one. At most MAX_FINDINGS findings are kept.
    """

    id: str
    window: Window | None
    usage: Usage
    findings: Sequence[Finding] | None
    finding_count: int = 0
    previous_id: str | None = None
    previous: Usage | None = None
    generated_at: datetime | None = None
    outstanding: Outstanding | None = None
    announced: Mapping[str, Any] | None = None
    weeks: Sequence[Week] | None = None
    stored: Mapping[str, Any] | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """What is stored: of an older form, what that had."""
        return self.to_fields() if self.stored is None else self.stored

    @property
    def critical(self) -> Sequence[Finding]:
        """The critical findings."""
        return [finding for finding in self.findings or () if finding.severity == CRITICAL]

    def summary(self) -> ReportSummary:
        """The report in short."""
        usage, window = self.usage, self.window
        return ReportSummary(
            report_id=self.id,
            window_start=window.start if window else None,
            window_end=window.end if window else None,
            scheduled=window.scheduled if window else None,
            generated_at=self.generated_at,
            total_requests=usage.total,
            total_completed=usage.completed,
            total_failed=usage.failed,
            total_canceled=usage.canceled,
            total_credits_granted=usage.credits_granted,
            total_credits_revoked=usage.credits_revoked,
            total_credits_spent=usage.credits_spent,
            total_credits_refunded=usage.credits_refunded,
            anomaly_count=None if self.findings is None else self.finding_count,
            critical_count=None if self.findings is None else len(self.critical),
        )

    def unannounced(self) -> dict[str, Finding]:
        """The critical findings that nobody was told of, by their alerts' ids."""
        alerts = {finding.alert_id(self.id): finding for finding in self.critical}
        return {alert_id: finding for alert_id, finding in alerts.items() if alert_id not in (self.announced or {})}

    def to_fields(self) -> dict[str, Any]:
        """The stored form."""
        return {
            **self.usage.to_fields(),
            "anomalies": [finding.to_fields() for finding in self.findings or ()],
            "anomalyCount": self.finding_count,
            "windowStart": self.window and self.window.start,
            "windowEnd": self.window and self.window.end,
            "scheduled": self.window is not None and self.window.scheduled,
            "previousReportId": self.previous_id,
            "previous": self.previous and self.previous.to_fields(),
            "generatedAt": self.generated_at,
            "outstanding": self.outstanding and {"credits": self.outstanding.credits, "at": self.outstanding.at},
            "announced": dict(self.announced or {}),
        }

    @classmethod
    def from_fields(cls, report_id: str, fields: Mapping[str, Any]) -> "Report":
        """Reads the stored form or an older one. What is odd is not known."""
        anomalies, previous_id, previous = (fields.get(name) for name in ("anomalies", "previousReportId", "previous"))
        items = list(filter(None, map(Finding.from_fields, anomalies))) if isinstance(anomalies, list) else []
        findings = sorted(items, key=lambda finding: finding.severity != CRITICAL)
        return cls(
            id=report_id,
            window=_window(report_id, fields),
            usage=Usage.from_fields(fields),
            findings=findings if items or anomalies == [] else None,
            finding_count=stored.count(fields.get("anomalyCount")) or len(items),
            previous_id=previous_id if isinstance(previous_id, str) else None,
            previous=Usage.from_fields(previous) if isinstance(previous, Mapping) else None,
            generated_at=stored.moment(fields.get("generatedAt")),
            outstanding=_outstanding(fields.get("outstanding")),
            announced=stored.mapping(fields.get("announced")),
            stored=fields,
        )


def _outstanding(value: Any) -> Outstanding | None:
    fields = stored.mapping(value) or {}
    credits, at = stored.count(fields.get("credits"), MAX_OUTSTANDING_CREDITS), stored.moment(fields.get("at"))
    return None if credits is None or at is None else Outstanding(credits, at)


def _window(report_id: str, fields: Mapping[str, Any]) -> Window | None:
    """As stored, or of an older form as its id says."""
    start, end = stored.moment(fields.get("windowStart")), stored.moment(fields.get("windowEnd"))
    of_id = Window.of_id(report_id)
    if end is None:
        return of_id
    # As in an id: earlier years leave no room for the weeks before.
    if end.year < 1970:
        return None
    return None if start not in (None, end - WEEK) else Window(end, scheduled=of_id is None or of_id.scheduled)
