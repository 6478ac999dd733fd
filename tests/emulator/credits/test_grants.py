"""grantCredits over HTTP: credits in, by an admin, once for each key."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.support.assembly import audit_of, in_process
from tests.support.calls import Function
from tests.support.contract import error_of, fields_at_fault
from tests.support.identities import Account
from tests.support.projects import Project
from tests.support.servers import FunctionServer

CALLERS = 20


@pytest.fixture(scope="session")
def grant_credits(common_project: Project) -> Function:
    return in_process(common_project, REQUIRE_AUTH="true").of("grantCredits")


@pytest.fixture(scope="session")
def admin(common_project: Project) -> Account:
    return Account.new(common_project.id, "chief", is_admin=True)


@pytest.fixture
def two_processes(common_project: Project, grant_credits: Function) -> Iterator[Sequence[Function]]:
    """grantCredits here and on a server: two processes on one database."""
    with FunctionServer("grantCredits", common_project.id, REQUIRE_AUTH="true") as server:
        yield [grant_credits, server]


def grant(function: Function, admin: Account, key: str | None, **body: Any) -> requests.Response:
    headers = admin.headers() | ({} if key is None else {"Idempotency-Key": key})
    return function.post({"credits": 5, "reason": "order 7", **body}, headers)


def test_a_grant_adds_credits_and_says_who_gave_them(
    grant_credits: Function, admin: Account, common_project: Project
) -> None:
    """Balance, ledger entry and answer say the same, for a user with a balance and for a new one."""
    for user_id, opening in ((common_project.add_user(10), 10), ("brand-new", 0)):
        response = grant(grant_credits, admin, f"key-{user_id}", userId=user_id)
        assert response.status_code == 200, response.text
        [entry] = common_project.entries(user_id)
        assert response.json() == {
            "transactionId": entry["id"],
            "userId": user_id,
            "grantedCredits": 5,
            "currentCredits": opening + 5,
        }
        said = {name: entry[name] for name in ("type", "credits", "balanceAfter", "grantedBy", "reason")}
        assert said == {
            "type": "grant",
            "credits": 5,
            "balanceAfter": opening + 5,
            "grantedBy": "chief",
            "reason": "order 7",
        }
        assert common_project.balance(user_id) == opening + 5
        assert audit_of(common_project).of_user(user_id).violations == []


def test_twenty_grants_with_one_key_are_one(
    two_processes: Sequence[Function], admin: Account, common_project: Project
) -> None:
    """20 at once over two processes: all get the same answer, all but one as a replay, and the credits come once."""
    user_id = common_project.add_user(1)
    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(
            callers.map(lambda n: grant(two_processes[n % 2], admin, f"once-{user_id}", userId=user_id), range(CALLERS))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == CALLERS - 1
    assert common_project.balance(user_id) == 6
    assert len(common_project.entries(user_id)) == 1
    assert audit_of(common_project).of_user(user_id).violations == []


def test_a_key_is_for_one_grant_only(grant_credits: Function, admin: Account, common_project: Project) -> None:
    """Another amount or reason under the same key gets 422; another admin's same key is the same grant."""
    ann, bob = common_project.add_user(1), common_project.add_user(1)
    assert grant(grant_credits, admin, "mine", userId=ann).status_code == 200
    second = Account.new(common_project.id, is_admin=True)
    for caller in (admin, second):
        for changes in ({"credits": 6}, {"reason": "other"}):
            error = error_of(grant(grant_credits, caller, "mine", userId=ann, **changes))
            assert (error["code"], error["details"]["reason"]) == (422, "IDEMPOTENCY_MISMATCH")
    again = grant(grant_credits, second, "mine", userId=ann)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert grant(grant_credits, admin, "mine", userId=bob).status_code == 200
    assert (common_project.balance(ann), common_project.balance(bob)) == (6, 6)


BAD_GRANTS: list[tuple[str | None, dict[str, Any], list[str]]] = [
    (None, {"userId": "ann"}, ["Idempotency-Key"]),
    ("ü", {"userId": "ann"}, ["Idempotency-Key"]),
    (None, {"credits": None, "reason": None}, ["userId", "credits", "reason", "Idempotency-Key"]),
    ("k", {"userId": "a/b", "credits": 0, "reason": ""}, ["userId", "credits", "reason"]),
    ("k", {"userId": 5, "credits": True, "reason": 5}, ["userId", "credits", "reason"]),
    ("k", {"userId": "ann", "credits": 1.5}, ["credits"]),
    ("k", {"userId": "ann", "credits": "5"}, ["credits"]),
    ("k", {"userId": "ann", "credits": -5}, ["credits"]),
    ("k", {"userId": "ann", "credits": 10**9 + 1}, ["credits"]),
    ("k", {"userId": "ann", "reason": "x" * 501}, ["reason"]),
    ("k", {"userId": "ann", "reason": "\ud800"}, ["reason"]),
    ("k", {"userId": "ann", "note": "x"}, ["note"]),
]


@pytest.mark.parametrize(("key", "changes", "fields"), BAD_GRANTS, ids=range(len(BAD_GRANTS)))
def test_a_bad_grant_names_every_field(
    grant_credits: Function,
    admin: Account,
    common_project: Project,
    key: str | None,
    changes: dict[str, Any],
    fields: list[str],
) -> None:
    """Every field at fault is named, the missing key among them, and nothing is written."""
    before = common_project.everything()
    sent = None if key is None else key.encode().decode("latin-1")
    error = error_of(grant(grant_credits, admin, sent, **changes))
    assert (error["code"], error["details"]["reason"]) == (400, "INVALID_REQUEST")
    assert fields_at_fault(error) == fields
    assert common_project.everything() == before


def test_a_balance_without_room_refuses_the_grant(
    grant_credits: Function, admin: Account, common_project: Project
) -> None:
    """A granted balance ends at 2^53 - 1: 400, and the balance stays."""
    user_id = common_project.add_user(2**53 - 3)
    error = error_of(grant(grant_credits, admin, f"much-{user_id}", userId=user_id))
    assert (error["code"], fields_at_fault(error)) == (400, ["credits"])
    assert common_project.balance(user_id) == 2**53 - 3


def test_a_grant_opens_a_deleted_account_anew(grant_credits: Function, admin: Account, common_project: Project) -> None:
    """From zero: the ledger first says what was lost; the user sees both, and the audit finds nothing wrong."""
    user_id = common_project.add_user(7)
    common_project.remove(f"users/{user_id}")
    assert grant(grant_credits, admin, f"anew-{user_id}", userId=user_id).json()["currentCredits"] == 5
    lost, granted = common_project.entries(user_id)
    assert (lost["type"], lost["credits"], lost["balanceAfter"], lost["reason"]) == (
        "revocation",
        7,
        0,
        "The account was deleted.",
    )
    assert (granted["balanceAfter"], granted["timestamp"]) == (5, lost["timestamp"])
    assert audit_of(common_project).of_user(user_id).violations == []
