"""How many sequential Firestore round trips each call costs, counted on the wire."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from assembly import assembled
from contract import order
from errors import GenerationFailed
from handlers import Call, Services, create_generation_request, get_user_credits
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
    """The balance and the page."""
    services = counted.services(0.0)
    call = Call(query={"userId": counted.project.add_user(10)})
    assert counted.cost(lambda: get_user_credits(call, services)) == ["BatchGetDocuments", "RunQuery"]
