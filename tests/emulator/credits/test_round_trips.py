"""How many sequential Firestore round trips each call costs, counted on the wire."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

import handlers
from tests.support.assembly import in_process
from tests.support.calls import Function, InProcess
from tests.support.contract import ORDER, order
from tests.support.identities import Account
from tests.support.projects import Project
from tests.support.rpcs import counting_connection

READ, QUERY, COMMIT = "BatchGetDocuments", "RunQuery", "Commit"


@dataclass
class Counted:
    """A project, and every round trip of the process that serves it."""

    project: Project
    sent: list[str] = field(default_factory=list)

    def api(self, **changes: str) -> InProcess:
        connection, self.sent = counting_connection(self.project.id, os.environ["FIRESTORE_EMULATOR_HOST"])
        return in_process(self.project, connection, **changes)

    def cost(self, act: Callable[[], Any], status: int = 200) -> list[str]:
        before = len(self.sent)
        assert act().status_code == status
        return self.sent[before:]


@pytest.fixture
def counted(project: Project) -> Counted:
    return Counted(project)


def buying(api: InProcess) -> Function:
    return api.of("createGenerationRequest")


def test_the_first_purchase_of_a_process_reads_the_catalog_too(counted: Counted) -> None:
    """Styles, colors and sizes, asked for side by side."""
    create = buying(counted.api())
    body = order(counted.project.add_user(10))
    assert counted.cost(lambda: create.post(body)) == [QUERY, QUERY, QUERY, READ, COMMIT, COMMIT]


def test_a_purchase_costs_one_read_and_two_commits(counted: Counted) -> None:
    """With the catalog cached: read, reserve, complete."""
    create = buying(counted.api())
    body = order(counted.project.add_user(10))
    create.post(body)
    assert counted.cost(lambda: create.post(body)) == [READ, COMMIT, COMMIT]


def test_an_order_costs_one_read_and_one_commit(counted: Counted) -> None:
    """Read, reserve, as in a synchronous purchase. Its worker: whose it is, read, claim, complete."""
    api = counted.api()
    create = buying(api)
    body, wish = order(counted.project.add_user(10)), {"Prefer": "respond-async"}
    create.post(body, wish)
    asked: list[str] = []

    def ask() -> requests.Response:
        answer = create.post(body, wish)
        asked.append(answer.json()["generationRequestId"])
        return answer

    assert counted.cost(ask, status=202) == [READ, COMMIT]
    counted.sent.clear()
    handlers.generate_image(asked[0], api.endpoint.services)
    assert counted.sent == [READ, READ, COMMIT, COMMIT]


def test_a_cancellation_costs_two_reads_and_one_commit(counted: Counted) -> None:
    """One read tells whose request it is, one is the refund's, which is then committed."""
    api = counted.api()
    user_id = counted.project.add_user(10)
    asked = buying(api).post(order(user_id), {"Prefer": "respond-async"}).json()
    body = {"generationRequestId": asked["generationRequestId"]}
    assert counted.cost(lambda: api.of("cancelGenerationRequest").post(body)) == [READ, READ, COMMIT]


def test_a_purchase_with_a_token_costs_the_same(counted: Counted) -> None:
    """Who calls is asked of Firebase Authentication; Firestore is asked no more often than without."""
    buyer = Account.new(counted.project.id)
    counted.project.add_user(10, buyer.user_id)
    create = buying(counted.api(REQUIRE_AUTH="true"))
    create.post(ORDER, buyer.headers())
    assert counted.cost(lambda: create.post(ORDER, buyer.headers())) == [READ, COMMIT, COMMIT]


def test_a_purchase_that_opens_the_account_costs_one_query_more(counted: Counted) -> None:
    """Whether the user ever had a balance is asked only if there is none."""
    buyer = Account.new(counted.project.id)
    create = buying(counted.api(REQUIRE_AUTH="true", SIGNUP_CREDITS="5"))
    create.post(ORDER, Account.new(counted.project.id).headers())
    assert counted.cost(lambda: create.post(ORDER, buyer.headers())) == [READ, QUERY, COMMIT, COMMIT]
    assert counted.cost(lambda: create.post(ORDER, buyer.headers())) == [READ, COMMIT, COMMIT]


def test_a_grant_costs_one_read_and_one_commit(counted: Counted) -> None:
    """Read, grant; a replay only reads."""
    grant = counted.api().of("grantCredits")
    body = {"userId": counted.project.add_user(1), "credits": 5, "reason": "test"}
    assert counted.cost(lambda: grant.post(body, {"Idempotency-Key": "key"})) == [READ, COMMIT]
    assert counted.cost(lambda: grant.post(body, {"Idempotency-Key": "key"})) == [READ]


def test_a_failure_costs_two_reads_and_two_commits(counted: Counted) -> None:
    """With the catalog cached: read, reserve, read, refund."""
    create = buying(counted.api(AI_FAILURE_RATE="1"))
    body = order(counted.project.add_user(10))
    create.post(body)
    assert counted.cost(lambda: create.post(body), status=500) == [READ, COMMIT, READ, COMMIT]


def test_a_replay_costs_one_read(counted: Counted) -> None:
    """The stored answer comes with the first read."""
    create = buying(counted.api())
    body = order(counted.project.add_user(10))
    create.post(body, {"Idempotency-Key": "key"})
    assert counted.cost(lambda: create.post(body, {"Idempotency-Key": "key"})) == [READ]


def test_a_page_costs_two_round_trips(counted: Counted) -> None:
    """The balance and the page, on the first page and the next; a quote and one request cost one."""
    api = counted.api()
    user_id = counted.project.add_user(10)
    bought = [buying(api).post(order(user_id)).json()["generationRequestId"] for _ in range(3)]
    query = {"userId": user_id, "pageSize": "1"}
    for read in (api.of("getUserCredits"), api.of("listGenerationRequests")):
        token = read.get(**query).json()["nextPageToken"]
        assert counted.cost(lambda: read.get(**query)) == [READ, QUERY]  # noqa: B023 - called at once
        assert counted.cost(lambda: read.get(**query, pageToken=token)) == [READ, QUERY]  # noqa: B023
    one, quote = api.of("getGenerationRequest"), api.of("quoteGeneration")
    assert counted.cost(lambda: one.get(generationRequestId=bought[0])) == [READ]
    assert counted.cost(lambda: quote.post(order(user_id))) == [READ]
