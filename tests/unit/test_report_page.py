"""The weekly report's page: true numbers, readable words, and nothing in a report that can break or subvert it."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import report_page
from report_charts import Column, Row, axis_steps, column_chart, line_chart, row_chart
from report_figures import by_week, rate_rows
from report_week import read_week
from report_words import (
    NOTHING,
    Change,
    Name,
    compact,
    duration,
    exact,
    percent,
    points_change,
    relative_change,
    shorten,
    window_words,
)

END = datetime(2025, 11, 17, tzinfo=UTC)
VOID = {"meta", "link", "br", "img", "input", "hr"}


def tally(total: int, failed: int) -> dict[str, Any]:
    return {"total": total, "completed": total - failed, "failed": failed, "failureRate": 100 * failed / total}


def report(end: datetime = END, **fields: Any) -> dict[str, Any]:
    """A week with 100 requests, 10 of them failed, unless the fields say otherwise."""
    by_day = {
        "2025-11-12": {"total": 60, "completed": 54, "failed": 6, "creditsSpent": 180, "creditsRefunded": 18},
        "2025-11-14": {"total": 40, "completed": 36, "failed": 4, "creditsSpent": 120, "creditsRefunded": 12},
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
        "generationSeconds": {"median": 3.2, "p95": 9.9},
        "failureReasons": {"model failed": 9, "lease expired": 1},
        "anomalies": [],
        "windowStart": end - timedelta(days=7),
        "windowEnd": end,
        "generatedAt": end,
        "previousReportId": "report_2025-11-10",
    } | fields


FIELDS = list(report())


def page(*, before: dict[str, Any] | None = None, trend: list[dict[str, Any]] | None = None, **fields: Any) -> str:
    this = report(**fields)
    return report_page.render("report_2025-11-17", this, before, [*(trend or []), this])


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

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


# --- The page ---


def test_the_headline_says_the_numbers_and_their_change() -> None:
    """Each figure stands with what it was the week before."""
    before = report(
        END - timedelta(days=7), totalRequests=80, successRate=95.0, totalCreditsSpent=400, distinctUsers=12
    )
    texts = Reader(page(before=before, trend=[before])).texts
    for words in ("25.0% from 80", "5.0 points from 95.0%", "25.0% from 400", "unchanged from 12", "90.0%", "9.9 s"):
        assert words in texts
    assert "Compared with Mon 3 Nov to Sun 9 Nov 2025, UTC (report_2025-11-10)." in texts


def test_there_are_nine_charts_each_with_title_and_description() -> None:
    """Requests, credits, four failure rates, two trends and the reasons, all named for a screen reader."""
    before = report(END - timedelta(days=7))
    html = page(before=before, trend=[before])
    charts = re.findall(r'<svg class="chart".*? role="img" aria-labelledby="(\S+) (\S+)">', html)
    assert len(charts) == 9
    assert all(html.count(f'id="{name}"') == 1 for ids in charts for name in ids)


def test_critical_findings_come_first() -> None:
    """Whatever order they are stored in; severity is a word, not only a color."""
    findings = [{"severity": "warning", "message": "Mild."}, {"severity": "critical", "message": "Grave."}]
    texts = Reader(page(anomalies=findings)).texts
    assert "1 critical, 1 warning" in texts
    assert texts.index("Critical") < texts.index("Grave.") < texts.index("Warning") < texts.index("Mild.")


def test_no_findings_and_findings_not_recorded_are_told_apart() -> None:
    """An old report without the field does not claim that all was well."""
    assert "Nothing unusual." in Reader(page()).texts
    assert "Anomalies not recorded." in Reader(page(anomalies=None)).texts


def test_a_score_below_zero_is_shown() -> None:
    """A drop's score is negative."""
    finding = {"severity": "warning", "message": "Fell.", "score": -4.25, "pValue": 0.03, "previousSamples": 9}
    assert "p\xa0=\xa00.03 · -4.2 robust standard deviations" in Reader(page(anomalies=[finding])).texts


def test_the_first_report_and_the_empty_week_are_pages_too() -> None:
    """They say what is not there, and claim nothing."""
    first = Reader(page()).texts
    assert "There is no week before to compare with." in first
    assert "The trend starts with the second weekly report." in first
    nothing: dict[str, Any] = {name: {} for name in FIELDS if name.startswith("by") or name == "failureReasons"}
    nothing |= {name: 0 for name in FIELDS if name.startswith("total")}
    empty = Reader(page(before=report(END - timedelta(days=7)), **nothing, successRate=None)).texts
    assert empty.count("None in this window") == 2
    assert "No request failed." in empty
    assert "none settled, was 23.3%" in empty, "what vanished still shows what it was"


