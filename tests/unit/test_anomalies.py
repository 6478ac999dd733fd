"""What counts as an anomaly and what does not, at the edges; the tests behind it against exact arithmetic."""

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anomalies
import significance
from findings import CRITICAL, WARNING, Anomaly, Thresholds
from week_usage import Counts, Usage

STYLES = ("anime", "sketch", "realistic")
P_VALUES = st.lists(st.floats(0, 1), max_size=20)


def week(
    total: int = 1_000,
    failed: int = 50,
    *,
    model_a_failed: int | None = None,
    styles: Sequence[str] = STYLES,
    credits: int | None = None,
    median_seconds: float | None = 2.0,
    p95_seconds: float | None = 5.0,
) -> Usage:
    """All settled; half of the requests and of the failures are model-a's, and styles, color and size share alike."""
    of_a = failed // 2 if model_a_failed is None else model_a_failed
    failed = failed if model_a_failed is None else failed // 2 + model_a_failed
    return Usage(
        total_requests=total,
        completed=total - failed,
        failed=failed,
        credits_spent=3 * (total - failed) if credits is None else credits,
        by_model={"model-a": counts(total // 2, of_a), "model-b": counts(total - total // 2, failed - of_a)},
        by_style={style: counts(total // len(styles), failed // len(styles)) for style in styles},
        by_color={"neon": counts(total, failed)},
        by_size={"512x512": counts(total, failed)},
        generation_median_seconds=median_seconds,
        generation_p95_seconds=p95_seconds,
    )


def counts(total: int, failed: int) -> Counts:
    return Counts(total, total - failed, failed)


def found(current: Usage, history: Sequence[Usage], **thresholds: Any) -> dict[tuple[str, str | None], Anomaly]:
    """By kind and category."""
    findings = anomalies.detect(current, history, Thresholds(**thresholds))
    return {(finding.kind, finding.value): finding for finding in findings}


def kinds(current: Usage, history: Sequence[Usage], **thresholds: Any) -> set[str]:
    return {kind for kind, _ in found(current, history, **thresholds)}


@pytest.mark.parametrize("weeks", [0, 1, 5, 6, 8])
def test_a_week_like_those_before_has_no_finding(weeks: int) -> None:
    """However long the history is."""
    assert anomalies.detect(week(), [week()] * weeks, Thresholds()) == []


@pytest.mark.parametrize("weeks", [0, 1, 5, 6, 8])
def test_empty_weeks_after_empty_weeks_have_no_finding(weeks: int) -> None:
    """Nobody uses it yet, and it does not divide by zero."""
    assert anomalies.detect(week(0, 0), [week(0, 0)] * weeks, Thresholds()) == []
    assert anomalies.detect(week(), [week(0, 0)] * weeks, Thresholds()) == []


@pytest.mark.parametrize("weeks", [1, 5, 6, 8])
def test_an_empty_week_after_a_busy_one_is_an_outage(weeks: int) -> None:
    """One critical finding that says it all, and not one more for each category."""
    (finding,) = anomalies.detect(week(0, 0), [week(11, 0), *[week()] * (weeks - 1)], Thresholds())
    assert (finding.kind, finding.severity, finding.previous, finding.current) == ("outage", CRITICAL, 11, 0)
    assert finding.change == -1
    assert finding.message.startswith("No requests at all, after 11 the week before")


def test_an_outage_lasts_while_the_usual_week_is_busy_and_needs_one() -> None:
    """A second empty week is an outage still; an empty week after one of 10 requests is not."""
    assert kinds(week(0, 0), [week(0, 0), week(), week()]) == {"outage"}
    assert kinds(week(0, 0), [week(0, 0), week(0, 0), week()]) == set()
    assert kinds(week(0, 0), [week(10, 0)]) == set()


def test_halved_success_is_critical_and_said_once() -> None:
    """Overall it is a drop in success rate and not a rise in failure rate too."""
    findings = found(week(1_000, 525), [week()])
    drop = findings["success_rate_drop", None]
    assert (drop.severity, drop.previous, drop.current) == (CRITICAL, 95, 47.5)
    assert drop.change == -0.5
    assert drop.message == ("Success rate fell to 47.5% (475 of 1,000), from 95.0% (950 of 1,000) in the week before.")
    assert ("failure_rate_rise", None) not in findings
    assert ("failure_rate_rise", "model-a") in findings
    assert ("success_rate_drop", None) not in found(week(1_000, 524), [week()])


def test_a_rise_of_one_models_failures_names_it_first() -> None:
    """The cause is less likely to be chance than what it makes of the whole."""
    first, *_ = anomalies.detect(week(model_a_failed=75), [week()] * 8, Thresholds())
    assert (first.kind, first.dimension, first.value, first.severity) == (
        "failure_rate_rise",
        "model",
        "model-a",
        WARNING,
    )
    assert (first.previous, first.current, first.previous_samples, first.current_samples) == (5, 15, 4_000, 500)
    assert first.p_value is not None
    assert first.p_value < 1e-9
    assert first.message == (
        "Failure rate of model 'model-a' rose to 15.0% (75 of 500), from 5.0% (200 of 4,000) in the 8 weeks before."
    )


@pytest.mark.parametrize(
    ("dimension", "name"), [("model", "model-b"), ("style", "anime"), ("color", "neon"), ("size", "512x512")]
)
def test_each_dimension_is_watched(dimension: str, name: str) -> None:
    """A category that fails more is found, in whatever breakdown it is."""
    before = with_breakdown(dimension, {**week().by(dimension), name: counts(300, 15)})
    current = with_breakdown(dimension, {**week().by(dimension), name: counts(300, 45)})
    findings = anomalies.detect(current, [before], Thresholds())
    assert [(each.kind, each.dimension, each.value) for each in findings] == [("failure_rate_rise", dimension, name)]


def with_breakdown(dimension: str, breakdown: Mapping[str, Counts]) -> Usage:
    changed: dict[str, Any] = {f"by_{dimension}": breakdown}
    return replace(week(), **changed)


def test_a_rise_over_the_floor_that_doubles_is_critical() -> None:
    """Over 20 % and doubled, as the public design has it; one of the two alone is a warning."""
    assert found(week(1_000, 201), [week(1_000, 100)])["failure_rate_rise", None].severity == CRITICAL
    assert found(week(1_000, 220), [week(1_000, 110)])["failure_rate_rise", None].severity == CRITICAL
    assert found(week(1_000, 200), [week(1_000, 100)])["failure_rate_rise", None].severity == WARNING
    assert found(week(1_000, 205), [week(1_000, 103)])["failure_rate_rise", None].severity == WARNING


def test_what_only_echoes_the_whole_is_no_reason_to_wake_up_for() -> None:
    """One model's failures are critical, and the whole's; that each style has its share of them is a warning."""
    findings = found(week(model_a_failed=400), [week()] * 3)
    assert {name for (_, name), each in findings.items() if each.severity == CRITICAL} == {None, "model-a"}
    assert {name for (_, name), each in findings.items() if each.severity == WARNING} == {*STYLES, "neon", "512x512"}
    everywhere = found(week(1_000, 600), [week()] * 3)
    assert {key for key, each in everywhere.items() if each.severity == CRITICAL} == {("success_rate_drop", None)}
    findings = found(week(1_000, 120, model_a_failed=495), [week()] * 3)
    assert {name for (_, name), each in findings.items() if each.severity == CRITICAL} == {None, "model-a"}


def test_each_dimension_has_its_share_of_the_level() -> None:
    """Of three tests in two dimensions a model's counts for three quarters of one: 3 / 0.75 is its correction."""
    now, before = (replace(each, by_style={}, by_color={}, by_size={}) for each in (week(model_a_failed=60), week()))
    p_value = found(now, [before])["failure_rate_rise", "model-a"].p_value
    assert p_value == pytest.approx(4 * significance.fisher_p_value(60, 500, 25, 500))


def test_a_rise_too_small_to_matter_is_no_finding_however_significant() -> None:
    """At a million requests anything is significant: it must be 1.5 points, and a fifth more."""
    before = [week(1_000_000, 50_000)]
    assert found(week(1_000_000, 64_900), before) == {}
    assert ("failure_rate_rise", None) in found(week(1_000_000, 65_100), before)
    assert found(week(1_000_000, 118_000), [week(1_000_000, 100_000)]) == {}


def test_a_rise_that_chance_explains_is_no_finding_however_large() -> None:
    """Two of 12 after none of 12."""
    assert found(week(12, 2), [week(12, 0)]) == {}


@pytest.mark.parametrize(
    ("settled", "expected"), [(10, set()), (11, {"success_rate_drop", "failure_rate_rise", "credits_drop"})]
)
def test_few_samples_are_not_judged(settled: int, expected: set[str]) -> None:
    """Over 10, in the week and in its history."""
    assert kinds(week(settled, settled), [week(settled, 0)]) == expected
    assert "failure_rate_rise" not in kinds(week(settled, settled), [week(5, 0)] * 2)


def test_without_history_only_what_is_alarming_by_itself_is_found() -> None:
    """Half of all requests failing needs no comparison; with one, the comparison speaks."""
    (finding,) = anomalies.detect(week(100, 50), [], Thresholds())
    assert (finding.kind, finding.severity, finding.current) == ("failure_rate_high", CRITICAL, 50)
    assert (finding.previous, finding.change) == (None, None)
    assert anomalies.detect(week(100, 48), [], Thresholds()) == []
    assert anomalies.detect(week(10, 10), [], Thresholds()) == []
    assert anomalies.detect(week(100, 50), [week(100, 50)], Thresholds()) == []


def test_a_new_category_that_fails_is_found() -> None:
    """It has no baseline, and a rate that needs none."""
    current = replace(week(), by_model={**week().by_model, "model-c": counts(40, 20)})
    assert found(current, [week()])["failure_rate_high", "model-c"].severity == CRITICAL
    assert found(current, [week()])["new", "model-c"].severity == WARNING


@pytest.mark.parametrize("weeks", [1, 5])
def test_three_times_the_week_before_is_a_spike(weeks: int) -> None:
    """Requests and credits are told apart, and each by name."""
    findings = found(week(3_000, 150), [week()] * weeks)
    assert set(findings) == {("requests_spike", None), ("credits_spike", None)}
    spike = findings["requests_spike", None]
    assert (spike.severity, spike.previous, spike.current, spike.change, spike.score) == (
        WARNING,
        1_000,
        3_000,
        2,
        None,
    )
    assert spike.message == (
        "Requests rose to 3,000 from 1,000 the week before, 3 times as many; a usual week has 1,000."
    )
    assert found(week(2_999, 150, credits=8_549), [week()] * weeks) == {}


@pytest.mark.parametrize("weeks", [1, 5])
def test_half_of_the_week_before_is_a_drop(weeks: int) -> None:
    """Half the requests is critical, half the credits a warning."""
    findings = found(week(500, 25), [week()] * weeks)
    assert {kind: each.severity for (kind, _), each in findings.items()} == {
        "requests_drop": CRITICAL,
        "credits_drop": WARNING,
    }
    assert found(week(502, 25), [week()] * weeks) == {}


def test_half_of_a_week_that_was_odd_itself_is_a_warning() -> None:
    """Critical is half of the usual week too."""
    assert found(week(650, 32), [week(2_000, 100), week(), week()])["requests_drop", None].severity == WARNING


def test_credits_can_move_alone() -> None:
    """As many requests that cost three times as much, or a third."""
    assert kinds(week(credits=8_550), [week()]) == {"credits_spike"}
    assert kinds(week(credits=950), [week()]) == {"credits_drop"}


@pytest.mark.parametrize(("total", "previous"), [(5, 10), (11, 3), (6, 15), (16, 5)])
def test_a_ratio_that_chance_explains_is_no_finding(total: int, previous: int) -> None:
    """Small weeks halve and triple by themselves."""
    assert found(week(total, 0), [week(previous, 0)]) == {}


@pytest.mark.parametrize(("weeks", "expected"), [(5, set()), (6, {"requests_drop", "credits_drop"})])
def test_with_six_weeks_their_spread_is_the_measure(weeks: int, expected: set[str]) -> None:
    """A fall by 40 % is no halving, but far outside what steady weeks do."""
    findings = found(week(600, 30), [week()] * weeks)
    assert {kind for kind, _ in findings} == expected
    assert all(finding.score is not None and finding.score < -3 for finding in findings.values())
    assert all(finding.severity == WARNING for finding in findings.values())


def test_weeks_that_always_vary_hide_a_fall_that_steady_ones_show() -> None:
    """The score is in units of the history's own spread."""
    restless = [week(total, total // 20) for total in (1_000, 500, 2_000, 700, 1_500, 1_000)]
    assert found(week(600, 30), restless) == {}


def test_the_return_to_normal_is_no_finding() -> None:
    """After a week of a third, three times as much is what it always was."""
    assert found(week(), [week(300, 15), *[week()] * 7]) == {}
    assert kinds(week(), [week(300, 15)]) == {"requests_spike", "credits_spike"}


def test_a_new_level_is_found_once() -> None:
    """And not each week until the median has followed."""
    assert kinds(week(500, 25), [week()] * 8) == {"requests_drop", "credits_drop"}
    assert found(week(500, 25), [week(500, 25), *[week()] * 7]) == {}


def test_a_category_that_vanished_is_found_once() -> None:
    """Used every week and then not at all."""
    fewer = week(styles=STYLES[1:])
    (finding,) = anomalies.detect(fewer, [week()] * 3, Thresholds())
    assert (finding.kind, finding.dimension, finding.value) == ("vanished", "style", "anime")
    assert (finding.previous, finding.current, finding.change) == (333, 0, -1)
    assert finding.message == "Style 'anime' vanished: no requests, after 999 in the 3 weeks before."
    assert found(fewer, [fewer, week(), week()]) == {}


def test_a_category_that_is_new_is_found() -> None:
    """Never used before."""
    (finding,) = anomalies.detect(week(), [week(styles=STYLES[1:])] * 3, Thresholds())
    assert (finding.kind, finding.dimension, finding.value, finding.change) == ("new", "style", "anime", None)
    assert finding.message == "Style 'anime' is new: 333 requests, after none in the 3 weeks before."


@pytest.mark.parametrize("uses", [3, 10])
def test_categories_of_little_use_come_and_go(uses: int) -> None:
    """With so few a week, none is common."""
    rare = replace(week(), by_style={**week().by_style, "rare": counts(uses, 0)})
    assert found(rare, [week()] * 8) == {}
    assert found(week(), [rare] * 8) == {}


def test_categories_are_judged_from_eleven_requests_on() -> None:
    """So many were made, or were to be expected from their share."""
    novel = replace(week(), by_style={**week().by_style, "rare": counts(11, 0)})
    assert kinds(novel, [week()] * 8) == {"new"}
    without = replace(week(), by_style={"anime": counts(1_011, 50)})
    assert kinds(without, [replace(week(), by_style={"anime": counts(1_000, 50), "rare": counts(11, 0)})] * 8) == {
        "vanished"
    }


def test_a_breakdown_that_was_not_recorded_makes_nothing_new_or_vanished() -> None:
    """Reports of an older form have no colors."""
    old = replace(week(), by_color={})
    assert found(week(), [old]) == {}
    assert found(old, [week()]) == {}
    assert kinds(replace(week(), by_color={"red": counts(1_000, 50)}), [old, week()]) == {"new", "vanished"}


@pytest.mark.parametrize("weeks", [1, 5, 6, 8])
def test_generation_twice_as_slow_is_found(weeks: int) -> None:
    """By the median, or where that holds by the slowest twentieth; said once."""
    history = [week()] * weeks
    (by_median,) = anomalies.detect(week(median_seconds=4, p95_seconds=50), history, Thresholds())
    assert (by_median.kind, by_median.severity, by_median.previous, by_median.current) == (
        "slow_generation",
        WARNING,
        2,
        4,
    )
    assert by_median.message.startswith("Median generation time rose to 4 s, 2 times the 2 s of")
    (by_tail,) = anomalies.detect(week(p95_seconds=10), history, Thresholds())
    assert (by_tail.previous, by_tail.current) == (5, 10)
    assert found(week(median_seconds=3.9, p95_seconds=9.9), history) == {}


@pytest.mark.parametrize(("weeks", "expected"), [(5, {"slow_generation"}), (6, set())])
def test_generation_times_that_always_vary_hide_a_slow_week(weeks: int, expected: set[str]) -> None:
    """From six weeks on, when their own spread is the measure."""
    history = [week(median_seconds=seconds) for seconds in (2, 1, 4, 2, 1, 4)[:weeks]]
    assert kinds(week(median_seconds=6), history) == expected


def test_slow_generation_needs_samples_and_a_baseline() -> None:
    """A dozen times are not enough to tell twice; none, or zero, are no times."""
    assert found(week(12, 0, median_seconds=4), [week(12, 0)] * 8) == {}
    assert found(week(median_seconds=4), []) == {}
    for nothing in (None, 0.0):
        assert found(week(median_seconds=4), [week(median_seconds=nothing)]) == {}
        assert found(week(median_seconds=nothing, p95_seconds=nothing), [week()]) == {}


def test_every_threshold_is_used() -> None:
    """At its extreme each silences, or hastens, what the default does."""
    quiet = {
        "minimum_samples": (week(1_000, 525), [week()], 10_000),
        "significance_level": (week(1_000, 525), [week()], 0.0),
        "failure_rate_rise_minimum": (week(1_000, 150), [week()], 0.2),
        "failure_rate_rise_factor": (week(1_000, 150), [week()], 4.0),
        "failure_rate_alarming": (week(1_000, 600), [], 0.7),
        "volume_spike_factor": (week(3_000, 150), [week()], 4.0),
        "volume_drop_factor": (week(500, 25), [week()], 0.4),
        "volume_variation": (week(500, 25), [week()], 0.5),
        "volume_change_minimum": (week(500, 25), [week()], 0.6),
        "robust_score_limit": (week(600, 30), [week()] * 6, 9.0),
        "robust_score_weeks": (week(600, 30), [week()] * 6, 7),
        "slow_generation_factor": (week(median_seconds=4), [week()], 3.0),
    }
    for name, (current, history, value) in quiet.items():
        assert found(current, history), name
        assert found(current, history, **{name: value}) == {}, name
    rise = (week(1_000, 201), [week(1_000, 100)])
    assert found(*rise, failure_rate_floor=0.3)["failure_rate_rise", None].severity == WARNING
    assert found(*rise, failure_rate_factor=3)["failure_rate_rise", None].severity == WARNING
    assert "success_rate_drop" in kinds(*rise, success_rate_drop_factor=0.9)
    graded = {"failure_rate_floor", "failure_rate_factor", "success_rate_drop_factor"}
    assert {field.name for field in fields(Thresholds)} == {*quiet, *graded}


def test_critical_findings_come_first() -> None:
    """The order is what an operator reads."""
    current = replace(week(3_000, 1_800), by_color={"red": counts(3_000, 1_800)})
    severities = [finding.severity for finding in anomalies.detect(current, [week()] * 8, Thresholds())]
    assert set(severities) == {CRITICAL, WARNING}
    assert severities == sorted(severities)


def test_a_finding_is_stored_as_json() -> None:
    """Every number is finite, and the names are those of the report."""
    spike = found(week(3_000, 150), [week(0, 0), week(), week()])["requests_spike", None]
    assert json.loads(json.dumps(spike.to_dict(), allow_nan=False)) == {
        "kind": "requests_spike",
        "severity": "warning",
        "dimension": "overall",
        "value": None,
        "previous": 0,
        "current": 3_000,
        "change": None,
        "previousSamples": 0,
        "currentSamples": 3_000,
        "pValue": 0.0,
        "score": None,
        "message": "Requests rose to 3,000 from 0 the week before; a usual week has 1,000.",
    }


SMALL = st.integers(0, 40)


@given(now=st.tuples(SMALL, SMALL, SMALL), before=st.lists(st.tuples(SMALL, SMALL, SMALL), max_size=8))
def test_any_weeks_give_findings_that_can_be_stored(
    now: tuple[int, int, int], before: list[tuple[int, int, int]]
) -> None:
    """Whatever the counts are, nothing is raised, and nothing is infinite or no number."""
    usages = []
    for completed, failed, credits in [now, *before]:
        whole = counts(completed + failed, failed)
        by_any = {"a": whole}
        usages.append(
            Usage(whole.total, completed, failed, credits, by_any, by_any, by_any, by_any, credits / 3, completed / 2)
        )
    for finding in anomalies.detect(usages[0], usages[1:], Thresholds()):
        json.dumps(finding.to_dict(), allow_nan=False)


def test_fisher_agrees_with_exact_arithmetic() -> None:
    """Every small table."""
    for trials, trials_before in product((1, 5, 12), (1, 7, 30)):
        for hits, hits_before in product(range(trials + 1), range(trials_before + 1)):
            expected = exact_fisher(hits, trials, hits_before, trials_before)
            actual = significance.fisher_p_value(hits, trials, hits_before, trials_before)
            assert actual == pytest.approx(expected, rel=1e-11, abs=1e-12)


@pytest.mark.parametrize(
    "table", [(30, 200, 80, 1_600), (80, 1_000, 200, 4_000), (90, 2_000, 100, 2_000), (0, 500, 200, 4_000)]
)
def test_fisher_agrees_with_exact_arithmetic_in_large_tables(table: tuple[int, int, int, int]) -> None:
    """The tail is summed to its end, and either side of the mean."""
    assert significance.fisher_p_value(*table) == pytest.approx(exact_fisher(*table), rel=1e-9, abs=1e-11)


def exact_fisher(hits: int, trials: int, hits_before: int, trials_before: int) -> float:
    all_hits, everything = hits + hits_before, trials + trials_before
    ways = sum(
        math.comb(all_hits, x) * math.comb(everything - all_hits, trials - x)
        for x in range(hits, min(trials, all_hits) + 1)
    )
    return ways / math.comb(everything, trials)


@pytest.mark.parametrize("least_ratio", [Fraction(1), Fraction(2, 3)])
def test_the_test_of_two_counts_agrees_with_exact_arithmetic(least_ratio: Fraction) -> None:
    """Every pair of small counts."""
    share = least_ratio / (1 + least_ratio)
    for low, high in product(range(16), range(16)):
        n = low + high
        expected = sum(math.comb(n, x) * share**x * (1 - share) ** (n - x) for x in range(low + 1))
        assert significance.fall_p_value(low, high, float(least_ratio)) == pytest.approx(float(expected), rel=1e-11)


@given(p_values=P_VALUES)
def test_correction_keeps_the_order_and_never_lowers(p_values: list[float]) -> None:
    """Between the value itself and Bonferroni's, and never over 1."""
    adjusted = significance.corrected(p_values)
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert [q for _, q in pairs] == sorted(adjusted)
    assert all(p <= q * (1 + 1e-12) and q <= min(1, p * len(p_values)) * (1 + 1e-12) for p, q in pairs)


@given(p_values=P_VALUES, level=st.floats(0.001, 0.5))
def test_correction_is_the_step_up_procedure(p_values: list[float], level: float) -> None:
    """Found are the k smallest, for the largest k with the k-th at most level * k / m."""
    ordered = sorted(p_values)
    m = len(ordered)
    k = max((rank for rank, p in enumerate(ordered, start=1) if p * m / rank <= level), default=0)
    assert sum(q <= level for q in significance.corrected(p_values)) == k


def test_weights_move_the_level_between_tests() -> None:
    """Twice the weight is half the p-value."""
    assert significance.corrected([0.01, 0.9], [1.5, 0.5]) == pytest.approx([0.04 / 3, 1])


def test_the_robust_score_ignores_one_odd_week() -> None:
    """Median and MAD: 1.4826 of it is one standard deviation, and never less than the least scale."""
    assert significance.robust_score(10, [1, 2, 3, 4, 1_000], 0) == pytest.approx(7 / 1.4826)
    assert significance.robust_score(10, [3, 3, 3, 3, 1_000], 2) == 3.5


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
    """Of today's form."""
    usage = Usage.from_report(REPORT)
    expected = Counts(100, 80, 15)
    assert (usage.overall, usage.settled, usage.credits_spent) == (expected, 95, 240)
    assert (usage.by_model, usage.by_style, usage.by("color")) == ({"model-a": expected}, {}, {"neon": expected})
    assert (usage.generation_median_seconds, usage.generation_p95_seconds) == (1.5, 4)


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
        ({"totalRequests": 0, "successRate": 0}, Counts()),
        ({"byModel": {"a": {"total": 20, "failed": 2}, "b": {"completed": 9, "failed": 1}}}, Counts(30, 27, 3)),
        ({"totalRequests": 30, "byModel": {"a": {"total": 30, "failureRate": 10}}}, Counts(30, 27, 3)),
    ],
)
def test_what_an_older_report_lacks_is_derived(report: Mapping[str, Any], expected: Counts) -> None:
    """From the total, a rate or the models; where nothing says how requests ended, none counts as settled."""
    usage = Usage.from_report(report)
    assert usage.overall == expected
    assert (usage.credits_spent, usage.by_color, usage.generation_median_seconds) == (None, {}, None)
    assert kinds(replace(week(), by_model={}), [usage] * 8) <= {"requests_spike", "failure_rate_rise"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"totalRequests": None, "byModel": None}, "totalRequests"),
        ({"totalRequests": "100"}, "totalRequests"),
        ({"totalRequests": True}, "totalRequests"),
        ({"totalRequests": 10**400}, "totalRequests"),
        ({"totalRequests": 99.5}, "totalRequests"),
        ({"totalRequests": 90}, "totalRequests"),
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
        ({"bySize": {"x": {"total": 3, "failureRate": math.nan}}}, "bySize.x.failureRate"),
        ({"generationSeconds": 3}, "generationSeconds"),
        ({"generationSeconds": {"p95": "4"}}, "generationSeconds.p95"),
    ],
)
def test_a_broken_report_is_refused_by_the_name_of_the_field(change: Mapping[str, Any], field: str) -> None:
    """With a ValueError, whatever is wrong."""
    with pytest.raises(ValueError, match=rf"^{field} "):
        Usage.from_report({**REPORT, **change})


@settings(max_examples=50, deadline=None)
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
def test_no_report_does_anything_but_pass_or_raise_value_error(report: dict[str, Any]) -> None:
    """Whatever a document holds, and what passes can be compared."""
    try:
        usage = Usage.from_report(report)
    except ValueError:
        return
    anomalies.detect(usage, [usage, Usage.from_report(REPORT)], Thresholds())


@pytest.mark.parametrize("weeks", [1, 8])
@pytest.mark.parametrize("mean", [4, 60])
def test_stable_weeks_hardly_ever_have_a_finding(mean: int, weeks: int) -> None:
    """A smoke test; benchmarks/detector.py is the simulation."""
    rng = random.Random(1)
    alarms = sum(
        bool(anomalies.detect(now, before, Thresholds()))
        for now, *before in ([random_week(rng, mean) for _ in range(weeks + 1)] for _ in range(50))
    )
    assert alarms <= 2


def random_week(rng: random.Random, mean: int) -> Usage:
    """Three styles with so many requests each, within 20 % and a normal distribution's take on Poisson's."""
    level = mean * rng.uniform(0.8, 1.2)
    by_style = {}
    for style in STYLES:
        total = max(0, round(rng.gauss(level, math.sqrt(level))))
        by_style[style] = counts(total, sum(rng.random() < 0.05 for _ in range(total)))
    whole = sum(by_style.values(), Counts())
    return Usage(whole.total, whole.completed, whole.failed, 3 * whole.completed, {"a": whole}, by_style, {}, {})
