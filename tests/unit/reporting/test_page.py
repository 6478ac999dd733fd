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
# How requests ended is not known.
UNKNOWN_OUTCOME: dict[str, Any] = {"totalCompleted": None, "totalFailed": None, "successRate": None, "byModel": {}}


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


def tile(seen: list[str], label: str) -> list[str]:
    """A headline figure and what stands below it."""
    return row(seen, label, 2)


def test_the_first_figures_are_the_sales() -> None:
    """Credits sold, spent, refunded, taken back and outstanding, and how many requests failed; each with its change."""
    last = before(totalCreditsSpent=400, totalCreditsGranted=200, totalCreditsRefunded=5, totalFailed=5)
    now = {"outstanding": {"credits": 4120, "at": END + timedelta(minutes=20)}}
    seen = texts(last, totalCreditsGranted=500, totalCreditsRevoked=20, **now)
    assert tile(seen, "Credits sold") == ["500", "up 150.0% from 200"]
    assert tile(seen, "Credits spent") == ["300", "down 25.0% from 400"]
    assert tile(seen, "Refunded") == ["30", "up from 5"]
    assert seen[seen.index("Taken back") + 1] == "20"
    assert tile(seen, "Outstanding") == ["4,120", "held by users on 23 Nov, 00:20"]
    assert tile(seen, "Failed") == ["10 of 100", "10.0%, up 4.7 points from 5.3%"]
    assert f"Compared with 9 {NOTHING} 15 Nov 2026." in seen
    assert seen.index("Sales") < seen.index("Credits sold") < seen.index("Failed") < seen.index("Day by day")


def test_what_an_older_report_does_not_say_of_its_sales_is_not_zero() -> None:
    """Sold and taken back are not recorded, sold not by day either; what is outstanding is not shown."""
    seen = texts()
    assert tile(seen, "Credits sold") == tile(seen, "Taken back") == [NOTHING, "not recorded"]
    assert "Outstanding" not in seen
    assert row(seen, "Wed 18 Nov", 4) == [NOTHING, "180", "18", "6 of 60"]
    assert tile(texts(**UNKNOWN_OUTCOME), "Failed") == [NOTHING, "not recorded"]


def test_requests_and_speed_stand_with_what_they_were() -> None:
    """Times in the unit that reads best."""
    seen = texts(before(totalRequests=80, totalCompleted=76, totalFailed=4))
    assert tile(seen, "Requests") == ["100", "up 25.0% from 80"]
    assert tile(seen, "Users who ordered") == ["12", "unchanged"]
    assert tile(seen, "Half delivered within")[0] == "40\N{NO-BREAK SPACE}ms"
    assert tile(seen, "19 of 20 delivered within")[0] == "9.9\N{NO-BREAK SPACE}s"
    assert {"90 delivered", "10 failed", f"{NOTHING} canceled", "0 not ended"} <= {*seen}


def test_what_was_canceled_is_no_failure() -> None:
    """It has its own words and its own part of the bar; a week in which all was canceled has no failure rate."""
    by_day = {"2026-11-18": {"total": 125, "completed": 90, "failed": 10, "canceled": 25}}
    html = render(totalRequests=130, totalCanceled=25, totalPending=5, byDay=by_day)
    seen = Reader(html).texts
    assert {"90 delivered", "10 failed", "25 canceled", "5 not ended"} <= {*seen}
    assert tile(seen, "Failed")[0] == row(seen, "Wed 18 Nov", 4)[-1] == "10 of 100"
    assert '<line class="canceled" x1="80.0%" x2="100.0%"' in html
    ended = {"totalCompleted": 0, "totalFailed": 0, "totalCanceled": 100, "successRate": None}
    seen = texts(**ended, byModel={}, failureReasons={})
    assert tile(seen, "Failed") == ["0", "none delivered, none failed"]
    assert {"100 canceled", "0 not ended", "No request failed."} <= {*seen}


def test_every_day_of_the_week_is_listed() -> None:
    """With its credits and failures, also a day without requests."""
    by_day = {"2026-11-18": {"total": 60, "completed": 54, "failed": 6, "creditsSpent": 180, "creditsGranted": 25}}
    seen = texts(totalCreditsGranted=25, totalCreditsRevoked=0, byDay=by_day)
    assert row(seen, "Wed 18 Nov", 4) == ["25", "180", "0", "6 of 60"]
    assert row(seen, "Mon 16 Nov", 4) == ["0", "0", "0", NOTHING]
    assert len([text for text in seen if re.fullmatch(r"\w{3} \d\d? Nov", text)]) == 7


