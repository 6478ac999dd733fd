"""A week as it is stored: what is read back, what is derived from older forms, and what is odd."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reporting.detector import detect
from reporting.usage import Counts, Day, Usage
from tests.unit.reporting.helpers import EXAMPLES, using, week

REPORT: dict[str, Any] = {
    "totalRequests": 100,
    "totalCompleted": 80,
    "totalFailed": 15,
    "totalPending": 5,
    "totalCreditsSpent": 240,
    "totalCreditsRefunded": 45,
    "successRate": 84.21,
    "byModel": {"model-a": {"total": 100, "completed": 80, "failed": 15, "failureRate": 15.79}},
    "byStyle": {},
    "byColor": {"neon": {"total": 100, "completed": 80, "failed": 15, "failureRate": 15.79}},
    "bySize": {"512x512": {"total": 100, "completed": 80, "failed": 15, "failureRate": 15.79}},
    "generationSeconds": {"median": 1.5, "p95": 4},
    "anomalies": [],
}


def test_a_report_becomes_usage() -> None:
    """A report as it is stored today gives its counts, credits, times and breakdowns, without problems."""
    usage = Usage.from_fields(REPORT)
    expected = Counts(100, 80, 15)
    assert (usage.counts, usage.pending, usage.credits_spent, usage.success_percent) == (expected, 5, 240, 84.21)
    assert usage.by == {
        "model": {"model-a": expected},
        "style": {},
        "color": {"neon": expected},
        "size": {"512x512": expected},
    }
    assert (usage.median_seconds, usage.p95_seconds, usage.problems) == (1.5, 4, ())


def test_what_is_stored_is_read_back() -> None:
    """Every figure, to the two decimals of a rate."""
    days = {"2026-11-22": Day(7, 1, 1, 1, 2, 2, 3 * 10**12, 1)}
    usage = replace(
        using(week(), model={"model-a": Counts(1_000, 900, 40, 60)}),
        total=1_060,
        canceled=60,
        pending=3,
        unknown=4,
        credits_spent=10**15,
        credits_refunded=5,
        distinct_users=6,
        success_percent=95.0,
        days=days,
        failure_reasons={"GENERATION_FAILED": 50},
    )
    assert Usage.from_fields(usage.to_fields()) == usage


def test_what_is_odd_is_not_known_and_the_rest_is() -> None:
    """One odd figure does not hide the others; one odd option hides its breakdown, which would not add up."""
    odd = {"distinctUsers": "many", "byModel": {"a": 5}, "byDay": {"2026-11-22": 7}, "failureReasons": {"x": -1}}
    usage = Usage.from_fields({**REPORT, **odd})
    assert (usage.total, usage.completed, usage.distinct_users, usage.by["model"]) == (100, 80, None, {})
    assert (usage.days, usage.failure_reasons) == ({"2026-11-22": Day()}, {"x": 0})
    assert [problem.split(" is ")[0] for problem in usage.problems] == ["byModel.a", "byModel.a.total", "distinctUsers"]


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ({"totalRequests": 30, "successRate": 90.0}, Counts(30, 27, 3)),
        ({"totalRequests": 3, "successRate": 66.67}, Counts(3, 2, 1)),
        ({"totalRequests": 30}, Counts(30, 0, 0)),
        ({"totalRequests": 30.0, "totalFailed": 3}, Counts(30, 27, 3)),
        ({"totalRequests": 30, "totalCompleted": 20, "totalPending": 4}, Counts(30, 20, 6)),
        ({"totalRequests": 0, "successRate": None, "totalCompleted": 0, "totalFailed": 0}, Counts()),
        ({"totalRequests": 30, "totalFailed": 3, "totalPending": 7}, Counts(30, 20, 3)),
        ({"totalRequests": 30, "totalPending": 10, "successRate": 90}, Counts(30, 18, 2)),
        ({"totalRequests": 30, "successRate": 100}, Counts(30, 30, 0)),
        ({"totalRequests": 30, "totalCanceled": 10, "successRate": 90}, Counts(30, 18, 2, 10)),
        ({"totalRequests": 30, "totalCanceled": 6, "totalPending": 4, "totalFailed": 2}, Counts(30, 18, 2, 6)),
        ({"byModel": {"a": {"completed": 9, "failed": 1, "canceled": 2}}}, Counts(12, 9, 1)),
        ({"totalRequests": 0, "successRate": 0}, Counts()),
        ({"byModel": {"a": {"total": 20, "failed": 2}, "b": {"completed": 9, "failed": 1}}}, Counts(30, 27, 3)),
        ({"totalRequests": 30, "byModel": {"a": {"total": 30, "failureRate": 10}}}, Counts(30, 27, 3)),
    ],
)
def test_what_an_older_report_lacks_is_derived(report: Mapping[str, Any], expected: Counts) -> None:
    """From the total, a rate or the models; if nothing says how requests ended, none counts as settled."""
    usage = Usage.from_fields(report)
    assert (usage.counts, usage.problems) == (expected, ())
    assert (usage.credits_spent, usage.by["color"], usage.median_seconds) == (None, {}, None)
    found = {finding.kind for finding in detect(using(week(), model={}), [usage] * 8)}
    assert found <= {"requests_spike", "failure_rate_rise"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"totalRequests": None, "byModel": None}, "totalRequests"),
        ({"totalRequests": "100"}, "totalRequests"),
        ({"totalRequests": True}, "totalRequests"),
        ({"totalRequests": 10**400}, "totalRequests"),
        ({"totalRequests": 99.5}, "totalRequests"),
        ({"totalRequests": 90}, "totalRequests"),
        ({"totalCanceled": 6}, "totalRequests"),
        ({"totalCanceled": "6"}, "totalCanceled"),
        ({"totalRequests": 10, "totalCompleted": None, "totalFailed": 11}, "totalRequests"),
        ({"totalCreditsSpent": -1}, "totalCreditsSpent"),
        ({"totalCreditsSpent": math.inf}, "totalCreditsSpent"),
        ({"totalCompleted": math.nan}, "totalCompleted"),
        ({"totalPending": []}, "totalPending"),
        ({"successRate": 101}, "successRate"),
        ({"successRate": math.nan}, "successRate"),
        ({"byModel": [1]}, "byModel"),
        ({"byStyle": {"anime": 3}}, "byStyle.anime"),
        ({"byStyle": {"anime": {}}}, "byStyle.anime.total"),
        ({"byStyle": {"anime": {"completed": 3}}}, "byStyle.anime.total"),
        ({"byStyle": {"anime": {"total": 3, "failed": 4}}}, "byStyle.anime.total"),
        ({"byStyle": {"anime": {"total": 3, "completed": 1, "failed": 1, "canceled": 2}}}, "byStyle.anime.total"),
        ({"bySize": {"x": {"total": 3, "failureRate": math.nan}}}, "bySize.x.failureRate"),
        ({"generationSeconds": 3}, "generationSeconds"),
        ({"generationSeconds": {"p95": "4"}}, "generationSeconds.p95"),
    ],
)
def test_an_odd_figure_is_named(change: Mapping[str, Any], field: str) -> None:
    """So that the week is not compared with, and the log says why."""
    assert Usage.from_fields({**REPORT, **change}).problems[0].startswith(f"{field} is ")


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    report=st.dictionaries(
        st.sampled_from(list(REPORT)),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
            lambda inner: st.dictionaries(st.sampled_from(["total", "failed", "failureRate", "median", "a"]), inner),
            max_leaves=6,
        ),
    )
)
def test_any_document_can_be_read_and_compared(report: dict[str, Any]) -> None:
    """Nothing is raised for any value of any field."""
    usage = Usage.from_fields(report)
    if not usage.problems:
        detect(usage, [usage, Usage.from_fields(REPORT)])
