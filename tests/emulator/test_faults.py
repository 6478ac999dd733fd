"""Every round trip of every scenario, broken in every way; and four broken ledgers that this must catch."""

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import pytest
from google.cloud.firestore import Client

import faults
from budget import FAULT_STRIDE, STORMS
from database import Commit, Document
from faults import SCENARIOS, Breaker, Fault, Way
from ledger import GenerationRequest, Grant, Granted, Ledger, Reservation
from projects import Project

THREADS = 4
GENTLE_WAYS = [way for way in Way if not way.kills]
Case = TypeVar("Case")
Broken = dict[Any, list[str]]


@pytest.fixture(scope="module")
def projects() -> list[Project]:
    """A project for each thread, so that one case's sweep does not touch another's requests."""
    return [Project.seeded() for _ in range(THREADS)]


def broken_cases(projects: list[Project], cases: Sequence[Case], play: Callable[[Project, Case], list[str]]) -> Broken:
    """Plays every case, side by side, and tells which ended in broken books, and how."""

    def share(number: int) -> Broken:
        mine = cases[number :: len(projects)]
        return {case: problems for case in mine if (problems := play(projects[number], case))}

    with ThreadPoolExecutor(len(projects)) as threads:
        shares = threads.map(share, range(len(projects)))
        return {case: problems for broken in shares for case, problems in broken.items()}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_single_fault_breaks_the_books(
    projects: list[Project], scenario: str, record_property: Callable[[str, object], None]
) -> None:
    """Whatever breaks, wherever: the books hold, the client was told the truth, at most one image was paid for."""
    rpcs = range(1, faults.round_trips(projects[0], scenario) + 1)
    cases = [Fault(rpc, way) for rpc in rpcs for way in Way][::FAULT_STRIDE]
    broken = broken_cases(projects, cases, lambda project, fault: faults.broken_books(project, scenario, fault))
    record_property("figure", f"{scenario}: {len(cases)} faults tried, {len(broken)} books broken")
    assert not broken


def test_no_storm_of_faults_breaks_the_books(
    projects: list[Project], record_property: Callable[[str, object], None]
) -> None:
    """Random scenarios in which any of the first dozen round trips may break."""

    def weather(project: Project, seed: int) -> list[str]:
        chance = random.Random(seed)
        storm = {rpc: chance.choice(GENTLE_WAYS) for rpc in range(1, 13) if chance.random() < 0.4}
        case = faults.prepared(project, chance.choice([*SCENARIOS]))
        return faults.settled(case, [faults.act(case, Breaker(storm))])

    broken = broken_cases(projects, range(STORMS), weather)
    record_property("figure", f"storms: {STORMS} histories tried, {len(broken)} books broken")
    assert not broken


class CompletesWithoutPrecondition(Ledger):
    """Ends a request whatever became of it."""

    def complete(self, reservation: Reservation, image_url: str, within_seconds: float = 0.0) -> None:
        client: Client = self._db.client()
        client.document(reservation.document.path).update({"status": "completed", "imageUrl": image_url})


class RefundsUnderRandomIds(Ledger):
    """A refund that a replay could pay again."""

    def _refund(self, request_path: str, user_id: str, reason: str, due: Any) -> bool:
        run_transaction = self._db.run_transaction

        def with_random_ids(paths: Any, plan: Any, **options: Any) -> Any:
            def renamed(documents: Mapping[str, Document]) -> Any:
                step = plan(documents)
                if not isinstance(step, Commit):
                    return step
                return Commit([_renamed(write) for write in step.writes], step.answer)

            return run_transaction(paths, renamed, **options)

        self._db.run_transaction = with_random_ids  # type: ignore[assignment,method-assign]
        try:
            return super()._refund(request_path, user_id, reason, due)
        finally:
            self._db.run_transaction = run_transaction  # type: ignore[method-assign]


def _renamed(write: Any) -> Any:
    return replace(write, path=f"{write.path}{random.random()}") if write.path.endswith("-refund") else write


class ReservesWithoutLease(Ledger):
    """A reservation that nobody will ever release."""

    def _reservation(
        self, user: Document, in_flight: Document, request_path: str, request: GenerationRequest, attempt_id: str
    ) -> Any:
        commit = super()._reservation(user, in_flight, request_path, request, attempt_id)
        for write in commit.writes:
            write.data.pop("leaseExpiresAt", None)  # type: ignore[attr-defined]

        def reserved(versions: Mapping[str, datetime]) -> Any:
            return commit.answer(versions)

        return Commit(commit.writes, reserved)


class GrantsAnew(Ledger):
    """A grant that a retry repeats."""

    def grant(self, grant: Grant, idempotency_key: str) -> Granted:
        return super().grant(grant, f"{idempotency_key}{random.random()}")


@pytest.mark.parametrize(
    ("ledger_type", "scenario", "fault", "sign"),
    [
        (CompletesWithoutPrecondition, "late finish", Fault(4, Way.REFUSED), "refund"),
        (RefundsUnderRandomIds, "failure", Fault(1, Way.REFUSED), "has no entry"),
        (GrantsAnew, "grant", Fault(2, Way.LOST_APPLIED), "the balance is 25"),
        (ReservesWithoutLease, "success", Fault(5, Way.KILLED_AFTER), "pending without a lease"),
    ],
)
def test_a_broken_ledger_is_caught(
    projects: list[Project], ledger_type: type[Ledger], scenario: str, fault: Fault, sign: str
) -> None:
    """The harness finds a completion without precondition, a random refund id, a repeated grant, a missing lease."""
    problems = faults.broken_books(projects[0], scenario, fault, ledger_type)
    assert any(sign in problem for problem in problems), problems
    assert not faults.broken_books(projects[0], scenario, fault)
