"""How many generations of one user may be in flight at once, over HTTP."""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from credits.documents import PROVIDER_FAILED
from credits.reservations import Reservation
from tests.support.assembly import assembled, audit_of, in_process
from tests.support.calls import Function
from tests.support.contract import error_of, order
from tests.support.projects import Project
from tests.support.servers import FunctionServer
from tests.support.shop import reserved

LIMIT = 5
CLIENTS = 48


@pytest.fixture(scope="session")
def limited(common_project: Project) -> Function:
    return in_process(common_project, MAX_PENDING_PER_USER=str(LIMIT)).of("createGenerationRequest")


def reserve(project: Project, user_id: str, count: int) -> list[Reservation]:
    """Reservations whose model is still at work."""
    ledger = assembled(project).ledger
    return [reserved(ledger, user_id, uuid.uuid4().hex) for _ in range(count)]


def test_a_user_with_five_in_flight_has_to_wait(limited: Function, common_project: Project) -> None:
    """The sixth gets 429 with Retry-After and writes nothing; each end, by image or refund, makes room for one."""
    user_id = common_project.add_user(20)
    flying = reserve(common_project, user_id, LIMIT)
    before = common_project.everything()
    response = limited.post(order(user_id))
    error = error_of(response)
    assert (error["code"], error["status"], error["details"]) == (
        429,
        "RESOURCE_EXHAUSTED",
        {"reason": "TOO_MANY_PENDING", "maxPending": LIMIT},
    )
    assert int(response.headers["Retry-After"]) > 0
    assert common_project.everything() == before
    assert limited.post(order(common_project.add_user(1))).status_code == 200

    ledger = assembled(common_project).ledger
    ledger.complete(flying[0], "https://image")
    assert limited.post(order(user_id)).status_code == 200
    reserve(common_project, user_id, 1)
    assert limited.post(order(user_id)).status_code == 429
    ledger.refund(flying[1], PROVIDER_FAILED)
    assert limited.post(order(user_id)).status_code == 200
    assert audit_of(common_project).of_user(user_id).violations == []


def test_a_released_reservation_makes_room(project: Project) -> None:
    """What crashed processes left counts until the sweep has refunded it."""
    user_id = project.add_user(20)
    reserve(project, user_id, LIMIT)
    create = in_process(project, MAX_PENDING_PER_USER=str(LIMIT)).of("createGenerationRequest")
    assert create.post(order(user_id)).status_code == 429
    project.expire_leases()
    assembled(project).ledger.release_expired()
    assert create.post(order(user_id)).status_code == 200
    assert project.balance(user_id) == 19


def test_a_crowd_of_one_user_never_has_more_in_flight(project: Project) -> None:
    """48 at once in two processes with a limit of 2: images or 429, a consistent ledger, nothing left in flight."""
    user_id = project.add_user(100)
    settings = {"MAX_PENDING_PER_USER": "2"}
    here = in_process(project, **settings).of("createGenerationRequest")
    with (
        FunctionServer("createGenerationRequest", project.id, **settings) as there,
        ThreadPoolExecutor(CLIENTS) as clients,
    ):
        buying = clients.map(lambda n: (here, there)[n % 2].post(order(user_id)).status_code, range(CLIENTS))
        statuses = Counter(buying)
    assert set(statuses) <= {200, 429}
    assert project.balance(user_id) == 100 - statuses[200]
    assert audit_of(project).of_user(user_id).violations == []
    assert project.get(f"inFlight/{user_id}") == {"leases": {}}
