"""What the functions log of a request, and what they never do."""

import json
from typing import Any

import pytest
import requests

from contract import ORDER, error_of, order
from identities import Account
from projects import Project
from servers import FunctionServer

TRACE = "105445aa7843bc8bf206b12000100000"
TRACED = {"X-Cloud-Trace-Context": f"{TRACE}/1;o=1"}
PROMPT = "a prompt that nobody else may read"


def lines(server: FunctionServer) -> list[dict[str, Any]]:
    """The structured events of a log; whatever else the server prints is left out."""
    return [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]


@pytest.mark.parametrize(("failure_rate", "events"), [("0", "completed"), ("1", "refunded")])
def test_each_line_of_a_purchase_has_its_trace_and_its_generation(
    project: Project, failure_rate: str, events: str
) -> None:
    """Reserved and completed, or reserved, refunded and failed: each line has both ids and not a word of the prompt."""
    buyer = Account.new(project.id)
    project.add_user(10, buyer.user_id)
    token = buyer.token()
    headers = {**TRACED, "Authorization": f"Bearer {token}"}
    with FunctionServer(
        "createGenerationRequest", project.id, REQUIRE_AUTH="true", AI_FAILURE_RATE=failure_rate
    ) as server:
        answer = server.post({**ORDER, "prompt": PROMPT}, headers=headers).json()
        server.post({**ORDER, "prompt": PROMPT, "style": PROMPT}, headers=headers)
        server.post({**ORDER, "prompt": [PROMPT]}, headers={**headers, "Authorization": f"Bearer {token}x.{PROMPT}"})
        logged, said = lines(server), server.log()
    generation_id = answer.get("generationRequestId") or answer["error"]["details"]["generationRequestId"]
    assert any(events in line["message"] for line in logged)
    for line in logged:
        assert line["logging.googleapis.com/trace"] == f"projects/{project.id}/traces/{TRACE}", line
        assert line["generationRequestId"] == generation_id, line
    for secret in (PROMPT, token, token.split(".")[1], "@example.com"):
        assert secret not in said


def test_a_body_that_nobody_reads_is_not_logged(project: Project) -> None:
    """Broken chunks of a stranger: 401 as JSON, and no word of them in the log, the server's own lines included."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with FunctionServer("createGenerationRequest", project.id, REQUIRE_AUTH="true") as server:
        answer = server.exchange(head + json.dumps({"prompt": PROMPT}).encode() + b"\r\n")
        assert PROMPT not in server.log()
    assert b" 401 " in answer.splitlines()[0]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["status"] == "UNAUTHENTICATED"


def test_a_broken_document_is_found_by_the_id_in_the_answer(project: Project) -> None:
    """The answer's errorId is on the one line that says what is broken, and the answer says nothing else."""
    user_id = project.add_user("many")
    with FunctionServer("getUserCredits", project.id) as server:
        error = error_of(requests.get(server.url, params={"userId": user_id}, headers=TRACED, timeout=60))
        [line] = lines(server)
    assert (error["message"], set(error["details"])) == ("Internal error.", {"errorId"})
    assert line["errorId"] == error["details"]["errorId"]
    assert (line["severity"], line["document"]) == ("ERROR", f"users/{user_id}")
    assert TRACE in line["logging.googleapis.com/trace"]


def test_every_line_has_a_trace_of_its_own_where_none_came(generate: FunctionServer, shared_project: Project) -> None:
    """Two requests without the header: two traces, each on all of its request's lines."""
    user_id = shared_project.add_user(10)
    ids = [generate.post(order(user_id, prompt=PROMPT)).json()["generationRequestId"] for _ in range(2)]
    mine = [line for line in lines(generate) if line.get("generationRequestId") in ids]
    assert len(mine) == 4
    assert len({(line["logging.googleapis.com/trace"], line["generationRequestId"]) for line in mine}) == 2


def test_a_sweep_carries_the_trace_into_its_threads(project: Project) -> None:
    """Each refund of a sweep has the trace of the scheduler's call."""
    user_id = project.add_user(10)
    with FunctionServer("createGenerationRequest", project.id) as server:
        request_id = server.post(order(user_id)).json()["generationRequestId"]
    request = project.client.document(f"generationRequests/{request_id}")
    request.update({"status": "pending", "leaseExpiresAt": (request.get().to_dict() or {})["createdAt"]})
    with FunctionServer("releaseExpiredReservations", project.id) as server:
        requests.post(server.url, headers=TRACED, timeout=60).raise_for_status()
        logged = lines(server)
    assert [line["message"] for line in logged] == ["credits refunded", "expired reservations released"]
    assert all(TRACE in line["logging.googleapis.com/trace"] for line in logged)


def test_a_scheduled_run_that_fails_says_where_and_not_what(project: Project) -> None:
    """A Firestore that is away fails the run, so that the scheduler tries again; no foreign words are logged."""
    with FunctionServer(
        "releaseExpiredReservations", project.id, FIRESTORE_EMULATOR_HOST="127.0.0.1:1", TIMEOUT_SECONDS="2"
    ) as server:
        response = requests.post(server.url, headers=TRACED, timeout=60)
        logged, said = lines(server), server.log()
    assert response.status_code == 500
    [line] = logged
    assert (line["message"], line["severity"]) == ("scheduled run failed", "ERROR")
    assert "Unavailable" in line["places"][0]
    assert "Connection refused" not in said