def test_what_the_credits_bought_is_listed_by_option() -> None:
    """Images and credits, most credits first, beside the credits of the week before; what vanished too."""
    spent = {"model-a": tally(70, 3) | {"creditsSpent": 90}, "model-b": tally(30, 7) | {"creditsSpent": 210}}
    last = {"model-a": tally(50, 1) | {"creditsSpent": 80}, "model-c": tally(10, 5) | {"creditsSpent": 7}}
    seen = texts(before(byModel=last), byModel=spent)
    bought = seen[seen.index("What the credits bought") : seen.index("Failures")]
    assert row(bought, "model-b", 3) == ["23", "210", "0"]
    assert row(bought, "model-a", 3) == ["67", "90", "80"]
    assert row(bought, "model-c", 3) == ["0", "0", "7"]
    assert [text for text in bought if text.startswith("model-")] == ["model-b", "model-a", "model-c"]
    assert {"By model", "By style", "By color", "By size"} <= {*bought}


def test_without_credits_by_option_the_images_are_listed() -> None:
    """An older report did not record the credits."""
    seen = texts(before())
    bought = seen[seen.index("What the credits bought") : seen.index("Failures")]
    assert row(bought, "model-a", 3) == ["67", NOTHING, NOTHING]


def test_failures_are_listed_worst_first_with_their_numbers() -> None:
    """By each dimension, beside the rate of the week before; what was not used this week has none."""
    seen = texts(before(byModel={"model-a": tally(50, 1), "model-c": tally(10, 5)}))
    failures = seen[seen.index("Failures") :]
    assert failures[1] == "10 of 100 requests failed (10.0%)."
    assert row(failures, "model-b", 3) == ["7 of 30", "23.3%", NOTHING]
    assert row(failures, "model-a", 3) == ["3 of 70", "4.3%", "2.0%"]
    assert [text for text in failures if text.startswith("model-")] == ["model-b", "model-a"]
    assert {"By model", "By style", "By color", "By size"} <= {*failures}
    assert (
        "Worst first, of the requests that were delivered or failed. A full bar is 23.3% in all of these tables."
        in seen
    )


def test_the_last_weeks_end_with_this_one() -> None:
    """Oldest first, each by its own dates; a week without a report is not listed."""
    weeks = [before(weeks_ago, totalCreditsGranted=50) for weeks_ago in (1, 2, 4, 5, 6, 7, 8, 9)]
    seen = texts(*weeks)
    names = seen[seen.index("Week by week") :]
    dates = [text.replace(NOTHING, "-") for text in names if re.search(r"\d \w{3} 2026(, this week)?$", text)]
    assert dates == [
        "21 - 27 Sep 2026",
        "28 Sep - 4 Oct 2026",
        "5 - 11 Oct 2026",
        "12 - 18 Oct 2026",
        "19 - 25 Oct 2026",
        "2 - 8 Nov 2026",
        "9 - 15 Nov 2026",
        "16 - 22 Nov 2026, this week",
    ]
    assert row(names, f"2 {NOTHING} 8 Nov 2026", 4) == ["50", "300", "30", "10 of 100"]


def test_why_requests_failed_is_said_in_words() -> None:
    """Most frequent first; a code that is not known here as it is; without any it says why there is none."""
    codes = {"PROVIDER_BUSY": 6, "LEASE_EXPIRED": 2, "NEW_CODE": 1, "unknown": 1}
    seen = texts(failureReasons=codes)
    assert row(seen, "The provider was busy", 2) == ["6 of 10", "60.0%"]
    shown = ["The provider was busy", "It broke off before it was done", "NEW_CODE", "Not recorded"]
    assert [text for text in seen if text in shown] == shown
    assert not {"PROVIDER_BUSY", "LEASE_EXPIRED"} & {*seen}
    assert "The reasons are not recorded." in texts(failureReasons=None)
    assert "No request failed." in texts(failureReasons={}, totalFailed=0, totalCompleted=100)
    assert "How many requests failed is not recorded." in texts(**UNKNOWN_OUTCOME)


def test_hundreds_of_styles_become_the_first_and_the_rest() -> None:
    """Nothing is lost: what is listed and the others add up; in sales the best are named, in failures the worst."""
    styles = {f"style {index}": tally(1000 - index, 100 + index) | {"creditsSpent": index} for index in range(300)}
    seen = texts(byStyle=styles)
    at = seen.index("Failures")
    for part in (seen[:at], seen[at:]):
        names = [text for text in part[part.index("By style") :] if re.fullmatch(r"style \d+|\d+ others", text)]
        assert names == [*(f"style {index}" for index in range(299, 291, -1)), "292 others"]
    assert row(seen[:at], "292 others", 2) == [f"{sum(900 - 2 * index for index in range(292)):,}", f"{291 * 146:,}"]
    failed, total = sum(range(100, 392)), sum(1000 - index for index in range(292))
    assert row(seen[at:], "292 others", 2) == [f"{failed:,} of {total:,}", f"{100 * failed / total:.1f}%"]


