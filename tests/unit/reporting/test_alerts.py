"""Alerts of critical findings: logged, and told in one event."""

import json

import pytest

from reporting import alerts
from reporting.findings import Finding

OUTAGE = Finding("outage", "No requests at all.", "critical")
NEW = Finding("new", "Style '<!channel>' & more.", "critical", "style", "<!channel>")


def test_the_event_has_the_findings_and_a_text() -> None:
    """For receivers that show nothing else; a name in it cannot mention anybody."""
    event = alerts.event("r1", {"r1-x": OUTAGE, "r1-y": NEW})
    assert (event.type, event.data["reportId"]) == ("report.anomalies", "r1")
    assert event.data["anomalies"] == [{"id": "r1-x", **OUTAGE.to_fields()}, {"id": "r1-y", **NEW.to_fields()}]
    assert event.data["text"] == (
        "Weekly report r1: 2 critical.\n- No requests at all.\n- Style '&lt;!channel&gt;' &amp; more."
    )
    assert json.loads(json.dumps(event.data)) == event.data


def test_the_same_alerts_are_the_same_event() -> None:
    """Two alerts in either order have one event id; other alerts, or another report, have another."""
    both = alerts.event("r1", {"r1-x": OUTAGE, "r1-y": NEW})
    turned = alerts.event("r1", {"r1-y": NEW, "r1-x": OUTAGE})
    assert both.id == turned.id
    assert len({both.id, alerts.event("r1", {"r1-x": OUTAGE}).id, alerts.event("r2", {"r1-x": OUTAGE}).id}) == 3


def test_each_finding_is_logged_under_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    """Two findings make two error events, each with its alert's id."""
    alerts.log("r1", {"r1-x": OUTAGE, "r1-y": NEW})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["message"], line["severity"], line["id"]) for line in lines] == [
        ("report anomaly", "ERROR", "r1-x"),
        ("report anomaly", "ERROR", "r1-y"),
    ]
