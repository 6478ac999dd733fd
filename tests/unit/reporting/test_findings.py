"""A finding's stored form, and its alert's id."""

from typing import Any

import pytest

from reporting.findings import Finding

FINDING = Finding("failure_rate_rise", "Rose.", "critical", "model", "model-b", 5.0, 10.0, 400, 50, 1e-9, -4.25)


def test_a_stored_finding_is_read_back() -> None:
    """A finding whose fields all have a value is equal after it was stored and read."""
    assert Finding.from_fields(FINDING.to_fields()) == FINDING
    assert FINDING.to_fields()["change"] == 1


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("Success rate dropped to 10%!", Finding("", "Success rate dropped to 10%!")),
        ({"kind": "outage"}, Finding("outage", "outage")),
        ({}, Finding("", "A finding without a description.")),
        ({"message": 5, "severity": ["critical"], "pValue": "x", "score": float("nan")}, Finding("", "5")),
        (5, None),
        (None, None),
        (["x"], None),
    ],
)
def test_older_and_odd_findings_are_read_too(stored: Any, expected: Finding | None) -> None:
    """An older form is a sentence; what is neither is not a finding."""
    assert Finding.from_fields(stored) == expected


def test_an_alert_has_the_same_id_for_the_same_finding_only() -> None:
    """Made again with other numbers it is the same; another report, kind or category is another."""
    one = FINDING.alert_id("report_1")
    assert one == Finding("failure_rate_rise", "Other words.", "critical", "model", "model-b", 5, 11).alert_id(
        "report_1"
    )
    others = [
        FINDING.alert_id("report_2"),
        Finding("failure_rate_high", "", dimension="model", value="model-b").alert_id("report_1"),
        Finding("failure_rate_rise", "", dimension="style", value="model-b").alert_id("report_1"),
        Finding("failure_rate_rise", "", dimension="model", value=None).alert_id("report_1"),
    ]
    assert len({one, *others}) == 5
