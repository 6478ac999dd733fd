"""Who may call what, on every endpoint, against the Auth emulator."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from contract import error_of, order
from identities import HOUR_SECONDS, Account, bearer, unsigned
from projects import Project
from servers import FunctionServer

REQUIRED = {"REQUIRE_AUTH": "true"}


@dataclass(frozen=True)
class Endpoint:
    """A call that would succeed for the right caller."""

    target: str
    method: str
    body: Callable[[str], dict[str, Any]] = lambda user_id: {}
    query: Callable[[str], dict[str, str]] = lambda user_id: {}
    admins_only: bool = False


def _user_query(user_id: str) -> dict[str, str]:
    return {"userId": user_id}


ENDPOINTS = [
    Endpoint("createGenerationRequest", "POST", body=order),
    Endpoint("quoteGeneration", "POST", body=order),
    Endpoint("getUserCredits", "GET", query=_user_query),
    Endpoint("listGenerationRequests", "GET", query=_user_query),
    Endpoint("getGenerationRequest", "GET", query=lambda user_id: {"generationRequestId": f"of-{user_id}"}),
    Endpoint(
        "grantCredits",
        "POST",
        body=lambda user_id: {"userId": user_id, "credits": 5, "reason": "test"},
        admins_only=True,
    ),
    Endpoint("getWeeklyReport", "POST", admins_only=True),
    Endpoint("getWeeklyReport", "GET", admins_only=True),
]


@dataclass(frozen=True)
class People:
    project: Project
    ann: Account
    bob: Account
    admin: Account


@pytest.fixture(scope="module")
def people(shared_project: Project) -> People:
    found = People(
        shared_project,
        Account.new(shared_project.id, "ann"),
        Account.new(shared_project.id, "bob"),
        Account.new(shared_project.id, "root", is_admin=True),
    )
    for account in (found.ann, found.bob):
        add_books(shared_project, account.user_id)
    return found


def add_books(project: Project, user_id: str) -> None:
    """A balance and one completed request."""
    project.add_user(10, user_id)
    with FunctionServer("createGenerationRequest", project.id) as server:
        bought = server.post(order(user_id)).json()["generationRequestId"]
    request = project.get(f"generationRequests/{bought}")
    project.client.document(f"generationRequests/of-{user_id}").set(request or {})


@pytest.fixture(scope="module")
def servers(shared_project: Project) -> Iterator[dict[str, FunctionServer]]:
    """Every function, each caller of which needs a token."""
    with ExitStack() as stack:
        started = {
            target: FunctionServer(target, shared_project.id, **REQUIRED)
            for target in {endpoint.target for endpoint in ENDPOINTS}
        }
        yield {target: stack.enter_context(server) for target, server in started.items()}


def call(server: FunctionServer, endpoint: Endpoint, user_id: str, headers: dict[str, str]) -> requests.Response:
    if endpoint.target == "grantCredits":
        headers = {**headers, "Idempotency-Key": "table"}
    body = endpoint.body(user_id) if endpoint.method == "POST" else None
    return requests.request(
        endpoint.method, server.url, json=body, params=endpoint.query(user_id), headers=headers, timeout=60
    )


STRANGERS: dict[str, Callable[[People], dict[str, str]]] = {
    "no token": lambda people: {},
    "no scheme": lambda people: {"Authorization": people.ann.token()},
    "another scheme": lambda people: {"Authorization": f"Basic {people.ann.token()}"},
    "an empty token": lambda people: {"Authorization": "Bearer "},
    "garbage": lambda people: bearer("garbage"),
    "three parts of garbage": lambda people: bearer("a.b.c"),
    "a payload that is no object": lambda people: bearer(unsigned([1])),
    "deep nesting": lambda people: bearer("eyJhbGciOiJub25lIn0." + "W1tb" * 2_000 + "."),
    "expired": lambda people: people.ann.headers(age_seconds=HOUR_SECONDS + 60),
    "no expiry": lambda people: people.ann.headers(exp=None),
    "an expiry that is no number": lambda people: people.ann.headers(exp="later"),
    "an issue time that is no number": lambda people: people.ann.headers(iat="now"),
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
def test_a_stranger_is_refused_everywhere(people: People, servers: dict[str, FunctionServer], stranger: str) -> None:
    """Whatever proves nothing gets 401 (an unusable id 401 or 403) in every endpoint, and nothing is written."""
    headers = STRANGERS[stranger](people)
    before = people.project.everything()
    for endpoint in ENDPOINTS:
        response = call(servers[endpoint.target], endpoint, "ann", headers)
        error = error_of(response)
        assert (error["code"], error["status"]) == (401, "UNAUTHENTICATED"), (endpoint, response.text)
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert people.project.everything() == before
    assert not any("internal error" in server.log() for server in servers.values())


def test_another_users_account_is_refused_everywhere(people: People, servers: dict[str, FunctionServer]) -> None:
    """A user who names somebody else, or asks for what only admins may do, gets 403, and nothing is written."""
    before = people.project.everything()
    for endpoint in ENDPOINTS:
        error = error_of(call(servers[endpoint.target], endpoint, "bob", people.ann.headers()))
        assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED"), endpoint
    for claim in ("true", 1, {"admin": True}, [True]):
        for endpoint in ENDPOINTS:
            error = error_of(call(servers[endpoint.target], endpoint, "bob", people.ann.headers(admin=claim)))
            assert error["code"] == 403, (endpoint, claim)
    assert people.project.everything() == before


def test_a_user_has_their_own_account_and_an_admin_everybodys(
    people: People, servers: dict[str, FunctionServer]
) -> None:
    """The right caller gets 200: the user in what is theirs, the admin everywhere."""
    for endpoint in ENDPOINTS:
        own = call(servers[endpoint.target], endpoint, "ann", people.ann.headers())
        assert own.status_code == (403 if endpoint.admins_only else 200), (endpoint, own.text)
        by_admin = call(servers[endpoint.target], endpoint, "bob", people.admin.headers())
        assert by_admin.status_code == 200, (endpoint, by_admin.text)


def test_the_token_says_who_calls(people: People, servers: dict[str, FunctionServer]) -> None:
    """Without a userId the token's own is meant, and what is bought is that user's."""
    headers = people.bob.headers()
    before = people.project.balance("bob")
    body = {name: value for name, value in order("x").items() if name != "userId"}
    assert servers["createGenerationRequest"].post(body, headers=headers).status_code == 200
    assert people.project.balance("bob") == before - 1
    statement = requests.get(servers["getUserCredits"].url, headers=headers, timeout=60).json()
    assert statement["currentCredits"] == before - 1


def test_an_unsigned_token_is_worthless_without_the_auth_emulator(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where FIREBASE_AUTH_EMULATOR_HOST is not set, the emulator's tokens get 401, before anybody is asked."""
    monkeypatch.delenv("FIREBASE_AUTH_EMULATOR_HOST")
    with FunctionServer("getUserCredits", people.project.id, **REQUIRED) as server:
        for token in (people.ann.token(), people.admin.token(), "garbage"):
            response = requests.get(server.url, headers=bearer(token), timeout=60)
            assert (response.status_code, error_of(response)["status"]) == (401, "UNAUTHENTICATED")


