"""What counts as a finding and what does not, at the edges."""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reporting import categories, rates, significance, times, volumes
from reporting.detector import detect
from reporting.findings import CRITICAL, WARNING, Finding
from reporting.fold import DayFold, usage_of
from reporting.usage import DIMENSIONS, Counts, Usage
from tests.unit.reporting.helpers import EXAMPLES, STYLES, counts, using, week


def found(current: Usage, history: Sequence[Usage]) -> dict[tuple[str, str | None], Finding]:
    """By kind and category."""
    return {(finding.kind, finding.value): finding for finding in detect(current, history)}


def kinds(current: Usage, history: Sequence[Usage]) -> set[str]:
    return {kind for kind, _ in found(current, history)}


@pytest.mark.parametrize("weeks", [0, 1, 5, 6, 8])
def test_a_week_like_those_before_has_no_finding(weeks: int) -> None:
    """With any length of history."""
    assert detect(week(), [week()] * weeks) == []


@pytest.mark.parametrize("weeks", [0, 1, 5, 6, 8])
def test_empty_weeks_after_empty_weeks_have_no_finding(weeks: int) -> None:
    """Nobody uses the service yet; nothing is divided by zero."""
    assert detect(week(0, 0), [week(0, 0)] * weeks) == []
    assert detect(week(), [week(0, 0)] * weeks) == []


@pytest.mark.parametrize("weeks", [1, 5, 6, 8])
def test_an_empty_week_after_a_busy_one_is_an_outage(weeks: int) -> None:
    """One critical finding for everything, and no more for each category."""
    (finding,) = detect(week(0, 0), [week(11, 0), *[week()] * (weeks - 1)])
    assert (finding.kind, finding.severity, finding.previous, finding.current) == ("outage", CRITICAL, 11, 0)
    assert finding.change == -1
    assert finding.message.startswith("No requests at all, after 11 the week before")


def test_an_outage_lasts_while_the_usual_week_is_busy_and_needs_one() -> None:
    """A second empty week is still an outage; an empty week after one of 10 requests is not."""
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
    """The model that fails comes before the whole, in which its failures are diluted."""
    first, *_ = detect(week(model_a_failed=75), [week()] * 8)
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
    """A category that fails more is found in each breakdown."""
    before = using(week(), **{dimension: {**week().by[dimension], name: counts(300, 15)}})
    current = using(week(), **{dimension: {**week().by[dimension], name: counts(300, 45)}})
    findings = detect(current, [before])
    assert [(each.kind, each.dimension, each.value) for each in findings] == [("failure_rate_rise", dimension, name)]


def test_a_rise_over_the_floor_that_doubles_is_critical() -> None:
    """Over 20 % and doubled; one of the two alone is a warning."""
    assert found(week(1_000, 201), [week(1_000, 100)])["failure_rate_rise", None].severity == CRITICAL
    assert found(week(1_000, 220), [week(1_000, 110)])["failure_rate_rise", None].severity == CRITICAL
    assert found(week(1_000, 200), [week(1_000, 100)])["failure_rate_rise", None].severity == WARNING
    assert found(week(1_000, 205), [week(1_000, 103)])["failure_rate_rise", None].severity == WARNING


def test_what_only_echoes_the_whole_is_no_reason_to_wake_up_for() -> None:
    """A model's failures and those of the whole are critical; each style's share of them is a warning."""
    findings = found(week(model_a_failed=400), [week()] * 3)
    assert {name for (_, name), each in findings.items() if each.severity == CRITICAL} == {None, "model-a"}
    assert {name for (_, name), each in findings.items() if each.severity == WARNING} == {*STYLES, "neon", "512x512"}
    everywhere = found(week(1_000, 600), [week()] * 3)
    assert {key for key, each in everywhere.items() if each.severity == CRITICAL} == {("success_rate_drop", None)}
    findings = found(week(1_000, 120, model_a_failed=495), [week()] * 3)
    assert {name for (_, name), each in findings.items() if each.severity == CRITICAL} == {None, "model-a"}


def test_each_dimension_has_its_share_of_the_level() -> None:
    """Of three tests in two dimensions a model's counts for three quarters of one: 3 / 0.75 is its correction."""
    now, before = (using(each, style={}, color={}, size={}) for each in (week(model_a_failed=60), week()))
    p_value = found(now, [before])["failure_rate_rise", "model-a"].p_value
    assert p_value == pytest.approx(4 * significance.fisher_p_value(60, 500, 25, 500))


