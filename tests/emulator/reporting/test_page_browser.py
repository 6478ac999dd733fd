"""The weekly report's page in a real browser: no error, nothing fetched, no number cut, and no wider than a phone.

Chromium is driven over the DevTools protocol on a pair of pipes, which needs no package:
https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import fcntl
import hashlib
import html
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from reporting import Report, Window, page
from reporting.report import Week
from reporting.usage import Usage

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on PATH")

# Of a small phone.
SCREEN_HEIGHT = 640
END = datetime(2026, 11, 23, tzinfo=UTC)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --remote-debugging-pipe"
)
# Chromium reads commands from descriptor 3 and answers on 4.
TAKE_PIPES = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
HEADINGS = [
    "1 thing needs attention, 1 more to look at.",
    "Sales",
    "Day by day",
    "What the credits bought",
    "Failures",
    "Requests and speed",
    "The last weeks",
]
# The sales are measured as the page opens, all else with every finding unfolded.
# A text is cut if it reaches over the edge of its cell, or of the screen.
MEASURES = """(() => {
    const width = document.documentElement.clientWidth;
    const reach = element => {
        const range = document.createRange();
        range.selectNodeContents(element);
        return range.getBoundingClientRect();
    };
    const isCut = cell => {
        const text = reach(cell), box = cell.getBoundingClientRect();
        return text.right > box.right + 0.5 || text.left < box.left - 0.5 || box.right > width;
    };
    const figures = [...document.querySelector("dl").querySelectorAll(".figure")];
    const lowest = Math.max(...figures.map(figure => figure.getBoundingClientRect().bottom));
    document.querySelectorAll("details").forEach(details => { details.open = true; });
    return {
        lowestFigure: lowest,
        width: document.documentElement.scrollWidth,
        headings: [...document.querySelectorAll("h2")].map(heading => heading.textContent),
        tables: document.querySelectorAll("table").length,
        bars: [...document.querySelectorAll(".bar line:not(.tick)")].map(part => part.getBoundingClientRect().width),
        cut: [...document.querySelectorAll("td, thead th, .figure, .note, .message, a")]
            .filter(isCut).map(cell => cell.textContent),
        outside: [...document.querySelectorAll("body *")].filter(
            element => element.getBoundingClientRect().right > width + 1).length,
        scripts: document.scripts.length,
        page: getComputedStyle(document.body).backgroundColor,
        completed: getComputedStyle(document.querySelector("i.completed")).backgroundColor,
    };
})()"""


class Browser:
    """Headless Chromium with one tab; it is ended when it takes longer than a minute."""

    def __init__(self, profile: Path) -> None:
        command_end, commands = os.pipe()
        answers, answer_end = os.pipe()
        # Above 4, so that taking one pipe cannot close the other.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (command_end, answer_end)]
        command = [str(CHROMIUM), *FLAGS.split(), f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", TAKE_PIPES, *map(str, ends), *command],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for end in (command_end, answer_end, *ends):
            os.close(end)
        self._commands, self._answers = os.fdopen(commands, "wb", 0), os.fdopen(answers, "rb")
        self._limit = Timer(60, self._process.kill)
        self._limit.start()
        self._last_id = 0
        self._session: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        self._limit.cancel()
        self._process.terminate()
        self._process.wait(timeout=20)
        self._commands.close()
        self._answers.close()

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command and gives its result; what happens meanwhile goes to `events`."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": parameters, **self._session}
        self._commands.write(json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._last_id:
            self.events.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, page: Path, *, width: int, dark: bool) -> dict[str, Any]:
        """Loads the page on a screen of this width and measures it."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=SCREEN_HEIGHT,
            deviceScaleFactor=2,
            mobile=width < 500,
        )
        self.load(page)
        measured: dict[str, Any] = self.value_of(MEASURES)
        return measured

    def load(self, page: Path) -> None:
        self.events.clear()
        self.send("Page.navigate", url=page.as_uri())
        self.wait_for("Page.loadEventFired")

    def value_of(self, expression: str) -> Any:
        """What JavaScript gives in the page."""
        return self.send("Runtime.evaluate", expression=expression, returnByValue=True)["result"]["value"]

    def click(self, place: dict[str, float]) -> None:
        """Presses and releases the mouse, as a person does."""
        self.events.clear()
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def wait_for(self, method: str) -> dict[str, Any]:
        """The event, once it happens."""
        while not self.happened(method):
            self.events.append(self._read())
        return self.happened(method)[0]

    def happened(self, *methods: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event.get("method") in methods]

    def _read(self) -> dict[str, Any]:
        message = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "Chromium ended"
            message += byte
        answer: dict[str, Any] = json.loads(message)
        return answer


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


