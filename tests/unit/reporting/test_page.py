"""The weekly report's page: true numbers, readable words, and nothing in a report that can break or subvert it."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reporting import Report, Window, page
from reporting.report import Week
from reporting.usage import Usage
from reporting.words import NOTHING
from tests.unit.reporting.helpers import END, EXAMPLES

VOID = {"meta", "link", "br", "img", "input", "hr"}
WEEK = timedelta(days=7)


def tally(total: int, failed: int) -> dict[str, Any]:
    return {"total": total, "completed": total - failed, "failed": failed, "failureRate": 100 * failed / total}


def fields(**changed: Any) -> dict[str, Any]:
    """A stored week with 100 requests, 10 of them failed, unless the fields say otherwise."""
    by_day = {
        "2026-11-18": {"total": 60, "completed": 54, "failed": 6, "creditsSpent": 180, "creditsRefunded": 18},
        "2026-11-20": {"total": 40, "completed": 36, "failed": 4, "creditsSpent": 120, "creditsRefunded": 12},
    }
    return {
        "totalRequests": 100,
        "totalCompleted": 90,
        "totalFailed": 10,
        "totalPending": 0,
        "totalCreditsSpent": 300,
        "totalCreditsRefunded": 30,
        "successRate": 90.0,
        "byModel": {"model-a": tally(70, 3), "model-b": tally(30, 7)},
        "byStyle": {"anime": tally(100, 10)},
        "byColor": {"neon": tally(100, 10)},
        "bySize": {"512x512": tally(100, 10)},
        "byDay": by_day,
        "distinctUsers": 12,
        "generationSeconds": {"median": 0.04, "p95": 9.9},
        "failureReasons": {"model failed": 9, "lease expired": 1},
        "anomalies": [],
        "windowStart": END - WEEK,
        "windowEnd": END,
        "generatedAt": END,
        "previousReportId": "report_2026-11-16",
    } | changed


FIELDS = list(fields())


def before(weeks_ago: int = 1, **changed: Any) -> Week:
    return Week(Window(END - weeks_ago * WEEK), Usage.from_fields(fields(**changed)))


def render(*weeks: Week, **changed: Any) -> str:
    return page.render(Report.from_fields("report_2026-11-23", fields(**changed)), weeks)


class Reader(HTMLParser):
    """Checks that tags close in order, and collects tags, attributes and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())


def texts(*weeks: Week, **changed: Any) -> list[str]:
    return Reader(render(*weeks, **changed)).texts


def row(seen: list[str], name: str, length: int) -> list[str]:
    """The cells of the first row with this name."""
    at = seen.index(name)
    return seen[at + 1 : at + 1 + length]


# --- What it says ---


def test_the_headline_says_the_numbers_and_their_change() -> None:
    """Each figure stands with what it was the week before."""
    seen = texts(before(totalRequests=80, totalCompleted=76, totalFailed=4, successRate=95.0, totalCreditsSpent=400))
    for words in ("up 25.0% from 80", "down 5.0 points from 95.0%", "down 25.0% from 400", "unchanged from 12"):
        assert words in seen
    assert {
        "100",
        "90.0%",
        "40\N{NO-BREAK SPACE}ms",
        "9.9\N{NO-BREAK SPACE}s",
        "90 completed",
        "10 failed",
        "0 pending",
    } <= {*seen}
    assert "Compared with Mon 09 Nov 2026 to Sun 15 Nov 2026, UTC (report_2026-11-16)." in seen


def test_every_day_of_the_window_is_listed() -> None:
    """With its outcomes and credits, also a day without requests."""
    seen = texts()
    assert row(seen, "Wed 18 Nov", 5) == ["54", "6", "0", "180", "18"]
    assert row(seen, "Mon 16 Nov", 5) == ["0"] * 5
    assert len([text for text in seen if re.fullmatch(r"\w{3} \d\d Nov", text)]) == 7


def test_failure_rates_stand_beside_those_of_the_week_before() -> None:
    """By each dimension; what vanished still shows what it was."""
    seen = texts(before(byModel={"model-a": tally(50, 1), "model-c": tally(10, 5)}))
    assert row(seen, "model-a", 4) == ["70", "3", "4.3%", "2.0%"]
    assert row(seen, "model-b", 4) == ["30", "7", "23.3%", NOTHING]
    assert row(seen, "model-c", 4) == ["0", "0", NOTHING, "50.0%"]
    assert {"By model", "By style", "By color", "By size"} <= {*seen}
    assert "Of the settled requests. A full bar is 50.0% in all of these tables." in seen


