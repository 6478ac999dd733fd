"""Who may call what, on every function, against the Auth emulator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.support.assembly import in_process
from tests.support.calls import InProcess
from tests.support.contract import error_of, order
from tests.support.identities import HOUR_SECONDS, Account, bearer, unsigned
from tests.support.projects import Project
from tests.support.servers import FunctionServer
from tests.support.shop import delivery

REQUIRED = {"REQUIRE_AUTH": "true"}


@dataclass(frozen=True)
class Operation:
    """A call that would succeed for the right caller."""

    function: str
    method: str
    body: Callable[[str], dict[str, Any]] = lambda user_id: {}
    query: Callable[[str], dict[str, str]] = lambda user_id: {}
    admins_only: bool = False


def _user_query(user_id: str) -> dict[str, str]:
    return {"userId": user_id}


OPERATIONS = [
    Operation("createGenerationRequest", "POST", body=order),
    Operation("quoteGeneration", "POST", body=order),
    Operation("cancelGenerationRequest", "POST", body=lambda user_id: {"generationRequestId": f"canceled-{user_id}"}),
    Operation("getUserCredits", "GET", query=_user_query),
    Operation("listGenerationRequests", "GET", query=_user_query),
    Operation("getGenerationRequest", "GET", query=lambda user_id: {"generationRequestId": f"of-{user_id}"}),
    Operation(
        "grantCredits",
        "POST",
        body=lambda user_id: {"userId": user_id, "credits": 5, "reason": "test"},
        admins_only=True,
    ),
    Operation(
        "revokeCredits",
        "POST",
        body=lambda user_id: {"userId": user_id, "credits": 5, "reason": "test"},
        admins_only=True,
    ),
    Operation("findUser", "GET", query=lambda user_id: {"email": f"{user_id}@example.com"}, admins_only=True),
    Operation("getWeeklyReport", "POST", admins_only=True),
    Operation("getWeeklyReport", "GET", admins_only=True),
    Operation("listWeeklyReports", "GET", admins_only=True),
    Operation("listWebhookDeliveries", "GET", admins_only=True),
    Operation("resendWebhookDelivery", "POST", body=lambda user_id: {"deliveryId": f"of-{user_id}"}, admins_only=True),
]


@dataclass(frozen=True)
class People:
    """Two users with a balance and a request each, and an admin."""

    project: Project
    ann: Account
    bob: Account
    admin: Account


@pytest.fixture(scope="session")
def people() -> People:
    project = Project.seeded()
    found = People(
        project,
        Account.new(project.id, "ann"),
        Account.new(project.id, "bob"),
        Account.new(project.id, "root", is_admin=True),
    )
    create = in_process(project).of("createGenerationRequest")
    for account in (found.ann, found.bob):
        project.add_user(10, account.user_id)
        bought = create.post(order(account.user_id)).json()["generationRequestId"]
        request = project.get(f"generationRequests/{bought}")
        project.put(f"generationRequests/of-{account.user_id}", request or {})
        canceled = {**(request or {}), "status": "canceled"}
        project.put(f"generationRequests/canceled-{account.user_id}", canceled)
        refund = {"type": "refund", "credits": 1, "balanceAfter": 10}
        project.put(f"users/{account.user_id}/transactions/canceled-{account.user_id}-refund", refund)
        project.put(f"webhookDeliveries/of-{account.user_id}", delivery())
    return found


@pytest.fixture(scope="session")
def api(people: People) -> InProcess:
    """Every function, each caller of which needs a token."""
    return in_process(people.project, **REQUIRED)


def call(api: InProcess, operation: Operation, user_id: str, headers: dict[str, str]) -> requests.Response:
    if operation.function in ("grantCredits", "revokeCredits"):
        headers = {**headers, "Idempotency-Key": "table"}
    body = operation.body(user_id) if operation.body(user_id) else None
    return api.of(operation.function).call(
        operation.method, json=body, params=operation.query(user_id), headers=headers
    )


STRANGERS: dict[str, Callable[[People], dict[str, str]]] = {
    "no token": lambda people: {},
    "no scheme": lambda people: {"Authorization": people.ann.token()},
    "another scheme": lambda people: {"Authorization": f"Basic {people.ann.token()}"},
    "an empty token": lambda people: {"Authorization": "Bearer "},
    "garbage": lambda people: bearer("garbage"),
    "three parts of garbage": lambda people: bearer("a.b.c"),
    "a payload that is not an object": lambda people: bearer(unsigned([1])),
    "deep nesting": lambda people: bearer("eyJhbGciOiJub25lIn0." + "W1tb" * 2_000 + "."),
    "expired": lambda people: people.ann.headers(age_seconds=HOUR_SECONDS + 60),
    "issued in the future": lambda people: people.ann.headers(age_seconds=-120),
    "an admin's, issued in the future": lambda people: people.admin.headers(age_seconds=-120),
    "no expiry": lambda people: people.ann.headers(exp=None),
    "an expiry that is not a number": lambda people: people.ann.headers(exp="later"),
    "no issue time": lambda people: people.ann.headers(iat=None),
    "an issue time that is not a number": lambda people: people.ann.headers(iat="now"),
    "another audience": lambda people: people.ann.headers(aud="somebody-else"),
    "another issuer": lambda people: people.ann.headers(iss="https://securetoken.google.com/somebody-else"),
    "a tenant's": lambda people: people.ann.headers(firebase={"tenant": "other", "sign_in_provider": "password"}),
    "an expiry beyond all numbers": lambda people: people.ann.headers(exp=10**400),
    "another project": lambda people: Account("demo-other", "ann").headers(),
    "an id that is a path": lambda people: bearer(Account(people.project.id, "ann/transactions/x").token()),
    "no account": lambda people: Account(people.project.id, "nobody").headers(),
    "a disabled account": lambda people: Account.new(people.project.id).disable().headers(),
    "a deleted account": lambda people: Account.new(people.project.id).delete().headers(),
    "a revoked token": lambda people: Account.new(people.project.id).revoke().headers(age_seconds=60),
    "a disabled admin": lambda people: Account.new(people.project.id, is_admin=True).disable().headers(),
    "a revoked admin": lambda people: Account.new(people.project.id, is_admin=True).revoke().headers(age_seconds=60),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_is_refused_everywhere(
    people: People, api: InProcess, stranger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What proves nothing gets 401 from every function, writes nothing and raises no alarm."""
    headers = STRANGERS[stranger](people)
    before = people.project.everything()
    for operation in OPERATIONS:
        response = call(api, operation, "ann", headers)
        error = error_of(response)
        assert (error["code"], error["status"]) == (401, "UNAUTHENTICATED"), (operation, response.text)
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert people.project.everything() == before
    assert "internal error" not in "".join(capsys.readouterr())