def test_a_manual_report_touches_eight_days_and_says_so() -> None:
    """Its first and last day are counted in part."""
    noon = END + timedelta(hours=12)
    seen = texts(windowStart=noon - WEEK, windowEnd=noon)
    words = "The first and the last day are counted in part"
    assert f"{words}: 16 Nov 2026 12:00 to 23 Nov 2026 12:00, UTC." in seen
    assert "Mon 23 Nov" in seen
    assert not [text for text in texts() if text.startswith(words)]


# --- Its links ---


def links(*weeks: Week, after: Window | None = None, **changed: Any) -> list[tuple[str, str]]:
    """Where each link leads, and its words."""
    html = page.render(Report.from_fields("report_2026-11-23", fields(**changed)), weeks, after)
    found = re.findall(r'<a href="([^"]*)" target="_top" rel="\w+">(.*?)</a>', html, re.DOTALL)
    assert len(found) == html.count("<a ")
    return [(href, re.sub(r"<[^>]*>|[\s←→]+", " ", text).strip()) for href, text in found]


def test_the_weeks_beside_are_linked_by_their_dates() -> None:
    """Relative to the page, so that they work wherever it is; in a sandboxed frame they do nothing."""
    assert links(before(), after=Window(END + WEEK)) == [
        ("?reportId=report_2026-11-16&amp;format=html", f"9 {NOTHING} 15 Nov 2026"),
        ("?reportId=report_2026-11-30&amp;format=html", f"23 {NOTHING} 29 Nov 2026"),
    ]
    assert links() == []


def test_a_week_without_a_report_is_not_linked() -> None:
    """Counted only to be compared with, or its report is gone: the newest one before it is."""
    gone = Week(Window(END - WEEK), Usage(None))
    assert [href for href, _ in links(gone, before(2))] == ["?reportId=report_2026-11-09&amp;format=html"]
    report = Report.from_fields("report_2026-11-23", fields(previousReportId=None, previous=fields()))
    assert report.previous is not None
    html = page.render(report, [Week(Window(END - WEEK), report.previous)])
    assert "<a " not in html


# --- Its verdict ---


def verdict(*weeks: Week, **changed: Any) -> tuple[str, str]:
    """The page's first sentence and its mood."""
    found = re.search(r'<section class="card verdict (\w+)".*?<h2>(.*?)</h2>', render(*weeks, **changed), re.DOTALL)
    assert found is not None
    return found[2], found[1]


CALM = "Nothing needs your attention."


def test_a_usual_week_is_fine() -> None:
    """If there is a week to compare it with; it is the first thing said."""
    assert verdict(before()) == (CALM, "fine")
    seen = texts(before(), before(2), before(3, totalRequests=0, totalCompleted=0, totalFailed=0, byModel={}))
    assert seen[seen.index(CALM) + 1] == "Compared with the 2 weeks before, nothing is unusual."
    assert seen.index(CALM) < seen.index("Sales")


@pytest.mark.parametrize("weeks", [[], [before(totalRequests=0, totalCompleted=0, totalFailed=0, byModel={})]])
def test_a_first_week_is_not_called_fine(weeks: list[Week]) -> None:
    """There is nothing to compare with, or only a week without requests."""
    assert verdict(*weeks) == ("First week: nothing to compare with.", "unknown")


def test_a_first_week_says_what_is_not_there() -> None:
    """Neither a comparison nor a row of weeks."""
    seen = texts()
    assert "There is no week before to compare with." in seen
    assert "This table starts with the second weekly report." in seen


def test_a_week_without_requests_is_not_called_fine() -> None:
    """It says so, with a week before and without one."""
    nothing: dict[str, Any] = {name: {} for name in FIELDS if name.startswith("by") or name == "failureReasons"}
    nothing |= {name: 0 for name in FIELDS if name.startswith("total")} | {"successRate": None}
    assert verdict(before(), **nothing) == verdict(**nothing) == ("No requests this week.", "unknown")
    seen = texts(**nothing)
    assert {"No request failed.", "Nothing was bought."} <= {*seen}
    assert tile(seen, "Failed") == ["0", "none delivered, none failed"]


def test_findings_that_are_not_recorded_are_not_none() -> None:
    """An old report without the field does not claim that all was well."""
    assert verdict(before(), anomalies=None) == ("What was unusual is not recorded.", "unknown")
    odd = verdict(before(), totalRequests="x", byModel={})
    assert odd == ("How many requests there were is not recorded.", "unknown")