def test_hundreds_of_styles_become_the_largest_and_the_rest() -> None:
    """Nothing is lost: what is shown and the others add up."""
    styles = {f"style {index}": tally(1000 - index, 100) for index in range(300)}
    before = report(byStyle={"style 299": tally(5000, 50)})
    rows = rate_rows(read_week(report(byStyle=styles)), read_week(before), "style")
    assert [row.name.shown for row in rows] == ["style 299", *(f"style {index}" for index in range(7)), "292 others"]
    assert sum(row.settled.total for row in rows) == sum(1000 - index for index in range(300))
    assert rows[-1].value == pytest.approx(100 * 100 * 292 / rows[-1].settled.total)


def test_the_trend_keeps_a_gap_for_a_week_without_report() -> None:
    """Weeks stand at their own time, this one last, at most eight."""
    weeks = [read_week(report(END - timedelta(days=7 * ago))) for ago in (9, 8, 7, 3, 2, 0)]
    slots = by_week(weeks[-1], weeks)
    assert [None if week is None else (END - (week.end or END)).days // 7 for week in slots] == [
        7,
        *[None] * 3,
        3,
        2,
        None,
        0,
    ]


def test_a_manual_run_touches_eight_days_and_says_so() -> None:
    """Its first and last day are counted in part."""
    noon = END + timedelta(hours=12)
    assert len(read_week(report(noon)).days) == 8
    html = page(windowStart=noon - timedelta(days=7), windowEnd=noon)
    assert "The first and the last day are counted in part." in html
    assert "10 Nov 2025 12:00 to 17 Nov 2025 12:00 UTC" in html


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
    """In charts, tables, reasons, findings and the ids; the tags are the same as for a harmless name."""
    harmless = "y" * len(name)

    def reader(text: str) -> Reader:
        finding = {"severity": text, "message": f"{text} rose.", "kind": text, "dimension": text, "value": text}
        html = page(byStyle={text: tally(9, 3)}, failureReasons={text: 3}, anomalies=[finding], previousReportId=text)
        assert html.encode("utf-8")
        return Reader(html)

    assert reader(name).tags == reader(harmless).tags
    assert not [key for key, _ in reader(name).attributes if key.startswith("on")]
    shown = "".join(reader(name).texts)
    assert not set(shown) & set("\x00\x1b\u202e")
    if name.startswith(("<", "'")):
        assert name in shown


def test_the_page_asks_for_nothing() -> None:
    """No script, no address, no resource, and a policy that would refuse them."""
    html = page(before=report(END - timedelta(days=7)))
    assert not re.search(r"https?:|//\w|<script|@import|src=|javascript:", html)
    assert set(re.findall(r"url\((.*?)\)", html)) == {"#hatch"}
    assert "default-src 'none'" in html


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        [10**400, -1, 2**63, 1e308, float("nan"), float("inf"), END, datetime.max.replace(tzinfo=UTC), "2025-11-12"]
    ),
    st.floats(),
    st.text(max_size=8),
)
COUNTS = st.dictionaries(st.sampled_from(["total", "completed", "failed", "failureRate", "median", "p95"]), ODD)
NESTED = st.dictionaries(st.one_of(st.text(max_size=5), st.sampled_from(["2025-11-12", "model-a"])), COUNTS | ODD)
FINDING = st.dictionaries(st.sampled_from(["severity", "message", "score", "pValue", "previousSamples"]), ODD)
REPORTS = st.dictionaries(st.sampled_from(FIELDS), st.one_of(ODD, NESTED, COUNTS, st.lists(FINDING | ODD, max_size=3)))


@given(REPORTS, st.none() | REPORTS, st.lists(REPORTS, max_size=3))
def test_any_report_is_a_page(this: Any, before: Any, trend: Any) -> None:
    """Whatever a field holds, the page is well formed and every mark lies within its chart."""
    html = report_page.render("report_x", this, before, trend)
    Reader(html)
    assert not re.search(r'="-|="?(nan|inf)\b', html)
    assert all(float(value) <= 100.01 for value in re.findall(r'(?:x|x1|x2|cx|width)="([\d.]+)%"', html))


# --- Words ---


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (999, "999"),
        (1234, "1.23k"),
        (999_950, "1M"),
        (12_345_678, "12.3M"),
        (2.5e14, "250T"),
        (1e20, "1e+20"),
    ],
)
def test_compact(value: float, words: str) -> None:
    """Three digits and a suffix."""
    assert compact(value) == words


def test_exact_percent_and_duration() -> None:
    """Grouped digits; a rate that is not 0 or 100 never looks so; times in a fitting unit."""
    assert [exact(value) for value in (None, 1234567, 2.5, 10**18)] == [NOTHING, "1,234,567", "2.50", "1e+18"]
    rates = [None, 0, 0.01, 66.666, 99.99, 100]
    assert [percent(rate) for rate in rates] == [NOTHING, "0.0%", "<0.1%", "66.7%", ">99.9%", "100.0%"]
    times = [None, 0, 3.24, 120, 99_999]
    assert [duration(seconds) for seconds in times] == [NOTHING, "0.0 s", "3.2 s", "2.0 min", "27.8 h"]


