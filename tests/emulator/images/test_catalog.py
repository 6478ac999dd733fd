"""What is on offer comes from Firestore: new options, unusable prices, an empty catalog, an old one."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from api.endpoint import Endpoint
from store import RetryPolicy
from tests.support.assembly import assembled, in_process, settings_of
from tests.support.calls import Function, InProcess
from tests.support.contract import error_of, order
from tests.support.projects import Project
from tests.support.rpcs import RpcFailed, hooked_connection
from tests.support.servers import wait_until

TTL_SECONDS = 60.0
# A pause that no time is left for.
WITHOUT_RETRIES = RetryPolicy(uniform=lambda low, high: math.inf)


def test_a_size_without_a_proper_price_is_not_offered(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A size whose credits are not an integer above 0: one log line says why, and the others work."""
    user_id = project.add_user(10)
    for size, credits in {"zero": 0, "half": 0.5, "text": "3", "yes": True, "nan": float("nan")}.items():
        project.put(f"sizes/{size}", {"credits": credits})
    project.put("sizes/none", {})
    create = in_process(project).of("createGenerationRequest")
    said = ""
    for size in ("zero", "half", "text", "yes", "nan", "none"):
        error = error_of(create.post(order(user_id, size=size)))
        assert error["message"] == f"Invalid size '{size}'. Available sizes: 1024x1024, 1024x1792, 512x512"
        said += "".join(capsys.readouterr())
        assert said.count(f"sizes/{size}") == 1
    assert create.post(order(user_id)).status_code == 200


def test_an_empty_catalog_is_an_error_until_it_is_filled() -> None:
    """Without a catalog the answer is 503, and the next call after it was loaded works."""
    project = Project.empty()
    user_id = project.add_user(10)
    create = in_process(project).of("createGenerationRequest")
    response = create.post(order(user_id))
    assert (response.status_code, error_of(response)["status"]) == (503, "UNAVAILABLE")
    assert int(response.headers["Retry-After"]) > 0
    project.load_catalog()
    assert create.post(order(user_id)).status_code == 200


@pytest.mark.parametrize("failure_rate", ["0", "1"])
def test_a_replay_needs_no_catalog(project: Project, failure_rate: str) -> None:
    """The first answer comes again although its style, or the whole catalog, is gone."""
    user_id = project.add_user(10)
    key = {"Idempotency-Key": "key"}

    def create() -> Function:
        return in_process(project, AI_FAILURE_RATE=failure_rate).of("createGenerationRequest")

    first = create().post(order(user_id), key)
    for gone in ("styles", "sizes", "colors"):
        for document in project.client.collection(gone).list_documents():
            document.delete()
        again = create().post(order(user_id), key)
        assert (again.text, again.headers["Idempotent-Replayed"]) == (first.text, "true")
    assert create().post(order(user_id)).status_code == 503


@dataclass
class Old:
    """An endpoint whose catalog ages on a clock of its own, and whose queries can fail."""

    create: Function
    add_seconds: Callable[[float], None]
    queries: int = 0
    is_away: bool = False

    @classmethod
    def of(cls, project: Project) -> "Old":
        seconds = [0.0]

        def around(name: str, send: Callable[[], Any]) -> Any:
            if name == "RunQuery":
                found.queries += 1
                if found.is_away:
                    raise RpcFailed(grpc.StatusCode.UNAVAILABLE)
            return send()

        settings = settings_of(project, CATALOG_TTL_SECONDS=str(TTL_SECONDS))
        services = assembled(
            project,
            hooked_connection(project.id, os.environ["FIRESTORE_EMULATOR_HOST"], around),
            settings=settings,
            monotonic=lambda: seconds[0],
            policy=WITHOUT_RETRIES,
        )
        api = InProcess(Endpoint.build(settings, services))
        found = cls(api.of("createGenerationRequest"), lambda more: seconds.__setitem__(0, seconds[0] + more))
        return found


@pytest.fixture
def old(project: Project) -> Old:
    return Old.of(project)


def test_a_new_style_is_offered_once_the_catalog_is_refreshed(project: Project, old: Old) -> None:
    """After its time to live the old catalog serves while it is read again, without a restart."""
    user_id = project.add_user(100)
    assert old.create.post(order(user_id, style="pixel art")).status_code == 400
    project.put("styles/pixel art", {})
    assert old.create.post(order(user_id, style="pixel art")).status_code == 400
    assert old.queries == 3
    old.add_seconds(TTL_SECONDS + 1)
    wait_until(lambda: old.create.post(order(user_id, style="pixel art")).status_code == 200, "the style", 5)
    assert old.queries == 6


def test_an_old_catalog_serves_while_firestore_does_not_give_a_new_one(
    project: Project, old: Old, capsys: pytest.CaptureFixture[str]
) -> None:
    """The purchase neither waits nor fails; the failure is logged, and the next one is tried after a time to live."""
    user_id = project.add_user(100)
    said: list[str] = []

    def failures_logged() -> int:
        said.extend(capsys.readouterr())
        return "".join(said).count("catalog not refreshed")

    assert old.create.post(order(user_id)).status_code == 200
    old.is_away = True
    for failures in (1, 2):
        old.add_seconds(TTL_SECONDS + 1)
        assert old.create.post(order(user_id)).status_code == 200
        wait_until(lambda: failures_logged() == failures, "the failure", 5)  # noqa: B023 - waited for at once
        tried = old.queries
        assert old.create.post(order(user_id)).status_code == 200
        assert old.queries == tried


def test_a_catalog_much_older_than_allowed_is_read_first(project: Project, old: Old) -> None:
    """An idle instance does not sell at last year's price; it does if Firestore gives no other."""
    user_id = project.add_user(100)
    assert old.create.post(order(user_id)).json()["deductedCredits"] == 1
    project.put("sizes/512x512", {"credits": 2})
    old.add_seconds(2 * TTL_SECONDS + 1)
    assert old.create.post(order(user_id)).json()["deductedCredits"] == 2
    old.is_away = True
    old.add_seconds(2 * TTL_SECONDS + 1)
    assert old.create.post(order(user_id)).json()["deductedCredits"] == 2