def test_the_last_weeks_end_with_this_one() -> None:
    """Oldest first, each by its own date; a week without a report is not listed."""
    weeks = [before(weeks_ago) for weeks_ago in (1, 2, 4, 5, 6, 7, 8, 9)]
    seen = texts(*weeks)
    names = seen[seen.index("Week to") :]
    dates = [text for text in names if re.fullmatch(r"Sun \d\d \w{3}(, this week)?", text)]
    assert dates == [
        *("Sun 27 Sep", "Sun 04 Oct", "Sun 11 Oct", "Sun 18 Oct", "Sun 25 Oct", "Sun 08 Nov", "Sun 15 Nov")[-7:],
        "Sun 22 Nov, this week",
    ]
    assert row(seen, "Sun 08 Nov", 4) == ["100", "90.0%", "300", "30"]


def test_why_requests_failed_is_listed() -> None:
    """Most frequent first; without reasons it says whether nothing failed or nothing was recorded."""
    seen = texts()
    assert row(seen, "model failed", 2) == ["9", "90.0%"]
    assert seen.index("model failed") < seen.index("lease expired")
    assert "The reasons are not recorded." in texts(failureReasons=None)
    assert "No request failed." in texts(failureReasons={}, totalFailed=0, totalCompleted=100)


def test_hundreds_of_styles_become_the_most_used_and_the_rest() -> None:
    """Nothing is lost: what is listed and the others add up."""
    styles = {f"style {index}": tally(1000 - index, 100) for index in range(300)}
    seen = texts(before(byStyle={"style 299": tally(5000, 50)}), byStyle=styles)
    start = seen.index("By style")
    names = [text for text in seen[start:] if re.fullmatch(r"style \d+|\d+ others", text)]
    assert names == ["style 299", *(f"style {index}" for index in range(7)), "292 others"]
    total = sum(1000 - index for index in range(7, 299))
    assert row(seen, "292 others", 3) == [f"{total:,}", "29,200", f"{100 * 29_200 / total:.1f}%"]


def test_a_manual_report_touches_eight_days_and_says_so() -> None:
    """Its first and last day are counted in part."""
    noon = END + timedelta(hours=12)
    seen = texts(windowStart=noon - WEEK, windowEnd=noon)
    assert "The first and the last day are counted in part." in seen
    assert "16 Nov 2026 12:00 to 23 Nov 2026 12:00, UTC" in seen
    assert "Mon 23 Nov" in seen
    assert "The first and the last day are counted in part." not in texts()


# --- Its verdict ---


def verdict(*weeks: Week, **changed: Any) -> tuple[str, str]:
    """The header's verdict and its mood."""
    found = re.search(r'<p class="label (\w+)">(.*?)</p>', render(*weeks, **changed))
    assert found is not None
    return found[2], found[1]


def test_a_usual_week_is_fine() -> None:
    """If there is a week to compare it with."""
    assert verdict(before()) == ("Nothing unusual", "fine")


@pytest.mark.parametrize("weeks", [[], [before(totalRequests=0, totalCompleted=0, totalFailed=0, byModel={})]])
def test_a_first_week_is_not_called_fine(weeks: list[Week]) -> None:
    """There is nothing to compare with, or only a week without requests."""
    assert verdict(*weeks) == ("First week: nothing to compare with", "unknown")


def test_a_first_week_says_what_is_not_there() -> None:
    """Neither a comparison nor a trend."""
    seen = texts()
    assert "There is no week before to compare with." in seen
    assert "The trend starts with the second weekly report." in seen


def test_a_week_without_requests_is_not_called_fine() -> None:
    """It says so, with a week before and without one."""
    nothing: dict[str, Any] = {name: {} for name in FIELDS if name.startswith("by") or name == "failureReasons"}
    nothing |= {name: 0 for name in FIELDS if name.startswith("total")} | {"successRate": None}
    assert verdict(before(), **nothing) == verdict(**nothing) == ("No requests", "unknown")
    assert "No request failed." in texts(**nothing)
    assert "No requests to compare." in texts(**nothing)


def test_findings_that_are_not_recorded_are_not_none() -> None:
    """An old report without the field does not claim that all was well."""
    assert verdict(before(), anomalies=None) == ("Findings not recorded", "unknown")
    assert verdict(before(), totalRequests="x", byModel={}) == ("Requests not recorded", "unknown")


def test_critical_findings_come_first() -> None:
    """In any stored order; the severity is a word, not only a color."""
    findings = [{"severity": "warning", "message": "Mild."}, {"severity": "critical", "message": "Grave."}]
    seen = texts(anomalies=findings)
    assert verdict(anomalies=findings) == ("1 critical, 1 warning", "critical")
    assert verdict(anomalies=findings[:1] * 2) == ("2 warnings", "warning")
    assert seen.index("Critical") < seen.index("Grave.") < seen.index("Warning") < seen.index("Mild.")


def test_a_finding_says_how_certain_it_is() -> None:
    """Its samples, its p-value and its score; a drop's score is negative."""
    finding = {"message": "Fell.", "score": -4.25, "pValue": 0.03, "previousSamples": 9000, "currentSamples": 50}
    assert "50 samples, 9,000 before · p = 0.03 · -4.2 robust standard deviations" in texts(anomalies=[finding])
    assert "p < 0.0001" in texts(anomalies=[{"message": "Fell.", "pValue": 0.0}])