def test_another_users_account_is_refused_everywhere(people: People, api: InProcess) -> None:
    """A user who names somebody else, or asks for what only admins may do, gets 403, and nothing is written."""
    before = people.project.everything()
    for operation in OPERATIONS:
        error = error_of(call(api, operation, "bob", people.ann.headers()))
        assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED"), operation
    for claim in ("true", 1, {"admin": True}, [True]):
        for operation in OPERATIONS:
            error = error_of(call(api, operation, "bob", people.ann.headers(admin=claim)))
            assert error["code"] == 403, (operation, claim)
    assert people.project.everything() == before


def test_a_user_has_their_own_account_and_an_admin_everybodys(people: People, api: InProcess) -> None:
    """The right caller gets 200: the user in what is theirs, the admin everywhere."""
    for operation in OPERATIONS:
        own = call(api, operation, "ann", people.ann.headers())
        assert own.status_code == (403 if operation.admins_only else 200), (operation, own.text)
        by_admin = call(api, operation, "bob", people.admin.headers())
        assert by_admin.status_code == 200, (operation, by_admin.text)


def test_the_token_says_who_calls(people: People, api: InProcess) -> None:
    """Without a userId the token's own is meant, and what is bought is that user's."""
    headers = people.bob.headers()
    before = people.project.balance("bob")
    body = {name: value for name, value in order("x").items() if name != "userId"}
    assert api.of("createGenerationRequest").post(body, headers).status_code == 200
    assert people.project.balance("bob") == before - 1
    assert api.of("getUserCredits").get(headers).json()["currentCredits"] == before - 1


def test_an_unsigned_token_is_worthless_without_the_auth_emulator(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If FIREBASE_AUTH_EMULATOR_HOST is not set, the emulator's tokens get 401, before anybody is asked."""
    monkeypatch.delenv("FIREBASE_AUTH_EMULATOR_HOST")
    read = in_process(people.project, **REQUIRED).of("getUserCredits")
    for token in (people.ann.token(), people.admin.token(), "garbage"):
        response = read.get(bearer(token))
        assert (response.status_code, error_of(response)["status"]) == (401, "UNAUTHENTICATED")


def test_a_token_that_is_sent_counts_even_if_none_is_required(people: People) -> None:
    """In the demo project a bare call may name anybody, and a call with a token only its own user."""
    read = in_process(people.project).of("getUserCredits")
    assert read.get(userId="bob").status_code == 200
    assert read.get(people.ann.headers()).status_code == 200
    assert read.get(people.ann.headers(), userId="bob").status_code == 403
    assert read.get(bearer("garbage"), userId="bob").status_code == 401


def test_app_check_is_asked_for_if_it_is_required(people: People) -> None:
    """With REQUIRE_APP_CHECK a good ID token alone gets 401, and so does a forged App Check token."""
    read = in_process(people.project, REQUIRE_APP_CHECK="true", **REQUIRED).of("getUserCredits")
    forged = unsigned({"iss": "https://firebaseappcheck.googleapis.com/1", "aud": ["projects/1"]})
    for app_check in ({}, {"X-Firebase-AppCheck": "garbage"}, {"X-Firebase-AppCheck": forged}):
        response = read.get({**people.ann.headers(), **app_check})
        assert response.status_code == 401
        assert "App Check" in error_of(response)["message"]


def test_without_authentication_nothing_starts_outside_the_emulator(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUIRE_AUTH=false with real data: the function ends and says why."""
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST")
    monkeypatch.delenv("FIREBASE_AUTH_EMULATOR_HOST")
    with pytest.raises(AssertionError, match="REQUIRE_AUTH must be true outside the emulator"):
        FunctionServer("getUserCredits", people.project.id, REQUIRE_AUTH="false").ready()
