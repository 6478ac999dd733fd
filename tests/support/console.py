"""start-emulator.sh, ready, with a Chromium waiting to open the console's page."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, sync_playwright

from tests.support.assembly import assembled, in_process
from tests.support.browser import Visit, chromium
from tests.support.contract import order
from tests.support.projects import ROOT, Project
from tests.support.servers import wait_until
from tests.support.trials import Trial

BUY = "**/api/createGenerationRequest"
REPEATED = ("prefer", "idempotency-key")
SIGNUP_CREDITS = 4
KEPT = """Object.entries(localStorage).filter(([name]) => name.startsWith("create")).map(([, order]) => order)"""
# The text of an attack. Anything that made markup of it would run it.
ATTACK = "<img src=x onerror=\"document.title='hacked'\"><b>bold</b>"


@dataclass(frozen=True)
class Console:
    """The running console, and the books behind it."""

    base: str
    functions: str
    project: Project
    ready_at: float
    browser: Browser

    def gives(self, user_id: str, credits: int, reason: str = "A gift.") -> None:
        """An admin gives this user credits, somewhere else."""
        body = {"userId": user_id, "credits": credits, "reason": reason}
        granting = in_process(self.project).of("grantCredits")
        assert granting.post(body, {"Idempotency-Key": f"{user_id}-{credits}"}).status_code == 200

    def buys_badly(self, user_id: str, style: str = "anime") -> None:
        """A purchase of this user fails, somewhere else."""
        failing = in_process(self.project, AI_FAILURE_RATE="1").of("createGenerationRequest")
        assert failing.post(order(user_id, style=style)).status_code == 500

    @classmethod
    @contextmanager
    def started(cls, data: Path) -> Iterator["Console"]:
        """With the data of the repository, a copy of which goes to this folder."""
        shutil.copytree(ROOT / "emulator-data", data)
        with ExitStack() as stack:
            browser = stack.enter_context(chromium(stack.enter_context(sync_playwright())))
            settings = {"REQUIRE_AUTH": "true", "SIGNUP_CREDITS": str(SIGNUP_CREDITS), "CATALOG_TTL_SECONDS": "0"}
            trial = stack.enter_context(Trial(data, **settings)).ready()
            ready_at = time.monotonic()
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setenv("FIRESTORE_EMULATOR_HOST", trial.address("Firestore"))
            patch.setenv("FIREBASE_AUTH_EMULATOR_HOST", trial.address("Auth"))
            base, functions = (f"http://{trial.address(name)}" for name in ("Console", "Functions"))
            yield cls(base, functions, Project("demo-case-study"), ready_at, browser)


def answer(status: int, body: object, route: Route) -> None:
    """Answers in place of a function."""
    route.fulfill(status=status, json=body)


def reserve(console: Console, route: Route) -> str:
    """Reserves the credits of a purchase, and its task is lost. Gives its id."""
    headers = {name: route.request.headers[name] for name in REPEATED}
    reserved = in_process(console.project).of("createGenerationRequest").post(route.request.post_data_json, headers)
    assert reserved.status_code == 202
    request_id: str = reserved.json()["generationRequestId"]
    route.fulfill(status=202, json=reserved.json())
    return request_id


@contextmanager
def no_worker(console: Console, page: Page) -> Iterator[list[str]]:
    """Purchases of this page are reserved, and their tasks are lost. Gives their ids."""
    ids: list[str] = []
    page.route(BUY, lambda route: ids.append(reserve(console, route)))
    yield ids
    page.unroute(BUY)


@contextmanager
def held(page: Page, calls: str) -> Iterator[Callable[[], Route]]:
    """These calls wait. Gives what waits for the next of them and hands it over, to be let go."""
    routes: list[Route] = []

    def hold(route: Route) -> None:
        routes.append(route)

    def taken() -> Route:
        # Playwright tells of it while it works.
        wait_until(lambda: page.evaluate("1") and bool(routes), "the call")
        return routes.pop(0)

    page.route(calls, hold)
    yield taken
    page.unroute(calls)


def work(console: Console, request_id: str) -> None:
    """A worker comes, somewhere else."""
    assembled(console.project).fulfillment.work(request_id)


def cancel_button(visit: Visit, where: str = "#stage") -> Locator:
    """The buttons there that cancel a purchase."""
    return visit.page.locator(where).get_by_role("button", name="Cancel")


def kept_orders(visit: Visit) -> list[str]:
    """What the page remembers of purchases that have not ended."""
    kept: list[str] = visit.page.evaluate(KEPT)
    return kept
