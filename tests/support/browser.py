"""Chromium and the console's page in it: what a person does there, and what went wrong meanwhile."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, ViewportSize, expect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Nothing but this machine can be reached.
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
WAIT_MS = 20_000
# Chromium logs each answer that is an error; which ones come is what the tests are about.
LOGGED_STATUS = "Failed to load resource: the server responded with a status of"
expect.set_options(timeout=WAIT_MS)


@contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """The machine's own Chromium, which reaches nothing but this machine."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", OFFLINE])
    yield browser
    browser.close()


@dataclass
class Visit:
    """One person's browser window on the console."""

    page: Page
    base: str
    problems: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def begun(cls, browser: Browser, base: str, width: int = 1280, height: int = 900) -> Iterator["Visit"]:
        """A fresh window, in which no error, no refused style or script and no other host is tolerated."""
        size: ViewportSize = {"width": width, "height": height}
        # Where it is often still the day before.
        context = browser.new_context(viewport=size, reduced_motion="reduce", timezone_id="America/Los_Angeles")
        context.set_default_timeout(WAIT_MS)
        visit = cls(context.new_page(), base)
        visit.page.on("console", visit._noted)
        visit.page.on("pageerror", lambda error: visit.problems.append(str(error)))
        visit.page.on("request", visit._checked)
        yield visit
        context.close()
        assert not visit.problems, "\n".join(visit.problems)

    def _noted(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(LOGGED_STATUS):
            self.problems.append(message.text)

    def _checked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob", "about") and parts.hostname != "127.0.0.1":
            self.problems.append(f"asked {request.url}")

    def forgive(self, problem: str) -> None:
        """What the test itself brought about."""
        self.problems[:] = [each for each in self.problems if problem not in each]

    def open(self, path: str = "/") -> "Visit":
        self.page.goto(f"{self.base}{path}")
        return self

    def enter(self, user: str = "testUser1", path: str = "/") -> "Visit":
        """Signs in with one click."""
        self.open(path)
        self.page.get_by_role("button", name=f"Sign in as {user}").click()
        return self

    def sign_up(self, email: str) -> str:
        """A new account; gives the user's id once the page knows it."""
        self.sign_in(email, "a good password", "Create an account")
        self.ready()
        user_id: str = self.page.evaluate("import('/firebase.js').then(({ auth }) => auth.currentUser.uid)")
        return user_id

    def sign_in(self, email: str, password: str, button: str = "Sign in") -> None:
        """Fills in the form."""
        self.open()
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name=button, exact=True).click()

    def sign_out(self) -> "Visit":
        self.page.get_by_role("button", name="Sign out").click()
        expect(self.page.locator("#gate")).to_be_visible()
        return self

    def ready(self) -> "Visit":
        """Waits until the page knows prices and balance."""
        expect(self.page.locator("#price")).not_to_be_empty()
        return self

    def press_buy(self) -> None:
        self.page.locator("#buy").click()

    def shown(self) -> "Visit":
        """Waits for a picture, drawn and large."""
        expect(self.page.locator("#stage[data-state=done] img")).to_be_visible()
        assert self.page.locator("#stage img").evaluate("image => image.naturalWidth") >= 512
        return self

    def balance(self, credits: int) -> "Visit":
        """Waits for this balance."""
        expect(self.page.locator("#balance")).to_have_text(str(credits))
        return self

    def says(self, text: str, where: str = "#result") -> "Visit":
        expect(self.page.locator(where)).to_contain_text(text)
        return self

    def tiles(self, count: int) -> "Visit":
        """Waits for so many pictures in the gallery."""
        expect(self.page.locator("#gallery > li")).to_have_count(count)
        return self

    def status_of(self, function: str, **query: object) -> int:
        """The status with which a function answers a call of this page's user, other than 200."""
        status: int = self.page.evaluate(STATUS, [function, query])
        return status

    def is_wider_than_the_screen(self) -> bool:
        wider: bool = self.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        return wider

    def faults(self) -> list[str]:
        """What axe-core finds on the view, and whether one has to scroll sideways."""
        found = [violation["id"] for violation in Axe().run(self.page).response["violations"]]
        return [*found, *(["wider than the screen"] if self.is_wider_than_the_screen() else [])]

    def tabs_to(self, name: str, key: str = "Enter", forward: str = "Tab") -> None:
        """Reaches a control with the keyboard alone, and presses a key on it."""
        wanted = re.compile(name)
        for _ in range(60):
            self.page.keyboard.press(forward)
            label = self.page.evaluate(FOCUSED)
            if label and wanted.search(label["text"]):
                assert label["isSeen"], f"no focus to see on {name}"
                self.page.keyboard.press(key)
                return
        raise AssertionError(f"the keyboard does not reach {name}")


STATUS = """([name, options]) =>
    import("/api.js").then(({ call }) => call(name, options)).then(() => 200, error => error.status)
"""
FOCUSED = """(() => {
    const node = document.activeElement;
    if (node === document.body) return null;
    const box = node.matches("input[type=radio]") ? node.closest("label") : node;
    const style = getComputedStyle(box);
    return { text: node.ariaLabel || box.innerText || node.id, isSeen: style.outlineStyle !== "none" };
})()"""

Begin = Callable[..., Visit]
