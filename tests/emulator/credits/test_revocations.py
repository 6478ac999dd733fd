"""revokeCredits over HTTP: credits back, by an admin, once for each key, and never more than are there."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.support.assembly import audit_of, in_process
from tests.support.calls import Function, InProcess
from tests.support.contract import error_of, fields_at_fault
from tests.support.identities import Account
from tests.support.projects import Project
from tests.support.servers import FunctionServer

CALLERS = 20


@pytest.fixture(scope="session")
def api(common_project: Project) -> InProcess:
    return in_process(common_project, REQUIRE_AUTH="true")


@pytest.fixture(scope="session")
def admin(common_project: Project) -> Account:
    return Account.new(common_project.id, is_admin=True)


def revoke(function: Function, admin: Account, key: str | None, **body: Any) -> requests.Response:
    headers = admin.headers() | ({} if key is None else {"Idempotency-Key": key})
    return function.post({"credits": 5, "reason": "chargeback 7", **body}, headers)


@pytest.mark.parametrize(("opening", "taken"), [(10, 5), (5, 5), (2, 2), (0, 0)])
def test_at_most_what_is_there_is_taken(
    api: InProcess, admin: Account, common_project: Project, opening: int, taken: int
) -> None:
    """Balance, ledger entry and answer say the same; the user sees the entry with its reason."""
    user_id = common_project.add_user(opening)
    response = revoke(api.of("revokeCredits"), admin, "chargeback", userId=user_id)
    assert response.status_code == 200, response.text
    entries = common_project.entries(user_id)
    assert response.json() == {
        "transactionId": entries[0]["id"] if taken else None,
        "userId": user_id,
        "revokedCredits": taken,
        "missingCredits": 5 - taken,
        "currentCredits": opening - taken,
    }
    assert common_project.balance(user_id) == opening - taken
    shown = api.of("getUserCredits").get(admin.headers(), userId=user_id).json()["transactions"]
    revocations = [(its["credits"], its["balanceAfter"], its["reason"]) for its in shown if its["type"] == "revocation"]
    assert revocations == ([(taken, opening - taken, "chargeback 7")] if taken else [])
    assert [entry["revokedBy"] for entry in entries] == [admin.user_id] * len(revocations)
    assert audit_of(common_project).of_user(user_id).violations == []


def test_twenty_revocations_with_one_key_are_one(api: InProcess, admin: Account, common_project: Project) -> None:
    """20 at once over two processes: all get the same answer, all but one as a replay, and 5 of 30 credits are gone."""
    user_id = common_project.add_user(30)
    with (
        FunctionServer("revokeCredits", common_project.id, REQUIRE_AUTH="true") as server,
        ThreadPoolExecutor(CALLERS) as callers,
    ):
        processes = (api.of("revokeCredits"), server)
        answers = list(callers.map(lambda n: revoke(processes[n % 2], admin, "once", userId=user_id), range(CALLERS)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == CALLERS - 1
    assert common_project.balance(user_id) == 25
    assert audit_of(common_project).of_user(user_id).violations == []


def test_a_key_is_for_one_revocation_only(api: InProcess, admin: Account, common_project: Project) -> None:
    """Another amount or reason under the same key gets 422; an unknown user 404; nothing is written."""
    user_id = common_project.add_user(10)
    function = api.of("revokeCredits")
    assert revoke(function, admin, "mine", userId=user_id).status_code == 200
    before = common_project.everything()
    for changes in ({"credits": 6}, {"reason": "other"}):
        error = error_of(revoke(function, admin, "mine", userId=user_id, **changes))
        assert (error["code"], error["details"]["reason"]) == (422, "IDEMPOTENCY_MISMATCH")
    assert error_of(revoke(function, admin, "mine", userId="nobody"))["message"] == "User not found."
    error = error_of(revoke(function, admin, None, userId=user_id, credits=0, reason=""))
    assert fields_at_fault(error) == ["credits", "reason", "Idempotency-Key"]
    assert common_project.everything() == before
