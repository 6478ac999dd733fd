"""The real Functions emulator: the documentation's curl examples, and what a user meets there."""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from PIL import Image

from tests.support.assembly import audit_of
from tests.support.budget import CROWD
from tests.support.contract import error_of, order
from tests.support.identities import signed_in
from tests.support.projects import ROOT, Project
from tests.support.servers import wait_until

FENCED = re.MULTILINE | re.DOTALL
PRINTED_AUTH = "127.0.0.1:9099"
PRINTED_BASE = "http://127.0.0.1:5001/demo-case-study/us-central1"


@pytest.fixture(scope="session")
def base() -> str:
    return os.environ["FUNCTIONS_BASE_URL"]


@pytest.fixture(scope="session")
def imported() -> Project:
    """The project that the Functions emulator serves, as emulator-data fills it."""
    return Project(os.environ["GCLOUD_PROJECT"])


@dataclass(frozen=True)
class Example:
    """A shell command of the documentation, and the answer that stands under it, if any."""

    command: str
    answer: str | None

    def run(self, base: str, folder: Path | None = None) -> str:
        here = self.command.replace(PRINTED_BASE, base)
        here = here.replace(PRINTED_AUTH, os.environ["FIREBASE_AUTH_EMULATOR_HOST"])
        done = subprocess.run(["bash", "-c", here], cwd=folder, capture_output=True, text=True, timeout=120, check=True)
        wanted = self.answer and as_pattern(self.answer.replace(PRINTED_BASE, base))
        assert wanted is None or re.fullmatch(wanted, compact(done.stdout)), done.stdout
        return done.stdout


def curl_examples(document: Path) -> dict[str, Example]:
    """The document's calls by function, or by the file that they save, in its order."""
    blocks = re.findall(r"^```bash\n(.*?)^```\n(?:\n```json\n(.*?)^```)?", document.read_text("utf-8"), FENCED)
    found = [Example(command, answer or None) for command, answer in blocks if PRINTED_BASE in command]
    return {_name(example.command): example for example in found}


def _name(command: str) -> str:
    saved = re.search(r"-o (\S+\.\w+)$", command.strip())
    return saved[1] if saved else re.findall(rf"{PRINTED_BASE}/([\w-]+)", command)[0]


def compact(answer: str) -> str:
    return json.dumps(json.loads(answer), ensure_ascii=False)


def as_pattern(documented: str) -> str:
    """What an answer must look like; an ellipsis stands for any text."""
    return re.escape(compact(documented)).replace("…", ".+")


def test_the_asynchronous_order_of_the_documentation_is_accepted(base: str) -> None:
    """docs/jobs.md shows its answer."""
    [example] = curl_examples(ROOT / "docs" / "jobs.md").values()
    assert example.answer is not None
    example.run(base)


def test_the_readmes_examples_give_the_documented_answers(base: str, imported: Project, tmp_path: Path) -> None:
    """In the README's order: a purchase that a second call does not repeat, its picture, readings, a grant and more."""
    examples = curl_examples(ROOT / "README.md")
    answers = {name: example.run(base, tmp_path) for name, example in examples.items()}
    assert [*answers] == [
        "getCatalog",
        "createGenerationRequest",
        "picture.png",
        "getUserCredits",
        "grantCredits",
        "getWeeklyReport",
        "releaseExpiredReservations-0",
    ]
    assert all(answer.endswith("\n") for answer in answers.values() if answer)
    assert imported.balance("testUser1") == 99
    assert examples["createGenerationRequest"].run(base) == answers["createGenerationRequest"]
    assert imported.balance("testUser1") == 99
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.size == (512, 512)
    granted = json.loads(answers["grantCredits"])
    assert (granted["grantedCredits"], granted["currentCredits"], imported.balance("newUser")) == (25, 25, 25)
    report_id = json.loads(answers["getWeeklyReport"])["reportId"]
    assert imported.get(f"reports/{report_id}") is not None
    assert answers["releaseExpiredReservations-0"] == ""


def test_the_signed_in_examples_read_credits_and_grant_some(base: str, imported: Project) -> None:
    """docs/security.md: a user reads the user's own, and a payment server grants, which the ledger shows."""
    examples = curl_examples(ROOT / "docs" / "security.md")
    answers = {name: json.loads(example.run(base)) for name, example in examples.items()}
    assert [*answers] == ["getUserCredits", "grantCredits"]
    assert answers["getUserCredits"]["currentCredits"] > 0
    assert answers["grantCredits"]["currentCredits"] == 25
    assert [entry["grantedBy"] for entry in imported.entries("newCustomer")] == ["testAdmin"]


def test_the_imported_data_is_the_seed(imported: Project) -> None:
    """emulator-data holds the catalog of scripts/seed.json and its users."""
    shipped = ("styles/", "colors/", "sizes/", "users/test")
    found = [path for path in imported.everything() if path.count("/") == 1 and path.startswith(shipped)]
    # The tests of the rules, which may run at the same time, add options of their own to this project.
    names = {path for path in found if "/rules-" not in path}
    assert names == {*Project.seeded().everything(), "users/testUser1", "users/testUser2"}
    assert [audit_of(imported).of_user(user_id).violations for user_id in ("testUser1", "testUser2")] == [[], []]


def test_the_accounts_can_sign_in() -> None:
    """The Auth emulator has an account for each user, whose uid is the user id."""
    for user_id in ("testUser1", "testUser2"):
        email = f"{user_id.lower()}@example.com"
        assert signed_in("signInWithPassword", email=email, password=user_id)["localId"] == user_id


def test_the_functions_emulator_gives_the_contracts_errors(base: str) -> None:
    """The same answers as on the production server: wrong method, bad body, unknown user, large body."""
    url = f"{base}/createGenerationRequest"
    assert requests.get(url, timeout=60).headers["Allow"] == "POST"
    assert error_of(requests.post(url, json=[1], timeout=60))["details"]["reason"] == "INVALID_REQUEST"
    assert error_of(requests.post(url, json={"prompt": "x" * 20_000_000}, timeout=60))["code"] == 413
    assert error_of(requests.post(url, json=order("nobody"), timeout=60))["message"] == "User not found."


def test_the_scheduled_function_answers(base: str) -> None:
    """Cloud Scheduler's call succeeds, and with nothing to release it writes nothing."""
    response = requests.post(f"{base}/releaseExpiredReservations-0", timeout=60)
    assert (response.status_code, response.text) == (200, "")


def test_the_functions_emulator_serves_a_crowd(base: str, imported: Project) -> None:
    """Many clients of one user at once, each in a process of its own: as many images as there are credits.

    A client that meets the limit of generations in flight tries again, as the answer says.
    """
    credits = CROWD * 5 // 8
    user_id = imported.add_user(credits)

    def buy(_: int) -> int:
        statuses: list[int] = []

        def ended() -> bool:
            answer = requests.post(f"{base}/createGenerationRequest", json=order(user_id), timeout=120)
            statuses.append(answer.status_code)
            return statuses[-1] != 429

        wait_until(ended, "an end", 120)
        return statuses[-1]

    with ThreadPoolExecutor(CROWD) as clients:
        assert sorted(clients.map(buy, range(CROWD))) == [200] * credits + [400] * (CROWD - credits)
    assert imported.balance(user_id) == 0
    assert [entry["balanceAfter"] for entry in imported.entries(user_id)] == list(range(credits - 1, -1, -1))
