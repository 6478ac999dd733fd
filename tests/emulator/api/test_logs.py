"""What the functions log of a request, and what they never do."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.assembly import in_process
from tests.support.calls import Function
from tests.support.contract import ORDER, error_of, order
from tests.support.identities import Account
from tests.support.projects import Project
from tests.support.servers import EVERY_FUNCTION, FunctionServer

TRACE = "105445aa7843bc8bf206b12000100000"
TRACED = {"X-Cloud-Trace-Context": f"{TRACE}/1;o=1"}
TRACE_FIELD = "logging.googleapis.com/trace"
PROMPT = "a prompt that nobody else may read"
CREATE = "createGenerationRequest"


def lines(said: str) -> list[dict[str, Any]]:
    """The structured events of a log, without what else a server prints."""
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


@pytest.fixture(scope="session")
def private(common_project: Project) -> Iterator[FunctionServer]:
    """A real server whose callers need tokens."""
    with FunctionServer(EVERY_FUNCTION, common_project.id, REQUIRE_AUTH="true") as server:
        yield server


def test_each_line_of_a_purchase_has_its_trace_and_its_generation(
    private: FunctionServer, common_project: Project
) -> None:
    """Reserved and completed: each line has both ids, and nothing of the prompt, the token or the address."""
    buyer = Account.new(common_project.id)
    common_project.add_user(10, buyer.user_id)
    token = buyer.token()
    headers = {**TRACED, "Authorization": f"Bearer {token}"}
    create = private.of(CREATE)
    answer = create.post({**ORDER, "prompt": PROMPT}, headers).json()
    create.post({**ORDER, "prompt": PROMPT, "style": PROMPT}, headers)
    create.post({**ORDER, "promt": PROMPT}, headers)
    create.post({**ORDER, "prompt": [PROMPT]}, {**headers, "Authorization": f"Bearer {token}x.{PROMPT}"})
    said = private.log()
    logged = [line for line in lines(said) if line.get("userId") == buyer.user_id]
    assert [line["message"] for line in logged] == ["credits reserved", "generation completed"]
    for line in logged:
        assert line[TRACE_FIELD] == f"projects/{common_project.id}/traces/{TRACE}", line
        assert line["generationRequestId"] == answer["generationRequestId"], line
    for secret in (PROMPT, token, token.split(".")[1], "@example.com"):
        assert secret not in said


def test_each_line_of_a_failure_has_its_trace_and_its_generation(
    common_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reserved, failed, refunded and answered: each line has both ids and nothing of the prompt."""
    user_id = common_project.add_user(10)
    capsys.readouterr()
    create = in_process(common_project, AI_FAILURE_RATE="1").of(CREATE)
    answer = create.post(order(user_id, prompt=PROMPT), TRACED)
    said = "".join(capsys.readouterr())
    logged = lines(said)
    messages = ["credits reserved", "generation failed", "credits refunded", "request failed"]
    assert [line["message"] for line in logged] == messages
    for line in logged:
        assert TRACE in line[TRACE_FIELD], line
        assert line["generationRequestId"] == error_of(answer)["details"]["generationRequestId"], line
    assert PROMPT not in said


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"age_seconds": 7_200}, "expired 36"),
    ({"age_seconds": -3_600}, "in the future: one of the clocks is wrong"),
    ({"aud": "somebody-else"}, "for another project than demo-"),
    ({"firebase": {"tenant": "other-shop"}}, "of a tenant"),
]


@pytest.mark.parametrize(("changes", "why"), REFUSED)
def test_a_refused_token_leaves_its_reason_and_nothing_of_itself(
    private: FunctionServer, common_project: Project, changes: dict[str, Any], why: str
) -> None:
    """One line for the operator; the client learns no more than that it has to sign in again."""
    token = Account.new(common_project.id).token(**changes)
    trace = uuid.uuid4().hex
    headers = {"X-Cloud-Trace-Context": f"{trace}/1;o=1", "Authorization": f"Bearer {token}"}
    answer = private.of("getUserCredits").get(headers)
    assert (answer.status_code, why in answer.text) == (401, False)
    said = private.log()
    [line] = [line for line in lines(said) if trace in line[TRACE_FIELD]]
    assert (line["message"], line["severity"]) == ("token refused", "INFO")
    assert why in line["why"]
    for secret in (token.split(".")[1], "somebody-else", "other-shop"):
        assert secret not in said


def test_a_body_that_nobody_reads_is_not_logged(private: FunctionServer) -> None:
    """Broken chunks of a stranger: 401 as JSON, and no word of them in the log, the server's own lines included."""
    head = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    answer = private.exchange(f"/{CREATE}", head, json.dumps({"prompt": PROMPT}).encode() + b"\r\n")
    assert b" 401 " in answer.splitlines()[0]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["status"] == "UNAUTHENTICATED"
    assert PROMPT not in private.log()


def test_a_broken_document_is_found_by_the_id_in_the_answer(
    credits_of: Function, server: FunctionServer, common_project: Project
) -> None:
    """The answer's errorId is on the one line that says what is broken, and the answer says nothing else."""
    user_id = common_project.add_user("many")
    error = error_of(credits_of.get(TRACED, userId=user_id))
    assert (error["message"], set(error["details"])) == ("Internal error.", {"errorId"})
    [line] = [line for line in lines(server.log()) if line.get("errorId") == error["details"]["errorId"]]
    assert (line["severity"], line["message"], line["document"]) == ("ERROR", "broken document", f"users/{user_id}")
    assert TRACE in line[TRACE_FIELD]


def test_every_request_without_a_trace_gets_one(
    create: Function, server: FunctionServer, common_project: Project
) -> None:
    """Two requests without the header: two traces, each on all of its request's lines."""
    user_id = common_project.add_user(10)
    ids = [create.post(order(user_id, prompt=PROMPT)).json()["generationRequestId"] for _ in range(2)]
    mine = [line for line in lines(server.log()) if line.get("generationRequestId") in ids]
    assert len(mine) == 4
    assert len({(line[TRACE_FIELD], line["generationRequestId"]) for line in mine}) == 2


def test_a_sweep_carries_the_trace_into_its_threads(project: Project) -> None:
    """Each refund of a sweep has the trace of the scheduler's call."""
    user_id = project.add_user(10)
    with FunctionServer("releaseExpiredReservations", project.id) as server:
        request_id = in_process(project).of(CREATE).post(order(user_id)).json()["generationRequestId"]
        path = f"generationRequests/{request_id}"
        project.change(path, status="pending", leaseExpiresAt=(project.get(path) or {})["createdAt"])
        server.post(headers=TRACED).raise_for_status()
        logged = lines(server.log())
    assert project.balance(user_id) == 10
    assert [line["message"] for line in logged] == ["credits refunded", "expired reservations released"]
    assert all(TRACE in line[TRACE_FIELD] for line in logged)


def test_a_scheduled_run_that_fails_says_where_and_not_what(project: Project) -> None:
    """If Firestore is away the run fails, so that the scheduler tries again; no library's words are logged."""
    with FunctionServer(
        "releaseExpiredReservations", project.id, FIRESTORE_EMULATOR_HOST="127.0.0.1:1", TIMEOUT_SECONDS="2"
    ) as server:
        response = server.post(headers=TRACED)
        said = server.log()
    assert response.status_code == 500
    [line] = lines(said)
    assert (line["message"], line["severity"]) == ("scheduled run failed", "ERROR")
    assert "Unavailable" in line["places"][0]
    assert "Connection refused" not in said