def tallies(names: list[str], chance: random.Random) -> dict[str, Any]:
    totals = {name: chance.randrange(500, 9_000) for name in names}
    failures = {name: int(total * chance.uniform(0.02, 0.12)) for name, total in totals.items()}
    return {
        name: {
            "total": total,
            "completed": total - failures[name],
            "failed": failures[name],
            "creditsSpent": 3 * (total - failures[name]),
        }
        for name, total in totals.items()
    }


def week(weeks_ago: int, more_styles: tuple[str, ...] = (), scale: int = 1) -> dict[str, Any]:
    """A busy week's stored report."""
    chance, end = random.Random(weeks_ago), END - timedelta(days=7 * weeks_ago)
    days = [f"{end - timedelta(days=day):%Y-%m-%d}" for day in range(7, 0, -1)]
    styles = ["realistic", "anime", "oil painting", "sketch", "cyberpunk", "watercolor", *more_styles]
    finding = {"severity": "critical", "message": "Failure rate of model model-b rose.", "pValue": 1e-9}
    day = {"total": 2_127, "completed": 1_900, "failed": 150, "canceled": 60, "pending": 17}
    day |= {"creditsSpent": 5_052, "creditsRefunded": 400, "creditsGranted": 6_125, "creditsRevoked": 160}
    return {
        "totalRequests": 14_859 * scale,
        "totalCompleted": 13_046 * scale,
        "totalFailed": 1_275 * scale,
        "totalCanceled": 420 * scale,
        "totalPending": 118 * scale,
        "totalCreditsSpent": 34_652 * scale,
        "totalCreditsRefunded": 2_928 * scale,
        "totalCreditsGranted": 41_250 * scale,
        "totalCreditsRevoked": 1_120 * scale,
        "outstanding": {"credits": 1_204_511 * scale, "at": end + timedelta(minutes=20)},
        "successRate": chance.uniform(88, 97),
        "byModel": tallies(["model-a", "model-b"], chance),
        "byStyle": tallies(styles, chance),
        "byColor": tallies(["vibrant", "monochrome", "pastel", "neon", "vintage", "unknown"], chance),
        "bySize": tallies(["512x512", "1024x1024", "1024x1792"], chance),
        "byDay": {date: {name: count * scale for name, count in day.items()} for date in days},
        "distinctUsers": 1_604,
        "generationSeconds": {"median": 4.1, "p95": 11.4},
        "failureReasons": {"PROVIDER_BUSY": 900, "REFUSED_CONTENT": 100, "LEASE_EXPIRED": 275},
        "anomalies": [finding, {"severity": "warning", "message": "Style '" + "x" * 90 + "' is new."}],
        "windowStart": end - timedelta(days=7),
        "windowEnd": end,
        "generatedAt": end,
        "previousReportId": "report_2026-11-16",
    }


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Writes a page of eight weeks, with styles named to break out of the page or of its width."""
    folder = tmp_path_factory.mktemp("page")

    def written(scale: int = 1) -> Path:
        nasty = ("<script>alert(1)</script>", "x" * 90, "مرحبا بالعالم", "画" * 30, "W" * 60)
        usages = [Usage.from_fields(week(ago, scale=scale)) for ago in range(1, 8)]
        weeks = [Week(Window(END - timedelta(days=7 * ago)), usage) for ago, usage in enumerate(usages, start=1)]
        file = folder / f"report{scale}.html"
        report = Report.from_fields("report_2026-11-23", week(0, nasty, scale))
        file.write_text(page.render(report, weeks, Window(END + timedelta(days=7))), encoding="utf-8")
        return file

    return written


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_the_page_is_whole_on_every_screen(
    browser: Browser, page_file: Callable[[int], Path], width: int, dark: bool
) -> None:
    """All sections, within the screen's width; no number cut, no script, no error, no request but the page's own."""
    file = page_file(1)
    seen = browser.open(file, width=width, dark=dark)
    assert seen["headings"] == HEADINGS
    assert seen["tables"] == 11
    assert min(seen["bars"]) >= 1
    assert seen["width"] <= width
    assert (seen["cut"], seen["outside"], seen["scripts"]) == ([], 0, 0)
    assert [request["request"]["url"] for request in browser.happened("Network.requestWillBeSent")] == [file.as_uri()]
    assert browser.happened("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []


@pytest.mark.parametrize("width", [360, 1280])
def test_a_thousand_times_the_requests_are_not_cut(
    browser: Browser, page_file: Callable[[int], Path], width: int
) -> None:
    """Millions a day wrap into a second line rather than over each other."""
    seen = browser.open(page_file(1_000), width=width, dark=False)
    assert seen["width"] <= width
    assert (seen["cut"], seen["outside"]) == ([], 0)


def test_dark_and_light_are_different_pages_to_look_at(browser: Browser, page_file: Callable[[int], Path]) -> None:
    """Ground and marks both follow the reader's preference."""
    light, dark = (browser.open(page_file(1), width=360, dark=dark) for dark in (False, True))
    assert (light["page"], light["completed"]) == ("rgb(244, 246, 248)", "rgb(47, 109, 179)")
    assert (dark["page"], dark["completed"]) == ("rgb(14, 19, 25)", "rgb(91, 156, 224)")