def test_a_rise_too_small_to_matter_is_no_finding_however_significant() -> None:
    """At a million requests anything is significant: it must be 1.5 points, and a fifth more."""
    before = [week(1_000_000, 50_000)]
    assert found(week(1_000_000, 64_900), before) == {}
    assert ("failure_rate_rise", None) in found(week(1_000_000, 65_100), before)
    assert found(week(1_000_000, 118_000), [week(1_000_000, 100_000)]) == {}


def test_a_rise_that_chance_explains_is_no_finding_however_large() -> None:
    """Two failures of 12 after none of 12."""
    assert found(week(12, 2), [week(12, 0)]) == {}


@pytest.mark.parametrize(
    ("settled", "expected"), [(10, set()), (11, {"success_rate_drop", "failure_rate_rise", "credits_drop"})]
)
def test_few_samples_are_not_judged(settled: int, expected: set[str]) -> None:
    """More than 10 are needed, in the week and in its history."""
    assert kinds(week(settled, settled), [week(settled, 0)]) == expected
    assert "failure_rate_rise" not in kinds(week(settled, settled), [week(5, 0)] * 2)


def test_without_history_only_what_is_alarming_by_itself_is_found() -> None:
    """If half of all requests fail, that needs no comparison; if there is a comparison, it decides."""
    (finding,) = detect(week(100, 50), [])
    assert (finding.kind, finding.severity, finding.current) == ("failure_rate_high", CRITICAL, 50)
    assert (finding.previous, finding.change) == (None, None)
    assert detect(week(100, 48), []) == []
    assert detect(week(10, 10), []) == []
    assert detect(week(100, 50), [week(100, 50)]) == []


def test_a_new_category_that_fails_is_found() -> None:
    """It has no baseline, but its rate needs none."""
    current = using(week(), model={**week().by["model"], "model-c": counts(40, 20)})
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
    """It is critical only if it is half of the usual week too."""
    assert found(week(650, 32), [week(2_000, 100), week(), week()])["requests_drop", None].severity == WARNING


def test_credits_can_move_alone() -> None:
    """The same number of requests that cost three times as much, or a third."""
    assert kinds(week(credits=8_550), [week()]) == {"credits_spike"}
    assert kinds(week(credits=950), [week()]) == {"credits_drop"}


@pytest.mark.parametrize(("total", "previous"), [(5, 10), (11, 3), (6, 15), (16, 5)])
def test_a_ratio_that_chance_explains_is_no_finding(total: int, previous: int) -> None:
    """Small weeks halve and triple by themselves."""
    assert found(week(total, 0), [week(previous, 0)]) == {}


@pytest.mark.parametrize(("weeks", "expected"), [(5, set()), (6, {"requests_drop", "credits_drop"})])
def test_with_six_weeks_their_spread_is_the_measure(weeks: int, expected: set[str]) -> None:
    """A fall by 40 % is not a half, but far outside the spread of steady weeks."""
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
    """Not again each week until the median has followed."""
    assert kinds(week(500, 25), [week()] * 8) == {"requests_drop", "credits_drop"}
    assert found(week(500, 25), [week(500, 25), *[week()] * 7]) == {}


def test_a_category_that_vanished_is_found_once() -> None:
    """Used every week and then not at all."""
    fewer = week(styles=STYLES[1:])
    (finding,) = detect(fewer, [week()] * 3)
    assert (finding.kind, finding.dimension, finding.value) == ("vanished", "style", "anime")
    assert (finding.previous, finding.current, finding.change) == (333, 0, -1)
    assert finding.message == "Style 'anime' vanished: no requests, after 999 in the 3 weeks before."
    assert found(fewer, [fewer, week(), week()]) == {}


def test_a_category_that_is_new_is_found() -> None:
    """Never used before."""
    (finding,) = detect(week(), [week(styles=STYLES[1:])] * 3)
    assert (finding.kind, finding.dimension, finding.value, finding.change) == ("new", "style", "anime", None)
    assert finding.message == "Style 'anime' is new: 333 requests, after none in the 3 weeks before."


@pytest.mark.parametrize("uses", [3, 10])
def test_categories_of_little_use_come_and_go(uses: int) -> None:
    """With so few requests a week, a week without any is common."""
    rare = using(week(), style={**week().by["style"], "rare": counts(uses, 0)})
    assert found(rare, [week()] * 8) == {}
    assert found(week(), [rare] * 8) == {}


