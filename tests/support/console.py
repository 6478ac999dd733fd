"""start-emulator.sh, ready, with a Chromium waiting to open the console's page."""

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, sync_playwright

from tests.support.assembly import in_process
from tests.support.browser import chromium
from tests.support.contract import order
from tests.support.projects import ROOT, Project
from tests.support.trials import Trial

SIGNUP_CREDITS = 4
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
            stack.enter_context(_turn())
            browser = stack.enter_context(chromium(stack.enter_context(sync_playwright())))
            settings = {"REQUIRE_AUTH": "true", "SIGNUP_CREDITS": str(SIGNUP_CREDITS), "CATALOG_TTL_SECONDS": "0"}
            trial = stack.enter_context(Trial(data, **settings)).ready()
            ready_at = time.monotonic()
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setenv("FIRESTORE_EMULATOR_HOST", trial.address("Firestore"))
            patch.setenv("FIREBASE_AUTH_EMULATOR_HOST", trial.address("Auth"))
            base, functions = (f"http://{trial.address(name)}" for name in ("Console", "Functions"))
            yield cls(base, functions, Project("demo-case-study"), ready_at, browser)


@contextmanager
def _turn() -> Iterator[None]:
    """One console at a time: each has a browser and many processes, and with two a page waits for too long."""
    with (ROOT / ".toolchain" / "console-tests.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def answer(status: int, body: object, route: Route) -> None:
    """Answers in place of a function."""
    route.fulfill(status=status, json=body)