@pytest.mark.parametrize(
    ("critical", "warnings", "words"),
    [
        (1, 0, "1 thing needs attention."),
        (2, 0, "2 things need attention."),
        (1, 1, "1 thing needs attention, 1 more to look at."),
        (0, 1, "1 thing to look at."),
        (0, 4, "4 things to look at."),
    ],
)
def test_findings_are_counted_in_words(critical: int, warnings: int, words: str) -> None:
    """The mood is that of the gravest."""
    findings = [{"message": "Mild."}] * warnings + [{"severity": "critical", "message": "Grave."}] * critical
    assert verdict(anomalies=findings) == (words, "critical" if critical else "warning")


def test_critical_findings_come_first() -> None:
    """In any stored order; the severity is a word, not only a color."""
    findings = [{"severity": "warning", "message": "Mild."}, {"severity": "critical", "message": "Grave."}]
    seen = texts(anomalies=findings)
    assert seen.index("Critical") < seen.index("Grave.") < seen.index("Warning") < seen.index("Mild.")
    assert seen.index("Mild.") < seen.index("Sales")


def test_a_finding_says_how_certain_it_is() -> None:
    """In words: its requests, how likely it is by chance, and how far from the usual."""
    finding = {"message": "Fell.", "score": -4.25, "pValue": 0.03, "previousSamples": 9000, "currentSamples": 50}
    facts = "from 50 requests, and 9,000 before · 3.0% likely by chance alone · 4.2 standard deviations below the usual"
    assert facts in texts(anomalies=[finding])
    assert "<0.1% likely by chance alone" in texts(anomalies=[{"message": "Fell.", "pValue": 0.0001}])
    assert "<details" not in render(anomalies=[{"message": "Fell."}])


def test_an_old_report_whose_findings_are_sentences_shows_them() -> None:
    """Never "nothing unusual" if an older form said otherwise."""
    assert "Success rate dropped to 10%!" in texts(anomalies=["Success rate dropped to 10%!"])


@pytest.mark.parametrize(("findings", "open_ones"), [(3, 3), (4, 2), (25, 2)])
def test_many_findings_leave_the_first_screen_to_the_figures(findings: int, open_ones: int) -> None:
    """Three are shown at most, up to twenty on a click, and it says how many more are stored."""
    html = render(anomalies=[{"message": f"Finding {number}."} for number in range(findings)])
    shown = html.partition("</section>")[0]
    at_once, _, folded = shown.partition('<details class="more">')
    assert at_once.count("Finding ") == open_ones
    assert folded.count("Finding ") == min(findings, 20) - open_ones
    assert (f"<summary>{min(findings, 20) - open_ones} more</summary>" in folded) == (findings > 3)
    assert ("And 5 more in the stored report." in shown) == (findings == 25)


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
    assert f"default-src 'none'; style-src {page.style_source()}; img-src data:" in html.replace("&#39;", "'")


def test_one_hash_allows_its_styles() -> None:
    """A page with a strict policy can show this one in a frame: its styles are one text, the same for every report.

    What a frame's document may do is also what the page around it may do: https://www.w3.org/TR/CSP3/#csp-inheriting
    """
    finding = {"severity": "critical", "message": "Grave.", "pValue": 0.5}
    pages = [render(), render(before(), before(2), anomalies=[finding] * 9), render(totalRequests=None, byDay=None)]
    styles = [re.findall(r"<style>(.*?)</style>", html, re.DOTALL) for html in pages]
    assert [len(each) for each in styles] == [1, 1, 1]
    assert styles[0] == styles[1] == styles[2]
    assert not any("style" in [name for name, _ in Reader(html).attributes] for html in pages)


def test_a_small_part_of_a_bar_can_be_seen() -> None:
    """One failure of 100,000 takes 0.7 % of the bar, which ends at 100 %."""
    html = render(totalRequests=100_000, totalCompleted=99_999, totalFailed=1)
    outcome = html[html.index("Requests and speed") :]
    assert re.findall(r'class="(\w+)" x1="([\d.]+)%" x2="([\d.]+)%"', outcome)[:2] == [
        ("completed", "0.0", "99.3"),
        ("failed", "99.3", "100.0"),
    ]


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
    for bar in re.findall(r'<svg class="bar".*?</svg>', html, re.DOTALL):
        ends = [tuple(map(float, found)) for found in re.findall(r'x1="([^%]*)%" x2="([^%]*)%"', bar)]
        assert len(ends) == bar.count("<line")
        assert all(0 <= start <= end <= 100.01 for start, end in ends)


# --- Colors ---

TEXT_PAIRS = [
    *((text, ground) for text in ("ink", "quiet", "link") for ground in ("page", "card")),
    *((text, f"{mood}-page") for mood in ("critical", "warning", "fine") for text in ("ink", "quiet", mood)),
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