def test_categories_are_judged_from_eleven_requests_on() -> None:
    """11 were made, or 11 were expected from the category's share."""
    novel = using(week(), style={**week().by["style"], "rare": counts(11, 0)})
    assert kinds(novel, [week()] * 8) == {"new"}
    without = using(week(), style={"anime": counts(1_011, 50)})
    assert kinds(without, [using(week(), style={"anime": counts(1_000, 50), "rare": counts(11, 0)})] * 8) == {
        "vanished"
    }


def test_a_breakdown_that_was_not_recorded_makes_nothing_new_or_vanished() -> None:
    """Reports of an older form have no colors."""
    old = using(week(), color={})
    assert found(week(), [old]) == {}
    assert found(old, [week()]) == {}
    assert kinds(using(week(), color={"red": counts(1_000, 50)}), [old, week()]) == {"new", "vanished"}


def test_rare_options_that_are_added_up_are_neither_new_nor_vanished() -> None:
    """250 styles used alike: which are among the first 200 is chance, and not a finding."""
    weeks = []
    for week_number in (0, 1):
        fold = DayFold("2026-11-20")
        for number in range(250):
            for _ in range(31 if (number + week_number) % 2 else 30):
                fold.add({"style": f"s{number}", "model": "a", "status": "completed"})
        weeks.append(usage_of([fold]))
    assert {"s0", "other"} <= {*weeks[0].by["style"]}
    assert {*weeks[0].by["style"]} != {*weeks[1].by["style"]}
    assert detect(weeks[0], weeks[1:]) == []


@pytest.mark.parametrize("weeks", [1, 5, 6, 8])
def test_generation_twice_as_slow_is_found(weeks: int) -> None:
    """By the median, or if that is as usual by the slowest twentieth; one finding at most."""
    history = [week()] * weeks
    (by_median,) = detect(week(median_seconds=4, p95_seconds=50), history)
    assert (by_median.kind, by_median.severity, by_median.previous, by_median.current) == (
        "slow_generation",
        WARNING,
        2,
        4,
    )
    assert by_median.message.startswith("Median generation time rose to 4 s, 2 times the 2 s of")
    (by_tail,) = detect(week(p95_seconds=10), history)
    assert (by_tail.previous, by_tail.current) == (5, 10)
    assert found(week(median_seconds=3.9, p95_seconds=9.9), history) == {}


@pytest.mark.parametrize(("weeks", "expected"), [(5, {"slow_generation"}), (6, set())])
def test_generation_times_that_always_vary_hide_a_slow_week(weeks: int, expected: set[str]) -> None:
    """From six weeks on, their own spread is the measure."""
    history = [week(median_seconds=seconds) for seconds in (2, 1, 4, 2, 1, 4)[:weeks]]
    assert kinds(week(median_seconds=6), history) == expected


def test_slow_generation_needs_samples_and_a_baseline() -> None:
    """A dozen times are too few to see that they doubled; none, or zero, cannot be compared."""
    assert found(week(12, 0, median_seconds=4), [week(12, 0)] * 8) == {}
    assert found(week(median_seconds=4), []) == {}
    for nothing in (None, 0.0):
        assert found(week(median_seconds=4), [week(median_seconds=nothing)]) == {}
        assert found(week(median_seconds=nothing, p95_seconds=nothing), [week()]) == {}


QUIET: list[tuple[str, float, Usage, list[Usage]]] = [
    ("MIN_SAMPLES", 10_000, week(1_000, 525), [week()]),
    ("SIGNIFICANCE_LEVEL", 0.0, week(1_000, 525), [week()]),
    ("MIN_RISE", 0.2, week(1_000, 150), [week()]),
    ("MIN_RISE_FACTOR", 4.0, week(1_000, 150), [week()]),
    ("ALARMING_RATE", 0.7, week(1_000, 600), []),
    ("SPIKE_FACTOR", 4.0, week(3_000, 150), [week()]),
    ("DROP_FACTOR", 0.4, week(500, 25), [week()]),
    ("VARIATION", 0.5, week(600, 30), [week()] * 6),
    ("MIN_RATIO", 1 / 3, week(500, 25), [week()]),
    ("MIN_CHANGE", 0.6, week(500, 25), [week()]),
    ("ROBUST_SCORE_LIMIT", 9.0, week(600, 30), [week()] * 6),
    ("ROBUST_SCORE_WEEKS", 7, week(600, 30), [week()] * 6),
    ("SLOW_FACTOR", 3.0, week(median_seconds=4), [week()]),
]