def test_where_no_token_is_required_one_that_is_sent_counts(people: People) -> None:
    """In the demo project a bare call may name anybody, and a call with a token only its own user."""
    with FunctionServer("getUserCredits", people.project.id) as server:
        assert server.get(userId="bob").status_code == 200
        own = requests.get(server.url, headers=people.ann.headers(), timeout=60)
        other = requests.get(server.url, params={"userId": "bob"}, headers=people.ann.headers(), timeout=60)
        bad = requests.get(server.url, params={"userId": "bob"}, headers=bearer("garbage"), timeout=60)
    assert (own.status_code, other.status_code, bad.status_code) == (200, 403, 401)


def test_app_check_is_asked_for_where_it_is_required(people: People) -> None:
    """With REQUIRE_APP_CHECK a good ID token alone gets 401, and so does a forged App Check token."""
    with FunctionServer("getUserCredits", people.project.id, REQUIRE_APP_CHECK="true", **REQUIRED) as server:
        forged = unsigned({"iss": "https://firebaseappcheck.googleapis.com/1", "aud": ["projects/1"]})
        for app_check in ({}, {"X-Firebase-AppCheck": "garbage"}, {"X-Firebase-AppCheck": forged}):
            response = requests.get(server.url, headers={**people.ann.headers(), **app_check}, timeout=60)
            assert response.status_code == 401
            assert "App Check" in error_of(response)["message"]


def test_without_authentication_nothing_starts_outside_the_emulator(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUIRE_AUTH=false with real books: the function ends and says why."""
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST")
    monkeypatch.delenv("FIREBASE_AUTH_EMULATOR_HOST")
    with pytest.raises(AssertionError, match="REQUIRE_AUTH must be true outside the emulator"):
        FunctionServer("getUserCredits", people.project.id, REQUIRE_AUTH="false").ready()
