"""What the Firebase CLI discovers and would deploy."""

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

import config
from api.operations import OPERATIONS, Access
from webhooks.deliveries import ATTEMPT_DUE_AFTER, GIVE_UP_AFTER

ROOT = Path(__file__).resolve().parents[2]
DISCOVER = "from firebase_functions.private import serving; print(serving.functions_as_yaml(serving.get_functions()))"
SCHEDULED = ("releaseExpiredReservations", "scheduleWeeklyReport")
SWEEP_INTERVAL = timedelta(minutes=1)
REPORTS = ("getWeeklyReport", "scheduleWeeklyReport", "deliverWebhook")


@pytest.fixture(scope="module", name="manifest")
def manifest_without_settings() -> dict[str, Any]:
    return discovered()


def discovered(**settings: str) -> dict[str, Any]:
    """The manifest as the CLI's discovery gets it: the library's own, made in functions/ with these settings only."""
    env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **settings}
    command = [sys.executable, "-c", DISCOVER]
    done = subprocess.run(command, cwd=ROOT / "functions", env=env, capture_output=True, text=True, check=True)
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


def test_every_function_is_discovered(manifest: dict[str, Any]) -> None:
    """The entry points and their triggers, by the names of the contract."""
    kinds = {"scheduleTrigger": "schedule", "taskQueueTrigger": "task queue", "httpsTrigger": "http"}
    triggers = {
        name: next(kind for trigger, kind in kinds.items() if trigger in endpoint)
        for name, endpoint in manifest["endpoints"].items()
    }
    assert triggers == {
        "cancelGenerationRequest": "http",
        "createGenerationRequest": "http",
        "deliverWebhook": "task queue",
        "findUser": "http",
        "generateImage": "task queue",
        "getCatalog": "http",
        "getGenerationRequest": "http",
        "getUserCredits": "http",
        "getWeeklyReport": "http",
        "grantCredits": "http",
        "listGenerationRequests": "http",
        "listWebhookDeliveries": "http",
        "listWeeklyReports": "http",
        "openapi": "http",
        "quoteGeneration": "http",
        "releaseExpiredReservations": "schedule",
        "resendWebhookDelivery": "http",
        "revokeCredits": "http",
        "scheduleWeeklyReport": "schedule",
        "simulatedImage": "http",
    }


def test_the_weekly_report_runs_once_every_lease_has_ended(manifest: dict[str, Any]) -> None:
    """On Mondays at 00:20 UTC, again if it fails: a sweep after the end of the leases that the default gives."""
    weekly = manifest["endpoints"]["scheduleWeeklyReport"]["scheduleTrigger"]
    assert (weekly["schedule"], weekly["timeZone"], weekly["retryConfig"]["retryCount"]) == ("20 0 * * 1", "Etc/UTC", 5)
    [lease] = [param for param in manifest["params"] if param["name"] == config.RESERVATION_LEASE_SECONDS.name]
    assert timedelta(minutes=20) >= timedelta(seconds=lease["default"]) + SWEEP_INTERVAL


def test_the_sweep_runs_every_minute(manifest: dict[str, Any]) -> None:
    """In one instance: a long one is not joined by many others."""
    sweep = manifest["endpoints"]["releaseExpiredReservations"]
    assert sweep["scheduleTrigger"]["schedule"] == "* * * * *"
    assert all(manifest["endpoints"][name]["maxInstances"] == 1 for name in SCHEDULED)


def test_each_function_may_serve_concurrently(manifest: dict[str, Any]) -> None:
    """The CLI refuses concurrency on less than one CPU, and the emulator does not tell."""
    for name, endpoint in manifest["endpoints"].items():
        assert endpoint["cpu"] == 1, name
        assert endpoint["concurrency"] == (2 if name == "simulatedImage" else "{{ params.THREADS }}"), name
        assert endpoint["region"] == ["us-central1"], name


def test_a_webhook_is_tried_for_days_with_growing_pauses(manifest: dict[str, Any]) -> None:
    """From 10 s, doubling up to an hour, for longer than the three days after which a delivery is given up."""
    retry = manifest["endpoints"]["deliverWebhook"]["taskQueueTrigger"]["retryConfig"]
    lows = [
        min(retry["minBackoffSeconds"] * 2 ** min(n, retry["maxDoublings"]), retry["maxBackoffSeconds"])
        for n in range(retry["maxAttempts"] - 1)
    ]
    assert (lows[:4], lows[-1]) == ([10, 20, 40, 80], 3600)
    assert timedelta(seconds=sum(lows)) > GIVE_UP_AFTER
    assert timedelta(seconds=lows[-1]) < ATTEMPT_DUE_AFTER
    assert retry.get("maxRetrySeconds") is None


