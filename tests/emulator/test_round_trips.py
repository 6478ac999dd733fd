"""How many sequential Firestore round trips each call costs, counted on the wire."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from assembly import assembled
from auth import FirebaseTokens, Gate
from contract import ORDER, order
from endpoint import Boundary, Route
from errors import GenerationFailed
from handlers import (
    Call,
    Services,
    create_generation_request,
    get_generation_request,
    get_user_credits,
    grant_credits,
    list_generation_requests,
    quote_generation,
)
from identities import Account
from projects import Project
from rpcs import counting_client


@dataclass(frozen=True)
class Counted:
    project: Project
    sent: list[str]
    services: Callable[[float], Services]

    def cost(self, act: Callable[[], object]) -> list[str]:
        before = len(self.sent)
        act()
        return self.sent[before:]


@pytest.fixture
def counted(project: Project) -> Counted:
    client, sent = counting_client(project.id, os.environ["FIRESTORE_EMULATOR_HOST"])
    return Counted(project, sent, lambda failure_rate: assembled(lambda: client, failure_rate))


def test_a_success_costs_one_read_and_two_commits(counted: Counted) -> None:
    """With the catalog cached: read, reserve, complete."""
    services = counted.services(0.0)
    body = order(counted.project.add_user(10))
    create_generation_request(Call(body), services)
    cost = counted.cost(lambda: create_generation_request(Call(body), services))
    assert cost == ["BatchGetDocuments", "Commit", "Commit"]


def test_a_success_with_a_token_costs_the_same(counted: Counted) -> None:
    """Who calls is asked of Firebase Authentication; Firestore is asked no more often than without."""
    buyer = Account.new(counted.project.id)
    counted.project.add_user(10, buyer.user_id)
    services = counted.services(0.0)
    gate = Gate(FirebaseTokens(counted.project.id, timeout_seconds=10), require_auth=True, require_app_check=False)
    boundary = Boundary(gate, [], counted.project.id, lambda: 0.0)
    route = Route({"POST": partial(create_generation_request, services=services)}, reads_body=True)

    def buy() -> None:
        environ = EnvironBuilder(method="POST", json=ORDER, headers=Headers(buyer.headers())).get_environ()
        assert boundary.serve(Request(environ), route).status_code == 200

    buy()
    assert counted.cost(buy) == ["BatchGetDocuments", "Commit", "Commit"]


def test_a_grant_costs_one_read_and_one_commit(counted: Counted) -> None:
    """Read, grant; a replay only reads."""
    services = counted.services(0.0)
    call = Call({"userId": counted.project.add_user(1), "credits": 5, "reason": "test"}, idempotency_key="key")
    assert counted.cost(lambda: grant_credits(call, services)) == ["BatchGetDocuments", "Commit"]
    assert counted.cost(lambda: grant_credits(call, services)) == ["BatchGetDocuments"]


def test_a_failure_costs_two_reads_and_two_commits(counted: Counted) -> None:
    """With the catalog cached: read, reserve, read, refund."""
    services = counted.services(1.0)
    body = order(counted.project.add_user(10))

    def fail() -> None:
        with pytest.raises(GenerationFailed):
            create_generation_request(Call(body), services)

    fail()
    assert counted.cost(fail) == ["BatchGetDocuments", "Commit", "BatchGetDocuments", "Commit"]


def test_a_replay_costs_one_read(counted: Counted) -> None:
    """The stored answer comes with the first read."""
    services = counted.services(0.0)
    call = Call(order(counted.project.add_user(10)), idempotency_key="key")
    create_generation_request(call, services)
    assert counted.cost(lambda: create_generation_request(call, services)) == ["BatchGetDocuments"]


def test_a_statement_costs_two_reads(counted: Counted) -> None:
    """The balance and the page, the first as any other; a list of requests likewise, a quote and one request one."""
    services = counted.services(0.0)
    user_id = counted.project.add_user(10)
    bought = [create_generation_request(Call(order(user_id)), services).body for _ in range(3)]
    query = {"userId": user_id, "pageSize": "1"}
    for read in (get_user_credits, list_generation_requests):
        token = read(Call(query=query), services).body["nextPageToken"]
        for call in (Call(query=query), Call(query={**query, "pageToken": token})):
            assert counted.cost(partial(read, call, services)) == ["BatchGetDocuments", "RunQuery"]
    one = Call(query={"generationRequestId": bought[0]["generationRequestId"]})
    assert counted.cost(lambda: get_generation_request(one, services)) == ["BatchGetDocuments"]
    assert counted.cost(lambda: quote_generation(Call(order(user_id)), services)) == ["BatchGetDocuments"]
