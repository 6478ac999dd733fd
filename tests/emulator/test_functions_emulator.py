"""The real Functions emulator: the README's curl examples, and what a user meets there."""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import requests

from budget import CROWD
from identities import signed_in
from projects import ROOT, Project
from servers import wait_until

README = ROOT / "README.md"
PRINTED_AUTH = "127.0.0.1:9099"
PRINTED_BASE = "http://127.0.0.1:5001/demo-case-study/us-central1"


@pytest.fixture(scope="module")
def base() -> str:
    return os.environ["FUNCTIONS_BASE_URL"]


@pytest.fixture(scope="module")
def imported() -> Project:
    """The project that the Functions emulator serves, as emulator-data fills it."""
    return Project(os.environ["GCLOUD_PROJECT"])


def curl_examples() -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if "curl" in block]


def run(example: str, base: str) -> str:
    assert PRINTED_BASE in example
    here = example.replace(PRINTED_BASE, base).replace(PRINTED_AUTH, os.environ["FIREBASE_AUTH_EMULATOR_HOST"])
    done = subprocess.run(["bash", "-c", here], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def test_the_curl_examples_give_the_documented_answers(base: str, imported: Project) -> None:
    """In the README's order: a purchase of one credit, a key that pays once, a grant, a report, a signed-in call."""
    examples = iter(curl_examples())
    bought = json.loads(run(next(examples), base))
    assert bought["deductedCredits"] == 1
    assert bought["imageUrl"].startswith("https://images.example.com/model-a/")

    statement = json.loads(run(next(examples), base))
    assert statement["currentCredits"] == 99
    [entry] = statement["transactions"]
    assert (entry["type"], entry["credits"], entry["balanceAfter"]) == ("deduction", 1, 99)
    assert entry["generationRequestId"] == bought["generationRequestId"]

    shown = json.loads(run(next(examples).replace("ID_FROM_ABOVE", bought["generationRequestId"]), base))
    assert (shown["status"], shown["imageUrl"]) == ("completed", bought["imageUrl"])
    assert json.loads(run(next(examples), base)) == {"generationRequests": [shown]}
    quoted = json.loads(run(next(examples), base))
    assert quoted == {"requiredCredits": 4, "currentCredits": 99, "covered": True}

    buy_with_key = next(examples)
    first, second = run(buy_with_key, base), run(buy_with_key, base)
    assert first.splitlines()[-1] == second.splitlines()[-1]
    assert "idempotent-replayed: true" in second.lower()
    assert "idempotent-replayed" not in first.lower()
    assert imported.balance("testUser2") == 7

    granted = json.loads(run(next(examples), base))
    assert (granted["grantedCredits"], granted["currentCredits"], imported.balance("newUser")) == (25, 25, 25)

    assert run(next(examples), base) == ""
    assert imported.balance("testUser1") == 99

    made = json.loads(run(next(examples), base))
    assert json.loads(run(next(examples), base)) == made
    assert run(next(examples), base) == ""
    assert imported.get(f"reports/report_{datetime.now(UTC):%Y-%m-%d}") is not None

    assert run(next(examples), base) == (ROOT / "functions" / "openapi.yaml").read_text(encoding="utf-8")
    assert json.loads(run(next(examples), base)) == statement
    assert next(examples, None) is None


def test_the_imported_data_is_the_seed(imported: Project) -> None:
    """emulator-data holds the catalog of scripts/seed.json and its users."""
    shipped = ("styles/", "colors/", "sizes/", "users/test")
    names = {path for path in imported.everything() if path.count("/") == 1 and path.startswith(shipped)}
    expected = Project.seeded()
    expected.add_user(100, "testUser1")
    expected.add_user(10, "testUser2")
    assert names == set(expected.everything())


def test_the_accounts_can_sign_in() -> None:
    """The Auth emulator has an account for each user, uid = user id."""
    for user_id in ("testUser1", "testUser2"):
        email = f"{user_id.lower()}@example.com"
        assert signed_in("signInWithPassword", email=email, password=user_id)["localId"] == user_id


def test_the_functions_emulator_gives_the_contracts_errors(base: str) -> None:
    """The same answers as on the production server: wrong method, bad body, unknown user, large body."""
    url = f"{base}/createGenerationRequest"
    assert requests.get(url, timeout=60).headers["Allow"] == "POST"
    assert requests.post(url, json=[1], timeout=60).json()["error"]["details"]["reason"] == "INVALID_REQUEST"
    assert requests.post(url, json={"prompt": "x" * 20_000_000}, timeout=60).status_code == 413
    body = {"userId": "nobody", "model": "model-a", "style": "anime", "color": "neon", "size": "512x512"}
    assert requests.post(url, json=body, timeout=60).json()["error"]["message"] == "User not found."


def test_the_scheduled_function_answers(base: str) -> None:
    """Cloud Scheduler's call succeeds, and with nothing to release it writes nothing."""
    response = requests.post(f"{base}/releaseExpiredReservations-0", timeout=60)
    assert (response.status_code, response.text) == (200, "")


def test_the_functions_emulator_serves_a_crowd(base: str, imported: Project) -> None:
    """Many clients of one user at once, each in a process of its own, with credits for some: an image or a refusal.

    Who meets the limit of generations in flight tries again, as the answer says.
    """
    paid = CROWD * 5 // 8
    user_id = imported.add_user(paid)
    body = {"userId": user_id, "model": "model-a", "style": "anime", "color": "neon", "size": "512x512"}

    def buy(_: int) -> int:
        statuses: list[int] = []

        def ended() -> bool:
            statuses.append(requests.post(f"{base}/createGenerationRequest", json=body, timeout=300).status_code)
            return statuses[-1] != 429

        wait_until(ended, "an end", 300)
        return statuses[-1]

    with ThreadPoolExecutor(CROWD) as clients:
        assert sorted(clients.map(buy, range(CROWD))) == [200] * paid + [400] * (CROWD - paid)
    assert imported.balance(user_id) == 0
    assert [entry["balanceAfter"] for entry in imported.entries(user_id)] == [*range(paid)][::-1]