def test_only_the_sender_of_webhooks_gets_the_secret() -> None:
    """If there is an address to send to: a deploy asks for every secret that is declared."""
    found = discovered(COMPLETION_WEBHOOK_URL="https://receiver.example/hook")
    bound = {
        name
        for name, endpoint in found["endpoints"].items()
        for secret in endpoint.get("secretEnvironmentVariables") or []
        if secret["key"] == "WEBHOOK_SECRET"
    }
    assert bound == {"deliverWebhook"}
    assert "WEBHOOK_SECRET" in {parameter["name"] for parameter in found["params"]}


def test_only_the_reports_and_the_sender_get_the_webhooks_address(manifest: dict[str, Any]) -> None:
    """It is a secret, and a purchase does not need it."""
    for name, endpoint in manifest["endpoints"].items():
        secrets = [secret["key"] for secret in endpoint.get("secretEnvironmentVariables") or []]
        assert secrets == (["REPORT_WEBHOOK_URL"] if name in REPORTS else []), name


def test_only_a_purchase_from_openai_gets_the_key() -> None:
    """A deploy asks for every secret that is declared, so it is not declared for anybody else."""
    for settings in ({"MODEL_A": "openai:gpt-image-2"}, {"MODEL_B": "openai:gpt-image-2", "MODEL_A": "gemini:x"}):
        found = discovered(**settings, STORAGE_BUCKET="pictures")
        assert "OPENAI_API_KEY" in {parameter["name"] for parameter in found["params"]}
        bound = {
            name
            for name, endpoint in found["endpoints"].items()
            for secret in endpoint.get("secretEnvironmentVariables") or []
            if secret["key"] == "OPENAI_API_KEY"
        }
        assert bound == {"createGenerationRequest", "generateImage"}
    local = discovered(MODEL_A="openai:gpt-image-2", STORAGE_BUCKET="pictures", FUNCTIONS_EMULATOR="true")
    assert "OPENAI_API_KEY" not in {parameter["name"] for parameter in local["params"]}


def test_every_setting_is_a_parameter(manifest: dict[str, Any]) -> None:
    """The CLI knows each by its name, with its default."""
    parameters = {parameter["name"] for parameter in manifest["params"]}
    assert parameters == {*(param.name for param in config.PARAMS), "REPORT_WEBHOOK_URL"}


def test_clients_get_nothing_from_the_bucket() -> None:
    """The rules that are deployed hold one sentence. Nothing here can run them: their runtime is a download."""
    name = json.loads((ROOT / "firebase.json").read_text(encoding="utf-8"))["storage"]["rules"]
    rules = re.sub(r"//.*", "", (ROOT / name).read_text(encoding="utf-8"))
    sentences = re.findall(r"match\s+(\S+)\s*\{|allow\s+([^;]*);", rules)
    assert sentences == [("/b/{bucket}/o", ""), ("/{path=**}", ""), ("", "read, write: if false")]


def test_what_stays_here_is_not_deployed() -> None:
    """The virtual environment and other projects' settings are not part of the package."""
    [codebase] = json.loads((ROOT / "firebase.json").read_text(encoding="utf-8"))["functions"]
    assert {"venv", ".env.*", "*.local", "__pycache__"} <= set(codebase["ignore"])


def rows(document: str, header: str) -> list[tuple[list[str], list[str]]]:
    """The rows of this table of a document: the names in the first cell, and the other cells."""
    text = (ROOT / document).read_text(encoding="utf-8")
    [table] = re.findall(rf"^{re.escape(header)}\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return [(re.findall(r"`(\w+)`", first), others) for first, *others in lines]


@pytest.mark.parametrize(
    ("document", "header"),
    [("README.md", "| function | method | who | what |"), ("docs/security.md", "| endpoint | nobody | user | admin |")],
)
def test_the_docs_name_every_function_once(manifest: dict[str, Any], document: str, header: str) -> None:
    """With what it is for, and with who may call it."""
    assert sorted(name for names, _ in rows(document, header) for name in names) == sorted(manifest["endpoints"])


def test_the_table_of_roles_says_who_may_call() -> None:
    """As the table of operations does, which the endpoints obey."""
    cells = {
        name: others
        for names, others in rows("docs/security.md", "| endpoint | nobody | user | admin |")
        for name in names
    }
    for operation in OPERATIONS:
        nobody, user, admin = cells[operation.function]
        assert bool(nobody) is (operation.access is Access.PUBLIC), operation.function
        assert bool(user) is (operation.access is not Access.ADMINS), operation.function
        assert admin, operation.function


def test_the_docs_prepare_the_python_that_the_cli_looks_for() -> None:
    """The CLI runs the interpreter of firebase.json's runtime, by its name, in functions/venv."""
    [codebase] = json.loads((ROOT / "firebase.json").read_text(encoding="utf-8"))["functions"]
    interpreter = codebase["runtime"].replace("python3", "python3.")
    command = f"{interpreter} -m venv functions/venv && functions/venv/bin/pip install --require-hashes"
    assert command in (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