def test_an_old_report_whose_findings_are_sentences_shows_them() -> None:
    """Never "nothing unusual" if an older form said otherwise."""
    assert "Success rate dropped to 10%!" in texts(anomalies=["Success rate dropped to 10%!"])


def test_at_most_twenty_findings_are_shown() -> None:
    """And it says how many more are stored."""
    seen = texts(anomalies=[{"message": f"Finding {number}."} for number in range(25)])
    assert len([text for text in seen if text.startswith("Finding ")]) == 20
    assert "And 5 more in the stored report." in seen


# --- Untrusted text ---

NASTY = (
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' & {{ 7 * 7 }}{% raw %}",
    "]]></style><style>*{display:none}",
    "\u202egnp.exe",
    "\x00\x1b[31m",
    "\ud800",
    "مرحبا بالعالم",
    "x" * 200,
    "",
)


@pytest.mark.parametrize("name", NASTY)
def test_names_are_text_wherever_they_show(name: str) -> None:
    """In tables, findings and the ids; the tags are the same as for a harmless name."""
    harmless = "y" * len(name)

    def reader(text: str) -> Reader:
        finding = {"severity": text, "message": f"{text} rose.", "kind": text, "dimension": text, "value": text}
        changed = {"byStyle": {text: tally(9, 3)}, "failureReasons": {text: 3}, "byDay": {text: {"total": 3}}}
        html = render(before(), **changed, anomalies=[finding], previousReportId=text)
        assert html.encode("utf-8")
        return Reader(html)

    assert reader(name).tags == reader(harmless).tags
    assert not [key for key, _ in reader(name).attributes if key.startswith("on")]
    shown = "".join(reader(name).texts)
    assert not set(shown) & set("\x00\x1b\u202e")
    if name.startswith(("<", "'")):
        assert name in shown


def test_a_name_without_letters_has_words() -> None:
    """A row is never without a name."""
    assert "(no name)" in texts(byStyle={"  ": tally(9, 3)})


def test_the_page_asks_for_nothing() -> None:
    """No script, no address, no resource, and a policy that would refuse them."""
    html = render(before())
    assert not re.search(r"https?:|//\w|<script|@import|src=|url\(|javascript:", html)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -1, 2**63, 1e308, float("nan"), float("inf"), END, END.replace(year=9999), "2026-11-18"]),
    st.floats(),
    st.text(max_size=8),
)
COUNTS = st.dictionaries(st.sampled_from(["total", "completed", "failed", "failureRate", "median", "p95"]), ODD)
NESTED = st.dictionaries(st.one_of(st.text(max_size=5), st.sampled_from(["2026-11-18", "model-a"])), COUNTS | ODD)
FINDING = st.dictionaries(st.sampled_from(["severity", "message", "score", "pValue", "previousSamples"]), ODD)
REPORTS = st.dictionaries(st.sampled_from(FIELDS), st.one_of(ODD, NESTED, COUNTS, st.lists(FINDING | ODD, max_size=3)))


@settings(max_examples=EXAMPLES, deadline=None)
@given(REPORTS, st.lists(REPORTS, max_size=3))
def test_any_report_is_a_page(this: Any, weeks: Any) -> None:
    """With any value of any field the page is well formed, and every bar lies within its place."""
    earlier = [Week(Window(END - number * WEEK), Usage.from_fields(each)) for number, each in enumerate(weeks, start=1)]
    html = page.render(Report.from_fields("report_x", this), earlier)
    Reader(html)
    assert all(0 <= float(value) <= 100.01 for value in re.findall(r'style="(?:left|width):([^%]*)%"', html))
    for bar in re.findall(r'<span class="bar".*?</span>', html, re.DOTALL):
        assert sum(map(float, re.findall(r"width:([\d.]+)%", bar))) <= 100.1


# --- Colors ---

TEXT_PAIRS = [
    *((text, ground) for text in ("ink", "quiet", "fine", "critical") for ground in ("page", "card")),
    *((mood, f"{mood}-page") for mood in ("critical", "warning", "fine")),
]
MARKS = ("completed", "failed", "pending")


def palettes() -> list[dict[str, str]]:
    """The light, the dark and the printed one, each over the light one."""
    css = Path(page.__file__).with_suffix(".html").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colors = [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in blocks]
    return [{**colors[0], **each} for each in colors]


def contrast(one: str, two: str) -> float:
    """WCAG 2's contrast ratio: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_contrast() -> None:
    """Text has 4.5 to 1 and a bar's marks 3 to 1, in light, dark and print."""
    assert len(palettes()) == 3
    for colors in palettes():
        assert {pair for pair in TEXT_PAIRS if contrast(colors[pair[0]], colors[pair[1]]) < 4.5} == set()
        assert {mark for mark in MARKS if contrast(colors[mark], colors["card"]) < 3} == set()
