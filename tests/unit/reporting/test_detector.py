"""What counts as a finding and what does not, at the edges."""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reporting import categories, failures, rates, significance, times, trend, volumes
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
    """The same numbers as in 0 to 8 weeks before are not news."""
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
        CRITICAL,
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
    before = using(week(), **{dimension: {"another": counts(500, 25), name: counts(300, 15)}})
    current = using(week(), **{dimension: {"another": counts(500, 25), name: counts(300, 45)}})
    findings = detect(current, [before] * 4)
    assert [(each.kind, each.dimension, each.value) for each in findings] == [("failure_rate_rise", dimension, name)]


def test_a_rise_is_critical_if_it_is_large_and_certain() -> None:
    """A tenth fails and that is twice as much, with a p-value that leaves no doubt; two of the three are a warning."""

    def severity(failed: int, failed_before: int, share: int = 1) -> str:
        now, before = (
            using(week(), model={"a": counts(3_000 // share, each // share), "b": counts(3_000, 150)})
            for each in (failed, failed_before)
        )
        return found(now, [before] * 4)["failure_rate_rise", "a"].severity

    assert severity(300, 150) == CRITICAL
    assert severity(299, 149) == WARNING
    assert severity(303, 153) == WARNING
    assert severity(300, 150, share=12) == WARNING


def test_what_all_models_share_in_a_week_is_not_one_models_fault() -> None:
    """Both fail three times as often: that is the whole's finding, and the models' are warnings or none."""
    history = [week(20_000, 1_000)] * 4
    assert {key for key, each in found(week(20_000, 3_000), history).items() if each.severity == CRITICAL} <= {
        ("failure_rate_rise", None)
    }
    assert ("failure_rate_rise", "model-a") not in found(week(20_000, 1_400), history)
    assert ("failure_rate_rise", "model-a") in found(week(20_000, 1_000, model_a_failed=700), history)


def test_weeks_whose_rates_always_move_hide_a_rise_that_steady_ones_show() -> None:
    """By chance alone, either would be certain."""
    steady = [week(60_000, 3_000)] * 6
    restless = [week(60_000, 3_000, model_a_failed=failed) for failed in (1_000, 2_200, 1_000, 2_200, 1_000, 2_200)]
    high = week(60_000, 3_000, model_a_failed=2_500)
    assert ("failure_rate_rise", "model-a") in found(high, steady)
    assert ("failure_rate_rise", "model-a") not in found(high, restless)


@pytest.mark.parametrize("weeks", [4, 6, 8])
def test_one_terrible_week_does_not_move_the_baseline(weeks: int) -> None:
    """A model's rise is found as if that week had not been, and with the same figures."""
    rise = week(6_000, 300, model_a_failed=300)
    terrible = week(6_000, 3_600)
    for at in range(weeks):
        history = [week(6_000, 300)] * weeks
        history[at] = terrible
        finding = found(rise, history)["failure_rate_rise", "model-a"]
        assert (finding.severity, finding.previous, finding.previous_samples) == (CRITICAL, 5, 3_000 * (weeks - 1))


def test_a_new_usual_rate_is_accepted_when_half_of_the_weeks_have_it() -> None:
    """Not more than half of the weeks are left out as odd."""
    bad = week(20_000, 6_000)
    assert ("failure_rate_rise", None) in found(bad, [bad] * 3 + [week(20_000, 1_000)] * 5)
    assert found(bad, [bad] * 5 + [week(20_000, 1_000)] * 3) == {}


def test_a_category_that_is_alone_is_not_said_twice() -> None:
    """Its failures are those of the whole."""
    alone = {name: {"only": counts(1_000, 50)} for name in DIMENSIONS}
    failing = {name: {"only": counts(1_000, 250)} for name in DIMENSIONS}
    findings = found(using(week(1_000, 250), **failing), [using(week(), **alone)] * 8)
    assert set(findings) == {("failure_rate_rise", None)}


def test_what_only_echoes_the_whole_is_no_reason_to_wake_up_for() -> None:
    """A model's failures and those of the whole are critical; each style's share of them is a warning."""
    findings = found(week(model_a_failed=400), [week()] * 3)
    assert {name for (_, name), each in findings.items() if each.severity == CRITICAL} == {None, "model-a"}
    assert {name for (_, name), each in findings.items() if each.severity == WARNING} == {*STYLES}
    everywhere = found(week(1_000, 600), [week()] * 3)
    assert {key for key, each in everywhere.items() if each.severity == CRITICAL} == {("success_rate_drop", None)}
    findings = found(week(1_000, 120, model_a_failed=495), [week()] * 3)
    assert {name for (_, name), each in findings.items() if each.severity == CRITICAL} == {None, "model-a"}


def test_many_categories_do_not_hide_a_models_failure() -> None:
    """Beside a hundred styles it is found as beside two."""

    for styles in (2, 100):
        by_style = {f"s{number}": counts(6_000 // styles, 300 // styles) for number in range(styles)}
        before = using(week(6_000, 300), style=by_style)
        now = using(week(6_000, 300, model_a_failed=400), style=by_style)
        assert found(now, [before] * 4)["failure_rate_rise", "model-a"].severity == CRITICAL


def test_a_rise_too_small_to_matter_is_no_finding_however_significant() -> None:
    """At a million requests anything is significant: it must be 1.5 points, and a fifth more."""

    def now(failed: int, usual: int = 25_000) -> dict[tuple[str, str | None], Finding]:
        before = using(week(1_000_000), model={"a": counts(500_000, usual), "b": counts(500_000, 25_000)})
        model = {**before.by["model"], "a": counts(500_000, failed)}
        return found(using(before, model=model), [before] * 8)

    assert now(32_400) == {}
    assert set(now(32_600)) == {("failure_rate_rise", "a")}
    assert now(59_000, usual=50_000) == {}


def test_a_rise_that_chance_explains_is_no_finding_however_large() -> None:
    """Two failures of 12 after none of 12."""
    assert found(week(12, 2), [week(12, 0)]) == {}


@pytest.mark.parametrize(("settled", "expected"), [(10, set()), (11, {"success_rate_drop", "credits_drop"})])
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


@pytest.mark.parametrize("weeks", [1, 4, 8])
def test_far_more_than_expected_is_a_spike(weeks: int) -> None:
    """Requests and credits are told apart, and each by name."""
    findings = found(week(2_500, 125), [week()] * weeks)
    assert set(findings) == {("requests_spike", None), ("credits_spike", None)}
    spike = findings["requests_spike", None]
    assert (spike.severity, spike.previous, spike.current, spike.change) == (WARNING, 1_000, 2_500, 1.5)
    assert spike.message == ("Requests rose to 2,500 from 1,000 the week before; about 1,000 were to be expected.")
    assert found(week(2_499, 125, credits=7_100), [week()] * weeks) == {}


@pytest.mark.parametrize("weeks", [1, 4, 8])
def test_half_of_what_is_expected_is_a_drop(weeks: int) -> None:
    """Half the requests is critical once there are some weeks, half the credits a warning."""
    findings = found(week(500, 25), [week()] * weeks)
    assert {kind: each.severity for (kind, _), each in findings.items()} == {
        "requests_drop": WARNING if weeks == 1 else CRITICAL,
        "credits_drop": WARNING,
    }
    assert found(week(640, 32), [week()] * weeks) == {}


def test_a_drop_that_is_not_about_a_half_is_a_warning() -> None:
    """Less than two thirds of what is expected."""
    findings = found(week(600, 30), [week()] * 8)
    assert {key: each.severity for key, each in findings.items()} == {
        ("requests_drop", None): WARNING,
        ("credits_drop", None): WARNING,
    }


def grown(week_number: int, total: float = 1_000) -> Usage:
    """A week of a service that grows by 15 % a week."""
    requests = round(total * 1.15**week_number)
    return week(requests, requests // 20)


@pytest.mark.parametrize("weeks", [4, 6, 8])
def test_growth_is_expected_to_go_on(weeks: int) -> None:
    """A week like the one before is no drop yet, and half of what growth leads to is one."""
    history = [grown(-number) for number in range(1, weeks + 1)]
    assert found(grown(0), history) == {}
    assert found(grown(-1), history) == {}
    assert found(grown(0, 500), history)["requests_drop", None].severity == CRITICAL


@pytest.mark.parametrize("before", [1, 4])
def test_a_slide_is_found_by_its_fourth_week(before: int) -> None:
    """15 % a week, none of which is a drop."""
    totals = [522, 614, 722, 850, *[1_000] * before]
    now, *history = [week(total, total // 20) for total in totals]
    (slide,) = detect(now, history)
    assert (slide.kind, slide.severity, slide.previous, slide.current) == ("requests_slide", WARNING, 1_000, 522)
    assert slide.message == "Requests slid by about 15% a week for 4 weeks, from 1,000 to 522."


def test_what_is_no_slide() -> None:
    """Fewer than five weeks, one step, a fall that is small each week, and weeks that go up and down."""
    for totals in (
        (614, 722, 850, 1_000),
        (600, 610, 1_000, 1_005, 1_010),
        (815, 860, 905, 950, 1_000),
        (700, 1_000, 650, 1_100, 900),
    ):
        now, *history = [week(total, total // 20) for total in totals]
        assert "requests_slide" not in kinds(now, history)


def test_credits_can_move_alone() -> None:
    """The same number of requests that cost three times as much, or a third."""
    assert kinds(week(credits=8_550), [week()]) == {"credits_spike"}
    assert kinds(week(credits=950), [week()]) == {"credits_drop"}


@pytest.mark.parametrize(("total", "previous"), [(5, 10), (11, 3), (6, 15), (16, 5)])
def test_a_ratio_that_chance_explains_is_no_finding(total: int, previous: int) -> None:
    """Small weeks halve and triple by themselves."""
    assert found(week(total, 0), [week(previous, 0)]) == {}


def test_weeks_that_always_vary_hide_a_fall_that_steady_ones_show() -> None:
    """The measure is the history's own spread."""
    restless = [week(total, total // 20) for total in (1_000, 500, 2_000, 700, 1_500, 1_000)]
    assert found(week(600, 30), restless) == {}
    assert kinds(week(600, 30), [week()] * 6) == {"requests_drop", "credits_drop"}


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
    """A style with 333 requests and none in three weeks before is named."""
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


FOUR = [week()] * 4
RISE = using(week(), model={"a": counts(600, 90), "b": counts(600, 30)})
EVEN = [using(week(), model={"a": counts(600, 30), "b": counts(600, 30)})] * 4
SLID, *FALLING = [week(total, total // 20) for total in (522, 614, 722, 850, 1_000)]
QUIET: list[tuple[str, Any, Usage, list[Usage]]] = [
    ("MIN_SAMPLES", 10_000, RISE, EVEN),
    ("SIGNIFICANCE_LEVEL", 0.0, RISE, EVEN),
    ("MIN_RISE", 0.2, RISE, EVEN),
    ("MIN_RISE_FACTOR", 4.0, RISE, EVEN),
    ("OWN_VARIANCE", 9.0, RISE, EVEN),
    ("ALARMING_RATE", 0.7, week(1_000, 600), []),
    ("SPIKE_FACTOR", 4.0, week(3_000, 150), FOUR),
    ("DROP_FACTOR", 0.4, week(500, 25), FOUR),
    ("STEP_FACTOR", 0.4, week(500, 25), FOUR),
    ("VOLUME_LEVELS", {"requests": 0.0, "credits": 0.0}, week(500, 25), FOUR),
    ("VOLUME_VARIANCE", 1.0, week(500, 25), FOUR),
    ("SLIDE_WEEKS", 5, SLID, FALLING),
    ("SLIDE_FALL", 0.2, SLID, FALLING),
    ("SLIDE_LEVEL", 0.0, SLID, FALLING),
    ("SLOW_FACTOR", 3.0, week(median_seconds=4), FOUR),
]


@pytest.mark.parametrize(("name", "value", "current", "history"), QUIET, ids=[case[0] for case in QUIET])
def test_each_threshold_is_used(
    name: str, value: Any, current: Usage, history: list[Usage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its extreme each silences what is found by default."""
    assert found(current, history)
    change(monkeypatch, name, value)
    assert found(current, history) == {}


def change(monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> None:
    """Sets a threshold in every module that uses it."""
    modules: list[ModuleType] = [categories, failures, rates, significance, times, trend, volumes]
    using_it = [module for module in modules if hasattr(module, name)]
    assert using_it
    for module in using_it:
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize(
    ("name", "value"), [("CRITICAL_RATE", 0.3), ("CRITICAL_FACTOR", 4.0), ("CRITICAL_P_VALUE", 0.0)]
)
def test_what_makes_a_rise_critical(name: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any threshold out of reach the same rise is a warning."""
    assert found(RISE, EVEN)["failure_rate_rise", "a"].severity == CRITICAL
    monkeypatch.setattr(rates, name, value)
    assert found(RISE, EVEN)["failure_rate_rise", "a"].severity == WARNING


def test_what_is_a_drop_of_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 90 % of what it was, success has dropped."""
    change(monkeypatch, "SUCCESS_DROP_FACTOR", 0.9)
    assert "success_rate_drop" in kinds(week(1_000, 201), [week()] * 4)


def test_critical_findings_come_first() -> None:
    """The order is what an operator reads."""
    current = using(week(3_000, 1_800), color={"red": counts(3_000, 1_800)})
    severities = [finding.severity for finding in detect(current, [week()] * 8)]
    assert set(severities) == {CRITICAL, WARNING}
    assert severities == sorted(severities)


def test_a_finding_is_stored_as_json() -> None:
    """Every number is finite, and the names are those of the report."""
    finding = found(week(0, 0), [week()])["outage", None]
    assert json.loads(json.dumps(finding.to_fields(), allow_nan=False)) == {
        "kind": "outage",
        "severity": "critical",
        "dimension": "overall",
        "value": None,
        "previous": 1_000,
        "current": 0,
        "change": -1,
        "previousSamples": 1_000,
        "currentSamples": 0,
        "pValue": 0.0,
        "score": None,
        "message": "No requests at all, after 1,000 the week before and 1,000 in a usual week.",
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
    rng = random.Random(2)
    alarms = sum(
        bool(detect(now, before))
        for now, *before in ([random_week(rng, mean) for _ in range(weeks + 1)] for _ in range(100))
    )
    assert alarms <= 4


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