def test_changes() -> None:
    """Direction in a word, mood only where more is plainly better or worse."""
    assert relative_change(150, 100, exact, "neutral") == Change("up", "50.0% from 100", "neutral")
    assert relative_change(5, 10, exact, "bad") == Change("down", "50.0% from 10", "good")
    assert relative_change(5, 0, exact, "neutral") == Change("up", "from 0", "neutral")
    assert relative_change(5000, 10, exact, "neutral") == Change("up", "500\N{MULTIPLICATION SIGN} from 10", "neutral")
    assert relative_change(None, 10, exact, "neutral") == relative_change(1, None, exact, "neutral") == Change()
    assert points_change(90, 95.5) == Change("down", "5.5 points from 95.5%", "bad")


def test_shorten() -> None:
    """By width, East Asian letters counting twice; the whole name is kept where it is cut."""
    assert shorten("anime") == Name("anime")
    assert shorten("x" * 200) == Name("x" * 22 + "…", "x" * 200)
    assert shorten("画" * 20) == Name("画" * 11 + "…", "画" * 20)
    assert shorten(" ") == Name("(no name)")


def test_windows_in_words() -> None:
    """Whole days by name, over the turn of a year with both years."""
    assert window_words(END - timedelta(days=7), END) == "Mon 10 Nov to Sun 16 Nov 2025, UTC"
    new_year = datetime(2026, 1, 5, tzinfo=UTC)
    assert window_words(new_year - timedelta(days=7), new_year) == "Mon 29 Dec 2025 to Sun 4 Jan 2026, UTC"
    assert window_words(None, END) == "Window not known"


# --- Geometry ---


@given(st.one_of(st.integers(0, 10**18), st.floats(0, 1e300)))
def test_axis_steps(largest: float) -> None:
    """They start at 0, reach the largest, and are at most five."""
    steps = axis_steps(largest)
    assert steps[0] == 0
    assert steps[-1] >= largest * (1 - 1e-9)
    assert 2 <= len(steps) <= 5


def test_a_column_is_as_high_as_its_value() -> None:
    """Stacked segments touch; half the axis is half the height; a small value stays visible."""
    columns = [Column(("Mon", "1"), [("completed", 50), ("failed", 50)], ""), Column(("", ""), [("failed", 0.01)], "")]
    low, high, speck = column_chart("c", "", "", columns, stacked=True).bars
    assert (low.height, high.height, speck.height) == (75, 75, 2)
    assert high.y + high.height == low.y
    assert [label.text for label in column_chart("c", "", "", columns, stacked=True).labels][:3] == ["0", "50", "100"]


def test_a_line_breaks_where_a_week_is_missing() -> None:
    """Three weeks, a gap, one week: two segments; the scale starts below the lowest."""
    points = [Column(("", ""), [("success", rate)], "") if rate else None for rate in (97, 98, 99, None, 96)]
    chart = line_chart("t", "", "", points)
    assert len(chart.dots) == 4
    assert len([stroke for stroke in chart.strokes if stroke.kind == "line"]) == 2
    assert chart.labels[0].text == "95%"


def test_a_row_has_a_bar_for_now_and_a_tick_for_before() -> None:
    """On the same scale; without a value there is only the track."""
    rows = [Row(Name("a"), 10, 5, "", ""), Row(Name("b"), None, None, "", "")]
    chart = row_chart("r", "", "", rows, 20)
    assert [(bar.kind, bar.width) for bar in chart.bars] == [("track", 100), ("failed", 50), ("track", 100)]
    assert [(tick.x1, tick.x2) for tick in chart.strokes] == [(25, 25)]


# --- Colors ---

TEXT_PAIRS = [
    *((text, ground) for text in ("ink", "quiet", "good", "bad") for ground in ("page", "card")),
    *((mood, f"{mood}-page") for mood in ("critical", "warning", "good")),
]
MARKS = ("completed", "failed", "pending", "spent")


def palettes() -> list[dict[str, str]]:
    """The light, the dark and the printed one, in the template's order."""
    css = Path(report_page.__file__).with_suffix(".html").read_text(encoding="utf-8")
    return [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]


def contrast(one: str, two: str) -> float:
    """WCAG 2's contrast ratio: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_contrast() -> None:
    """Text has 4.5 to 1 and a chart's marks 3 to 1, in light, dark and print."""
    assert len(palettes()) == 3
    for colors in palettes():
        assert {pair for pair in TEXT_PAIRS if contrast(colors[pair[0]], colors[pair[1]]) < 4.5} == set()
        assert {mark for mark in MARKS if contrast(colors[mark], colors["card"]) < 3} == set()
