"""What bounds a caller: generations in flight, sizes, and origins, over HTTP."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests

from assembly import assembled, audits_of, new_id
from contract import error_of, order
from ledger import Reservation
from projects import Project
from servers import FunctionServer
from shop import reserved

ORIGIN = "https://shop.example"
LIMIT = 5


@pytest.fixture(scope="module")
def limited(shared_project: Project) -> Iterator[FunctionServer]:
    with FunctionServer(
        "createGenerationRequest", shared_project.id, MAX_PENDING_PER_USER=str(LIMIT), ALLOWED_ORIGINS=ORIGIN
    ) as server:
        yield server


def reserve(project: Project, user_id: str) -> Reservation:
    """A reservation whose model is still at work."""
    return reserved(assembled(lambda: project.client).ledger, user_id, new_id())


def test_a_user_with_five_in_flight_has_to_wait(limited: FunctionServer, shared_project: Project) -> None:
    """The sixth gets 429 with Retry-After and writes nothing; each end, by image or refund, makes room for one."""
    user_id = shared_project.add_user(20)
    flying = [reserve(shared_project, user_id) for _ in range(LIMIT)]
    before = shared_project.everything()
    response = limited.post(order(user_id))
    error = error_of(response)
    assert (error["code"], error["status"], error["details"]) == (
        429,
        "RESOURCE_EXHAUSTED",
        {"reason": "TOO_MANY_PENDING", "maxPending": LIMIT},
    )
    assert int(response.headers["Retry-After"]) > 0
    assert shared_project.everything() == before
    assert limited.post(order(shared_project.add_user(1))).status_code == 200

    ledger = assembled(lambda: shared_project.client).ledger
    ledger.complete(flying[0], "https://image")
    assert limited.post(order(user_id)).status_code == 200
    reserve(shared_project, user_id)
    assert limited.post(order(user_id)).status_code == 429
    ledger.refund(flying[1])
    assert limited.post(order(user_id)).status_code == 200
    assert audits_of(shared_project).of_user(user_id) == []


def test_a_released_reservation_makes_room(limited: FunctionServer, project: Project) -> None:
    """What crashed processes left counts until the sweep has refunded it."""
    user_id = project.add_user(20)
    for _ in range(LIMIT):
        reserve(project, user_id)
    with FunctionServer("createGenerationRequest", project.id, MAX_PENDING_PER_USER=str(LIMIT)) as server:
        assert server.post(order(user_id)).status_code == 429
        assembled(lambda: project.client, later_seconds=660).ledger.release_expired()
        assert server.post(order(user_id)).status_code == 200
    assert project.balance(user_id) == 19


def test_a_crowd_of_one_user_never_has_more_in_flight(project: Project) -> None:
    """48 at once in two processes with a limit of 2: images or 429, the books hold, and nobody stays in flight."""
    user_id = project.add_user(100)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(FunctionServer("createGenerationRequest", project.id, MAX_PENDING_PER_USER="2"))
            for _ in range(2)
        ]
        with ThreadPoolExecutor(48) as clients:
            statuses = Counter(clients.map(lambda n: servers[n % 2].post(order(user_id)).status_code, range(48)))
    assert set(statuses) <= {200, 429}
    assert project.balance(user_id) == 100 - statuses[200]
    assert audits_of(project).of_user(user_id) == []
    assert project.get(f"inFlight/{user_id}") == {"leases": {}}


def test_a_long_query_or_heavy_headers_are_refused(limited: FunctionServer) -> None:
    """2 KiB of query and 16 KiB of headers are the limits: 400, by name."""
    query = error_of(requests.post(limited.url, params={"x": "y" * 2_048}, json={}, timeout=60))
    assert (query["code"], query["details"]["fields"][0]["field"]) == (400, "query")
    heavy = {f"X-{number}": "y" * 6_000 for number in range(3)}
    headers = error_of(requests.post(limited.url, json={}, headers=heavy, timeout=60))
    assert (headers["code"], headers["details"]["fields"][0]["field"]) == (400, "headers")


PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
}


def test_an_allowed_page_may_call_and_read_the_answer(limited: FunctionServer) -> None:
    """The preflight names method and headers; the answer, an error too, is readable with its headers."""
    asked = requests.options(limited.url, headers={"Origin": ORIGIN, **PREFLIGHT}, timeout=60)
    assert (asked.status_code, asked.text) == (204, "")
    assert asked.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert asked.headers["Access-Control-Allow-Methods"] == "POST"
    allowed = {name.strip().lower() for name in asked.headers["Access-Control-Allow-Headers"].split(",")}
    assert {"authorization", "content-type", "idempotency-key", "x-firebase-appcheck"} <= allowed
    answer = requests.post(limited.url, json={}, headers={"Origin": ORIGIN}, timeout=60)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (400, ORIGIN)
    assert "Idempotent-Replayed" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{ORIGIN}.evil.example", f"{ORIGIN}:8443"])
def test_another_page_may_not(limited: FunctionServer, origin: str) -> None:
    """No header that a browser would accept."""
    asked = requests.options(limited.url, headers={"Origin": origin, **PREFLIGHT}, timeout=60)
    answer = requests.post(limited.url, json={}, headers={"Origin": origin}, timeout=60)
    for response in (asked, answer):
        assert "Access-Control-Allow-Origin" not in response.headers
    assert asked.status_code == 405


def test_the_local_console_may_call_an_emulator(generate: FunctionServer) -> None:
    """With no origin configured the Emulator UI's is the one allowed."""
    answer = requests.post(generate.url, json={}, headers={"Origin": "http://127.0.0.1:4000"}, timeout=60)
    assert answer.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:4000"
