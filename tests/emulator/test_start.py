"""start-emulator.sh for real, in shells that are set up for other work: it gets ready, sells, and leaves nothing."""

import shutil
from pathlib import Path

import pytest
import requests

from tests.support.budget import THOROUGH
from tests.support.contract import order
from tests.support.projects import ROOT
from tests.support.servers import wait_until
from tests.support.trials import Trial

# Nothing listens on port 9, "discard".
DEAD = "http://127.0.0.1:9"
CLOUD = {
    "GOOGLE_CLOUD_PROJECT": "other-project",
    "GCLOUD_PROJECT": "other-project",
    "GCP_PROJECT": "other-project",
    "CLOUDSDK_CORE_PROJECT": "other-project",
    "FIREBASE_CONFIG": '{"projectId": "other-project"}',
    "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json",
    "FIRESTORE_EMULATOR_HOST": "127.0.0.1:9",
    "FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:9",
    "CLOUD_TASKS_EMULATOR_HOST": "127.0.0.1:9",
}
PROXIES = {
    variable: DEAD
    for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
    for variable in (name, name.upper())
}
PYTHON = {
    "PYTHONPATH": "/nowhere",
    "PYTHONHOME": "/nowhere",
    "PYTHONINSPECT": "1",
    "PIP_USER": "1",
    "PIP_TARGET": "/nowhere",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "NODE_OPTIONS": "--require=/nowhere.js",
    "CDPATH": "/:/tmp",
    "LC_ALL": "C",
    "LANG": "C",
}
PURCHASES = 20


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of emulator-data that a start may replace; its path is not ASCII."""
    return Path(shutil.copytree(ROOT / "emulator-data", tmp_path / "it's é" / "data"))


def buys_an_image(trial: Trial) -> int:
    """A user of the seed signs in, buys, and reads the balance that is left."""
    headers = trial.signs_in("testUser1")
    bought = trial.function("createGenerationRequest").post(order("testUser1"), headers)
    assert bought.status_code == 200, bought.text
    credits_left: int = trial.function("getUserCredits").get(headers).json()["currentCredits"]
    assert bought.json()["currentCredits"] == credits_left
    return credits_left


def test_it_works_in_a_shell_that_is_set_up_for_everything_else(data: Path) -> None:
    """With another project, dead proxies, options of Python, pip and Node, no locale and a strict umask.

    It sells, says what the user's own curl needs, saves the purchase, and leaves no process and no port.
    """
    with Trial(data, "--export", umask="077", REQUIRE_AUTH="true", **CLOUD, **PROXIES, **PYTHON) as trial:
        assert buys_an_image(trial.ready()) == 99
        assert "add --noproxy 127.0.0.1" in trial.said()
        trial.interrupt()
        assert trial.ended() == 0, trial.said()
        assert trial.said().endswith("Saved into emulator-data.\n")
        assert trial.left() == []
    saved = (data / "firestore_export" / "all_namespaces" / "all_kinds" / "output-0").read_bytes()
    assert b"-deduction" in saved


def state_of(trial: Trial, request_id: str) -> str:
    status: str = trial.function("getGenerationRequest").get(generationRequestId=request_id).json()["status"]
    return status


@pytest.mark.skipif(not THOROUGH, reason="./run-tests.sh --thorough starts the emulators once more for each")
class TestThorough:
    """One start for each kind of shell, and what needs two."""

    @pytest.mark.parametrize("shell", [CLOUD, PROXIES, PYTHON], ids=["cloud", "proxies", "python"])
    def test_it_works_in_such_a_shell(self, data: Path, shell: dict[str, str]) -> None:
        """A user who signed in buys, and nothing is left afterwards."""
        with Trial(data, **shell) as trial:
            assert buys_an_image(trial.ready()) == 99
            trial.interrupt()
            assert trial.ended() == 0
            assert trial.left() == []

    def test_what_was_saved_is_there_at_the_next_start(self, data: Path) -> None:
        """--export keeps a purchase, and the account of the user who made it."""
        with Trial(data, "--export") as trial:
            assert buys_an_image(trial.ready()) == 99
        with Trial(data) as trial:
            assert buys_an_image(trial.ready()) == 98

    @pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the Firestore emulator's process in /proc")
    def test_a_second_interrupt_stops_without_saving(self, data: Path) -> None:
        """It says so, and the data is as it was."""
        before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
        with Trial(data, "--export") as trial:
            buys_an_image(trial.ready())
            trial.freeze_firestore()
            trial.interrupt()
            wait_until(lambda: "Saving the data" in trial.said(), "the first interrupt")
            trial.interrupt()
            assert trial.ended() == 1
            assert trial.said().endswith("Not saved: emulator-data is as it was.\n")
            assert trial.left() == []
        assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before

    def test_two_starts_at_once_both_get_ready(self, data: Path, tmp_path: Path) -> None:
        """Each has functions of its own: the CLI looks for them on a port that two at once would share."""
        other = shutil.copytree(data, tmp_path / "other")
        with Trial(data, REGION="europe-west1") as one, Trial(other, REGION="us-east1") as two:
            for trial, region in ((one, "europe-west1"), (two, "us-east1")):
                assert trial.ready().address("Functions").endswith(region)
                assert buys_an_image(trial) == 99

    def test_a_reservation_that_a_crash_left_is_refunded_within_a_minute(self, data: Path) -> None:
        """The start calls the sweep by itself, and shows what the sweep does but not each call of it."""
        with Trial(data) as trial:
            bought = trial.ready().function("createGenerationRequest").post(order("testUser1")).json()
            path = "projects/demo-case-study/databases/(default)/documents/generationRequests"
            left = {"status": {"stringValue": "pending"}, "leaseExpiresAt": {"timestampValue": "2026-01-01T00:00:00Z"}}
            requests.patch(
                f"http://{trial.address('Firestore')}/v1/{path}/{bought['generationRequestId']}",
                params={"updateMask.fieldPaths": [*left]},
                json={"fields": left},
                headers={"Authorization": "Bearer owner"},
                timeout=60,
            ).raise_for_status()
            wait_until(lambda: state_of(trial, bought["generationRequestId"]) == "failed", "the sweep", 120)
            credits = trial.function("getUserCredits").get(userId="testUser1").json()["currentCredits"]
            assert credits == bought["currentCredits"] + bought["deductedCredits"]
            wait_until(lambda: "expired reservations released" in trial.said(), "the word of the sweep")
            assert '-releaseExpiredReservations"' not in trial.said()
            # They have the secrets of a run.
            assert {folder.stat().st_mode & 0o777 for folder in (ROOT / ".emulator").iterdir()} == {0o700}

    def test_purchases_that_wait_in_the_queue_survive_a_stop(self, data: Path) -> None:
        """Ctrl-C ends everything, the queue too; after the next start each of them ends, and is paid for only then."""
        settings = {"MAX_PENDING_PER_USER": str(PURCHASES), "RESERVATION_LEASE_SECONDS": "100"}
        with Trial(data, "--export", **settings) as trial:
            create = trial.ready().function("createGenerationRequest")
            answers = [create.post(order("testUser1"), {"Prefer": "respond-async"}) for _ in range(PURCHASES)]
            trial.interrupt()
            assert trial.ended() == 0, trial.said()
            assert trial.said().endswith("Saved into emulator-data.\n")
            assert trial.left() == []
        assert [answer.status_code for answer in answers] == [202] * PURCHASES
        ids = [answer.json()["generationRequestId"] for answer in answers]
        with Trial(data, **settings) as trial:
            trial.ready()
            wait_until(lambda: "pending" not in {state_of(trial, each) for each in ids}, "the end of each", 300)
            completed = sum(state_of(trial, each) == "completed" for each in ids)
            credits = trial.function("getUserCredits").get(userId="testUser1").json()["currentCredits"]
            assert credits == 100 - completed
