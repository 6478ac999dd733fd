"""Asynchronous purchases over HTTP, with the real Tasks emulator and its worker."""

import os
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from credits.reservations import Purchase, Reservation
from tests.support.assembly import assembled, audit_of, in_process
from tests.support.calls import InProcess
from tests.support.contract import ORDER, error_of, order
from tests.support.identities import Account
from tests.support.projects import Project
from tests.support.servers import wait_until


@pytest.fixture(scope="session")
def base() -> str:
    return os.environ["FUNCTIONS_BASE_URL"]


@pytest.fixture(scope="session")
def imported() -> Project:
    """The project that the Functions emulator serves."""
    return Project(os.environ["GCLOUD_PROJECT"])


@pytest.fixture(scope="session")
def api(common_project: Project) -> InProcess:
    """Every function in this process, where no queue takes a task: an order waits until the test is done with it."""
    return in_process(common_project, REQUIRE_AUTH="true")


def buy(base: str, user_id: str, prefer: str, key: str) -> requests.Response:
    headers = {"Prefer": prefer, "Idempotency-Key": key}
    return requests.post(f"{base}/createGenerationRequest", json=order(user_id), headers=headers, timeout=60)


def waiting(project: Project, user_id: str) -> Reservation:
    """An order that no worker has claimed."""
    purchase = Purchase(user_id, **ORDER, prompt=None)
    outcome = assembled(project).ledger.reserve(purchase, uuid.uuid4().hex, price_or_error=1, is_async=True)
    assert isinstance(outcome, Reservation)
    return outcome


def test_an_order_is_accepted_and_its_image_comes(base: str, imported: Project) -> None:
    """202 leads to the request, which a worker completes; the key gives the image from then on."""
    user_id = imported.add_user(10)
    accepted = buy(base, user_id, "respond-async", "a")
    body: dict[str, Any] = accepted.json()
    assert accepted.status_code == 202, accepted.text
    assert (body["deductedCredits"], body["currentCredits"], body["status"]) == (1, 9, "pending")
    assert accepted.headers["Preference-Applied"] == "respond-async"
    url = urljoin(accepted.url, accepted.headers["Location"])
    wait_until(lambda: requests.get(url, timeout=60).json()["status"] == "completed", "the image")
    answer = buy(base, user_id, "respond-async", "a")
    assert (answer.status_code, answer.headers["Idempotent-Replayed"]) == (200, "true")
    picture = requests.get(answer.json()["imageUrl"], timeout=60)
    assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/png")
    assert audit_of(imported).of_user(user_id).violations == []


def test_a_client_that_waits_gets_the_image(base: str, imported: Project) -> None:
    """`Prefer: wait=50` gives 200 with the image and the new balance in one answer."""
    user_id = imported.add_user(10)
    answer = buy(base, user_id, "wait=50", "a")
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=50")
    assert answer.json()["currentCredits"] == imported.balance(user_id) == 9


def test_the_sweep_finds_an_order_whose_task_was_lost(base: str, imported: Project) -> None:
    """A sweep enqueues an order that nobody claimed for a while, and its image comes."""
    user_id = imported.add_user(10)
    reservation = waiting(imported, user_id)
    path = reservation.document.path
    imported.change(path, workerDueAt=datetime(2020, 1, 1, tzinfo=UTC))
    assert requests.post(f"{base}/releaseExpiredReservations-0", json={}, timeout=60).status_code == 200
    wait_until(lambda: (imported.get(path) or {})["status"] == "completed", "the image")
    assert audit_of(imported).of_user(user_id).violations == []


def test_a_buyer_cancels_an_order(api: InProcess, common_project: Project) -> None:
    """The credits are back at once, and once; nobody else can do it."""
    buyer, stranger = Account.new(common_project.id), Account.new(common_project.id)
    common_project.add_user(10, buyer.user_id)
    body = {"generationRequestId": waiting(common_project, buyer.user_id).request_id}
    cancel = api.of("cancelGenerationRequest")
    assert cancel.post(body, stranger.headers()).status_code == 403
    assert cancel.post(body, {}).status_code == 401
    first, second = cancel.post(body, buyer.headers()), cancel.post(body, buyer.headers())
    assert first.json() == {**body, "status": "canceled", "refundedCredits": 1, "currentCredits": 10}
    assert (second.status_code, second.json()) == (200, first.json())
    assert common_project.balance(buyer.user_id) == 10
    assert audit_of(common_project).of_user(buyer.user_id).violations == []


def test_what_has_ended_cannot_be_canceled(api: InProcess, common_project: Project) -> None:
    """A completed purchase gives 409 and says so; an unknown one gives 404."""
    buyer = Account.new(common_project.id)
    common_project.add_user(10, buyer.user_id)
    bought = api.of("createGenerationRequest").post(order(buyer.user_id), buyer.headers()).json()
    cancel = api.of("cancelGenerationRequest")
    ended = cancel.post({"generationRequestId": bought["generationRequestId"]}, buyer.headers())
    assert ended.status_code == 409
    details = error_of(ended)["details"]
    assert (details["reason"], details["outcome"]) == ("GENERATION_ENDED", "completed")
    assert cancel.post({"generationRequestId": "none"}, buyer.headers()).status_code == 404
