"""Credits in: grantCredits and the credits of a first call, over HTTP."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from assembly import audits_of
from contract import ORDER, error_of
from identities import Account
from projects import Project
from servers import FunctionServer

PROCESSES = 2
CALLERS = 20
REQUIRED = {"REQUIRE_AUTH": "true", "SIGNUP_CREDITS": "5"}


@pytest.fixture(scope="module")
def granting(shared_project: Project) -> Iterator[list[FunctionServer]]:
    """grantCredits, twice: two processes on one database."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(FunctionServer("grantCredits", shared_project.id, **REQUIRED)) for _ in range(PROCESSES)
        ]


@pytest.fixture(scope="module")
def admin(shared_project: Project) -> Account:
    return Account.new(shared_project.id, "root", is_admin=True)


def grant(server: FunctionServer, admin: Account, key: str | None, **body: Any) -> requests.Response:
    headers = admin.headers() | ({} if key is None else {"Idempotency-Key": key})
    return server.post({"credits": 5, "reason": "order 7", **body}, headers=headers)


def test_a_grant_adds_credits_and_says_who_gave_them(
    granting: list[FunctionServer], admin: Account, shared_project: Project
) -> None:
    """Balance, ledger entry and answer say the same, for a user with a balance and for a new one."""
    for user_id, opening in ((shared_project.add_user(10), 10), ("brand-new", 0)):
        response = grant(granting[0], admin, f"key-{user_id}", userId=user_id)
        assert response.status_code == 200, response.text
        [entry] = shared_project.entries(user_id)
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
            "grantedBy": "root",
            "reason": "order 7",
        }
        assert shared_project.balance(user_id) == opening + 5
        assert audits_of(shared_project).of_user(user_id) == []


def test_twenty_grants_with_one_key_are_one(
    granting: list[FunctionServer], admin: Account, shared_project: Project
) -> None:
    """20 at once over two processes: all get the same answer, one of them first-hand, and the credits come once."""
    user_id = shared_project.add_user(1)
    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(
            callers.map(lambda n: grant(granting[n % PROCESSES], admin, "once", userId=user_id), range(CALLERS))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == CALLERS - 1
    assert shared_project.balance(user_id) == 6
    assert len(shared_project.entries(user_id)) == 1
    assert audits_of(shared_project).of_user(user_id) == []


def test_a_key_is_for_one_grant_only(granting: list[FunctionServer], admin: Account, shared_project: Project) -> None:
    """Another user, amount or reason under the same key gets 422; another admin's same key is another grant."""
    ann, bob = shared_project.add_user(1), shared_project.add_user(1)
    assert grant(granting[0], admin, "mine", userId=ann).status_code == 200
    for changes in ({"userId": bob}, {"userId": ann, "credits": 6}, {"userId": ann, "reason": "other"}):
        error = error_of(grant(granting[0], admin, "mine", **changes))
        assert (error["code"], error["details"]["reason"]) == (422, "IDEMPOTENCY_MISMATCH")
    assert (shared_project.balance(ann), shared_project.balance(bob)) == (6, 1)
    second = Account.new(shared_project.id, is_admin=True)
    assert grant(granting[0], second, "mine", userId=bob).status_code == 200
    assert shared_project.balance(bob) == 6


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
]


@pytest.mark.parametrize(("key", "changes", "fields"), BAD_GRANTS, ids=range(len(BAD_GRANTS)))
def test_a_bad_grant_names_every_field(
    granting: list[FunctionServer],
    admin: Account,
    shared_project: Project,
    key: str | None,
    changes: dict[str, Any],
    fields: list[str],
) -> None:
    """Every field at fault is named, the missing key among them, and nothing is written."""
    before = shared_project.everything()
    sent = None if key is None else key.encode().decode("latin-1")
    error = error_of(grant(granting[0], admin, sent, **changes))
    assert (error["code"], error["details"]["reason"]) == (400, "INVALID_REQUEST")
    assert [problem["field"] for problem in error["details"]["fields"]] == fields
    assert shared_project.everything() == before