@pytest.mark.parametrize("scale", [1, 1_000])
def test_the_sales_are_on_a_phones_first_screen(browser: Browser, page_file: Callable[[int], Path], scale: int) -> None:
    """All of them, below two findings in three lines each."""
    assert browser.open(page_file(scale), width=360, dark=False)["lowestFigure"] <= SCREEN_HEIGHT


@pytest.mark.parametrize("smuggled", ["<style>body { zoom: 3 }</style>", '<p style="zoom: 3">x</p>'])
def test_a_style_that_is_not_the_pages_own_is_refused(
    browser: Browser, page_file: Callable[[int], Path], smuggled: str
) -> None:
    """Should a name ever get into the page as markup, it cannot move or cover a figure."""
    file = page_file(1).with_name("smuggled.html")
    file.write_text(page_file(1).read_text(encoding="utf-8").replace("<main>", f"<main>{smuggled}"), encoding="utf-8")
    browser.load(file)
    assert "violates" in browser.wait_for("Log.entryAdded")["entry"]["text"]
    assert browser.value_of("[...document.querySelectorAll('*')].every(each => getComputedStyle(each).zoom === '1')")
    assert browser.value_of("getComputedStyle(document.body).fontVariantNumeric") == "tabular-nums"


# --- Links ---

PLACE = """(() => {
    const box = %s.querySelector("a[rel=%s]").getBoundingClientRect();
    return {x: box.x + box.width / 2, y: box.y + box.height / 2};
})()"""


@pytest.mark.parametrize(("rel", "report_id"), [("prev", "report_2026-11-16"), ("next", "report_2026-11-30")])
def test_a_link_leads_to_another_week(
    browser: Browser, page_file: Callable[[int], Path], rel: str, report_id: str
) -> None:
    """At the same address with another query."""
    browser.open(page_file(1), width=360, dark=False)
    browser.click(browser.value_of(PLACE % ("document", rel)))
    browser.wait_for("Page.loadEventFired")
    assert browser.value_of("location.search") == f"?reportId={report_id}&format=html"


@pytest.fixture
def framed(browser: Browser, page_file: Callable[[int], Path]) -> Path:
    """The page in a frame as the console shows it: sandboxed, below a policy that allows its styles by their hash."""
    report = page_file(1).read_text(encoding="utf-8")
    styles = re.findall(r"<style>(.*?)</style>", report, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in styles]
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{hashes[0]}'"
    # The console's own sandbox is empty: the same origin lets the test look inside.
    frame = f'<iframe sandbox="allow-same-origin" width="360" height="600" srcdoc="{html.escape(report)}"></iframe>'
    outside = page_file(1).with_name("console.html")
    head = (
        f'<!DOCTYPE html><meta http-equiv="Content-Security-Policy" content="{policy}"><link rel="icon" href="data:,">'
    )
    outside.write_text(f"{head}{frame}", encoding="utf-8")
    browser.load(outside)
    return outside


INSIDE = "document.querySelector('iframe').contentDocument"


def test_in_a_frame_the_page_has_its_styles(browser: Browser, framed: Path) -> None:
    """Bars and colors too; nothing is refused."""
    page_color = f"getComputedStyle({INSIDE}.body).backgroundColor"
    assert browser.value_of(page_color) in ("rgb(244, 246, 248)", "rgb(14, 19, 25)")
    assert browser.value_of(f"{INSIDE}.querySelector('.bar line').getBoundingClientRect().width") > 50
    assert browser.happened("Log.entryAdded") == []


def test_in_a_sandboxed_frame_a_link_does_nothing(browser: Browser, framed: Path) -> None:
    """Neither the frame nor the page around it goes anywhere."""
    frame = browser.value_of("(({x, y}) => ({x, y}))(document.querySelector('iframe').getBoundingClientRect())")
    link = browser.value_of(PLACE % (INSIDE, "prev"))
    # The frame's own border has two pixels.
    browser.click({axis: frame[axis] + link[axis] + 2 for axis in ("x", "y")})
    refusal = browser.wait_for("Log.entryAdded")["entry"]["text"]
    assert "sandboxed" in refusal
    assert browser.value_of("location.href") == framed.as_uri()
    assert browser.value_of(f"{INSIDE}.querySelector('h1').textContent").startswith("Weekly report")
    assert browser.happened("Page.frameNavigated") == []