@pytest.mark.parametrize(("name", "value", "current", "history"), QUIET, ids=[case[0] for case in QUIET])
def test_each_threshold_is_used(
    name: str, value: float, current: Usage, history: list[Usage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its extreme each silences what is found by default."""
    assert found(current, history)
    change(monkeypatch, name, value)
    assert found(current, history) == {}


def change(monkeypatch: pytest.MonkeyPatch, name: str, value: float) -> None:
    """Sets a threshold in every module that uses it."""
    modules: list[ModuleType] = [categories, rates, significance, times, volumes]
    using_it = [module for module in modules if hasattr(module, name)]
    assert using_it
    for module in using_it:
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize(("name", "value"), [("CRITICAL_RATE", 0.3), ("CRITICAL_FACTOR", 3.0)])
def test_what_makes_a_rise_critical(name: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """With either threshold out of reach the same rise is a warning."""
    rise = week(1_000, 201), [week(1_000, 100)]
    assert found(*rise)["failure_rate_rise", None].severity == CRITICAL
    change(monkeypatch, name, value)
    assert found(*rise)["failure_rate_rise", None].severity == WARNING


def test_what_is_a_drop_of_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 90 % of what it was, success has dropped."""
    change(monkeypatch, "SUCCESS_DROP_FACTOR", 0.9)
    assert "success_rate_drop" in kinds(week(1_000, 201), [week(1_000, 100)])


def test_critical_findings_come_first() -> None:
    """The order is what an operator reads."""
    current = using(week(3_000, 1_800), color={"red": counts(3_000, 1_800)})
    severities = [finding.severity for finding in detect(current, [week()] * 8)]
    assert set(severities) == {CRITICAL, WARNING}
    assert severities == sorted(severities)


def test_a_finding_is_stored_as_json() -> None:
    """Every number is finite, and the names are those of the report."""
    spike = found(week(3_000, 150), [week(0, 0), week(), week()])["requests_spike", None]
    assert json.loads(json.dumps(spike.to_fields(), allow_nan=False)) == {
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


@settings(max_examples=EXAMPLES, deadline=None)
@given(now=st.tuples(SMALL, SMALL, SMALL), before=st.lists(st.tuples(SMALL, SMALL, SMALL), max_size=8))
def test_any_weeks_give_findings_that_can_be_stored(
    now: tuple[int, int, int], before: list[tuple[int, int, int]]
) -> None:
    """For any counts nothing is raised, and every number is finite."""
    usages = []
    for completed, failed, credits in [now, *before]:
        whole = counts(completed + failed, failed)
        by = {dimension: {"a": whole} for dimension in DIMENSIONS}
        seconds = credits / 3, completed / 2
        usage = Usage(whole.total, completed, failed, credits_spent=credits, by=by)
        usages.append(replace(usage, median_seconds=seconds[0], p95_seconds=seconds[1]))
    for finding in detect(usages[0], usages[1:]):
        json.dumps(finding.to_fields(), allow_nan=False)


@pytest.mark.parametrize("weeks", [1, 8])
@pytest.mark.parametrize("mean", [4, 60])
def test_stable_weeks_hardly_ever_have_a_finding(mean: int, weeks: int) -> None:
    """A smoke test; benchmarks/detector.py is the simulation."""
    rng = random.Random(1)
    alarms = sum(
        bool(detect(now, before))
        for now, *before in ([random_week(rng, mean) for _ in range(weeks + 1)] for _ in range(50))
    )
    assert alarms <= 2


def random_week(rng: random.Random, mean: int) -> Usage:
    """Three styles, each with `mean` requests within 20 % and with about a Poisson count's spread."""
    level = mean * rng.uniform(0.8, 1.2)
    by_style = {}
    for style in STYLES:
        total = max(0, round(rng.gauss(level, math.sqrt(level))))
        by_style[style] = counts(total, sum(rng.random() < 0.05 for _ in range(total)))
    whole = sum(by_style.values(), Counts())
    usage = Usage(whole.total, whole.completed, whole.failed, credits_spent=3 * whole.completed)
    return using(usage, model={"a": whole}, style=by_style)
