"""The round trips of every scenario, broken in every way; and broken ledgers that this must catch."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar, cast

import pytest

from credits.grants import Granted, Grants
from credits.ledger import Ledger
from credits.orders import Order
from credits.reservations import Reservation
from store import NO_DEADLINE, Commit, Deadline, Document, QueryFirst, Store, Write
from tests.support import faults
from tests.support.budget import FAULT_STRIDE, STORMS
from tests.support.faults import SCENARIOS, Breaker, Fault, Way
from tests.support.files import Bucket, bucket_server
from tests.support.projects import Project

THREADS = 4
GENTLE_WAYS = [way for way in Way if not way.kills]
Case = TypeVar("Case")
Broken = dict[Any, list[str]]
SCENARIO_RPCS = {
    "success": ["RunQuery", "RunQuery", "RunQuery", "BatchGetDocuments", "Commit", "Commit"],
    "picture": ["RunQuery", "RunQuery", "RunQuery", "BatchGetDocuments", "Commit", "Upload", "Commit"],
    "picture, release": [
        *("BatchGetDocuments", "RunQuery", "BatchGetDocuments", "Commit"),
        *("BatchGetDocuments", "RunQuery", "BatchGetDocuments", "RunQuery"),
        *("RunQuery", "Delete"),
    ],
    "order": [
        *("RunQuery", "RunQuery", "RunQuery", "BatchGetDocuments", "Commit", "Enqueue"),
        *("BatchGetDocuments", "BatchGetDocuments", "Commit", "Commit"),
    ],
    "first call": ["RunQuery", "RunQuery", "RunQuery", "BatchGetDocuments", "RunQuery", "Commit", "Commit"],
}


@pytest.fixture
def projects() -> list[Project]:
    """A project for each thread, so that one case's sweep does not touch another's requests.

    They are new for each scenario: the more requests a project has, the longer the emulator takes for each query.
    """
    return [Project.seeded() for _ in range(THREADS)]


@pytest.fixture(scope="session")
def bucket() -> Iterator[Bucket]:
    """Where the scenarios with pictures keep them; each case has a user of its own."""
    with bucket_server() as started:
        yield started


def broken_cases(projects: list[Project], cases: Sequence[Case], play: Callable[[Project, Case], list[str]]) -> Broken:
    """Plays every case, side by side, and tells which ended with an inconsistent ledger, and how."""

    def share(number: int) -> Broken:
        mine = cases[number :: len(projects)]
        return {case: problems for case in mine if (problems := play(projects[number], case))}

    with ThreadPoolExecutor(len(projects)) as threads:
        shares = threads.map(share, range(len(projects)))
        return {case: problems for broken in shares for case, problems in broken.items()}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_single_fault_makes_the_ledger_inconsistent(
    projects: list[Project], bucket: Bucket, scenario: str, record_property: Callable[[str, object], None]
) -> None:
    """Each round trip, broken in each way: the client was told the truth, and at most one image was paid for."""
    rpcs = faults.round_trips(projects[0], scenario, bucket)
    assert rpcs == SCENARIO_RPCS.get(scenario, rpcs)
    faults_of_all = [Fault(rpc, way) for rpc in range(1, len(rpcs) + 1) for way in SCENARIOS[scenario].ways]
    # The stride has no divisor in common with the numbers of ways, so each way is tried; scenarios begin differently.
    cases = faults_of_all[[*SCENARIOS].index(scenario) % FAULT_STRIDE :: FAULT_STRIDE]

    def play(project: Project, fault: Fault) -> list[str]:
        return faults.problems_after(faults.prepared(project, scenario, bucket), fault)

    broken = broken_cases(projects, cases, play)
    tried = f"{len(cases)} of {len(faults_of_all)} faults tried"
    record_property("figure", f"faults, {scenario}: {tried}, {len(broken)} ledgers inconsistent")
    assert not broken


def test_no_storm_of_faults_makes_the_ledger_inconsistent(
    projects: list[Project], bucket: Bucket, record_property: Callable[[str, object], None]
) -> None:
    """Random scenarios in which any of the first dozen round trips may break."""

    def weather(project: Project, seed: int) -> list[str]:
        chance = random.Random(seed)
        storm = {rpc: chance.choice(GENTLE_WAYS) for rpc in range(1, 13) if chance.random() < 0.4}
        case = faults.prepared(project, chance.choice([*SCENARIOS]), bucket)
        breaker = Breaker(case.cancel_elsewhere, storm)
        return faults.problems_when_settled(case, [faults.act(case, breaker), *breaker.told])

    broken = broken_cases(projects, range(STORMS), weather)
    record_property("figure", f"storms: {STORMS} histories tried, {len(broken)} ledgers inconsistent")
    assert not broken


class Altered:
    """A store whose commits are altered on their way."""

    def __init__(self, store: Store, alter: Callable[[Write], Write]) -> None:
        self._store = store
        self._alter = alter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def transact(self, paths: Sequence[str], plan: Any, *args: Any, **options: Any) -> Any:
        return self._store.transact(paths, lambda read: self._altered(plan(read)), *args, **options)

    def _altered(self, decision: Any) -> Any:
        if isinstance(decision, QueryFirst):
            return QueryFirst(decision.query, lambda found: self._altered(decision.then(found)))
        if isinstance(decision, Commit):
            return Commit([self._alter(write) for write in decision.writes], decision.answer)
        return decision


class RefundsUnderRandomIds(Ledger):
    """A refund that a replay could pay again."""

    def __init__(self, store: Store, *args: Any) -> None:
        super().__init__(cast(Store, Altered(store, _under_a_random_id)), *args)


def _under_a_random_id(write: Write) -> Write:
    return replace(write, path=f"{write.path}{random.random()}") if write.path.endswith("-refund") else write


class ReservesWithoutLease(Ledger):
    """A reservation that nobody will ever release."""

    def __init__(self, store: Store, *args: Any) -> None:
        super().__init__(cast(Store, Altered(store, _without_lease)), *args)


def _without_lease(write: Write) -> Write:
    return replace(write, data={name: value for name, value in write.data.items() if name != "leaseExpiresAt"})


class ForgetsPictures(Ledger):
    """A failed request that does not tell that it may have left a picture."""

    def __init__(self, store: Store, *args: Any) -> None:
        super().__init__(cast(Store, Altered(store, _without_mark)), *args)


def _without_mark(write: Write) -> Write:
    return replace(write, data={name: value for name, value in write.data.items() if name != "pictureToDelete"})


class CompletesWithoutPrecondition(Ledger):
    """Ends a request that was refunded already."""

    def complete(self, reservation: Reservation, image_url: str, deadline: Deadline = NO_DEADLINE) -> None:
        path = reservation.document.path
        completed = Write(path, {"status": "completed", "imageUrl": image_url}, merges=True)

        def plan(read: Mapping[str, Document]) -> Commit[None]:
            return Commit([completed], lambda versions: None)

        self._store.transact([path], plan, deadline)


class GrantsAnew(Grants):
    """A grant that a retry repeats."""

    def __init__(self, real: Grants) -> None:
        self._real = real

    def grant(self, order: Order, deadline: Deadline = NO_DEADLINE) -> Granted:
        return self._real.grant(replace(order, id=f"{order.id}{random.random()}"), deadline)


@pytest.mark.parametrize(
    ("broken", "scenario", "fault", "sign"),
    [
        ({"ledger_type": CompletesWithoutPrecondition}, "late finish", Fault(4, Way.REFUSED), "refund"),
        ({"ledger_type": CompletesWithoutPrecondition}, "success", Fault(6, Way.CANCELED_BEFORE), "refund"),
        ({"ledger_type": RefundsUnderRandomIds}, "failure", Fault(1, Way.REFUSED), "has no entry"),
        ({"grants_type": GrantsAnew}, "grant", Fault(2, Way.LOST_APPLIED), "the balance is 25"),
        ({"ledger_type": ReservesWithoutLease}, "success", Fault(5, Way.KILLED_AFTER), "pending without a lease"),
        ({"ledger_type": ForgetsPictures}, "picture", Fault(6, Way.KILLED_AFTER), "is there and was not sold"),
        ({"ledger_type": ForgetsPictures}, "picture", Fault(6, Way.LOST_APPLIED), "is there and was not sold"),
        ({"ledger_type": ForgetsPictures}, "order, picture, dead worker", Fault(1, Way.ABORTED), "and was not sold"),
        (
            {"ledger_type": CompletesWithoutPrecondition},
            "order, picture, taken over",
            Fault(1, Way.ABORTED),
            "another token",
        ),
    ],
)
def test_a_broken_ledger_is_caught(
    project: Project, bucket: Bucket, broken: Mapping[str, Any], scenario: str, fault: Fault, sign: str
) -> None:
    """A completion without precondition, a random refund id, a repeated grant, a missing lease, a forgotten picture."""
    problems = faults.problems_after(faults.prepared(project, scenario, bucket, **broken), fault)
    assert any(sign in problem for problem in problems), problems
    assert not faults.problems_after(faults.prepared(project, scenario, bucket), fault)