def test_a_balance_without_room_refuses_the_grant(
    granting: list[FunctionServer], admin: Account, shared_project: Project
) -> None:
    """A granted balance ends at 2^53 - 1: 400, and the balance stays."""
    user_id = shared_project.add_user(2**53 - 3)
    error = error_of(grant(granting[0], admin, "much", userId=user_id))
    assert (error["code"], error["details"]["fields"][0]["field"]) == (400, "credits")
    assert shared_project.balance(user_id) == 2**53 - 3


def test_a_deleted_balance_is_not_begun_anew(
    granting: list[FunctionServer], admin: Account, shared_project: Project
) -> None:
    """Where a ledger is left of a user, a grant would start a second one in it: 500, and nothing is written."""
    user_id = shared_project.add_user(1)
    assert grant(granting[0], admin, f"first-{user_id}", userId=user_id).status_code == 200
    shared_project.client.document(f"users/{user_id}").delete()
    before = shared_project.everything()
    assert error_of(grant(granting[0], admin, f"second-{user_id}", userId=user_id))["code"] == 500
    assert shared_project.everything() == before


def test_twenty_first_calls_open_one_account(shared_project: Project) -> None:
    """20 calls at once of a new user, buying and reading in two processes each: one grant of 5, and the books hold."""
    newcomer = Account.new(shared_project.id)
    targets = ("createGenerationRequest", "getUserCredits") * PROCESSES
    with ExitStack() as stack:
        servers = [stack.enter_context(FunctionServer(target, shared_project.id, **REQUIRED)) for target in targets]

        def call(number: int) -> int:
            server = servers[number % len(servers)]
            method, body = ("POST", ORDER) if server.target == "createGenerationRequest" else ("GET", None)
            return requests.request(method, server.url, json=body, headers=newcomer.headers(), timeout=60).status_code

        with ThreadPoolExecutor(CALLERS) as callers:
            statuses = list(callers.map(call, range(CALLERS)))
    # Ten readers, and ten buyers with credits for five.
    assert sorted(statuses) == [200] * 15 + [400] * 5
    entries = shared_project.entries(newcomer.user_id)
    grants = [entry for entry in entries if entry["type"] == "grant"]
    assert [(entry["id"], entry["credits"], entry["balanceAfter"]) for entry in grants] == [("signup-grant", 5, 5)]
    assert shared_project.balance(newcomer.user_id) == 0
    assert audits_of(shared_project).of_user(newcomer.user_id) == []


@pytest.mark.parametrize("target", ["getUserCredits", "listGenerationRequests"])
def test_only_a_users_own_call_opens_the_account(shared_project: Project, admin: Account, target: str) -> None:
    """An admin who looks up an unknown user gets 404 and opens nothing; the user's own call does, and only once."""
    newcomer = Account.new(shared_project.id)
    with FunctionServer(target, shared_project.id, **REQUIRED) as server:
        looked_up = requests.get(server.url, params={"userId": newcomer.user_id}, headers=admin.headers(), timeout=60)
        assert error_of(looked_up)["message"] == "User not found."
        assert shared_project.balance(newcomer.user_id) is None
        assert requests.get(server.url, headers=newcomer.headers(), timeout=60).status_code == 200
        assert shared_project.balance(newcomer.user_id) == 5
        shared_project.client.document(f"users/{newcomer.user_id}").delete()
        again = requests.get(server.url, headers=newcomer.headers(), timeout=60)
    assert error_of(again)["message"] == "User not found."


def test_without_sign_up_credits_an_unknown_user_is_not_found(shared_project: Project) -> None:
    """SIGNUP_CREDITS=0, the default: 404, and nothing is written."""
    newcomer = Account.new(shared_project.id)
    with FunctionServer("getUserCredits", shared_project.id, REQUIRE_AUTH="true") as server:
        response = requests.get(server.url, headers=newcomer.headers(), timeout=60)
    assert error_of(response)["message"] == "User not found."
    assert shared_project.balance(newcomer.user_id) is None
