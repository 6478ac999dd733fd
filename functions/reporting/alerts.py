"""Tells people of a report's critical findings: one error event each in the log, and one event for all of them."""

import hashlib
import html
from collections.abc import Mapping

import logs
from events import REPORT_ANOMALIES, Event
from reporting.findings import Finding


def log(report_id: str, alerts: Mapping[str, Finding]) -> None:
    """Logs each finding under its alert's id."""
    for alert_id, finding in alerts.items():
        logs.error("report anomaly", reportId=report_id, id=alert_id, finding=_fields(alert_id, finding))


def event(report_id: str, alerts: Mapping[str, Finding]) -> Event:
    """The event that tells of these findings, with a text for chat systems; always the same for the same alerts."""
    lines = [f"Weekly report {report_id}: {len(alerts)} critical.", *(f"- {each.message}" for each in alerts.values())]
    # In Slack a category's name could mention people: https://api.slack.com/reference/surfaces/formatting#escaping
    text = html.escape("\n".join(lines), quote=False)
    anomalies = [_fields(alert_id, finding) for alert_id, finding in alerts.items()]
    which = hashlib.sha256("\n".join(sorted(alerts)).encode()).hexdigest()[:16]
    return Event(
        f"{report_id}-{which}", REPORT_ANOMALIES, {"text": text, "reportId": report_id, "anomalies": anomalies}
    )


def _fields(alert_id: str, finding: Finding) -> dict[str, object]:
    return {"id": alert_id, **finding.to_fields()}
