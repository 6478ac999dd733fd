"""Breaks one Firestore round trip of a purchase in every way, then lets client, lease and sweep do their work.

A case is a scenario (what the process was doing), a round trip of it (by number), and a way to break it. Afterwards
the books must hold, whatever the client was told must be true, and at most one image may have been paid for.
"""

import collections
import contextlib
import multiprocessing
import os
import random
import signal
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NoReturn

import grpc

from ai_simulator import ImageOrder, generate_image, simulated_models
from assembly import LEASE_SECONDS, assembled, audits_of
from contract import order
from errors import ApiError, GenerationFailed
from handlers import Call, Caller, Services, create_generation_request, grant_credits
from ledger import Ledger
from projects import Project
from rpcs import Interceptor, hooked_client
from shop import reserved

OPENING_CREDITS = 10
COST_CREDITS = 1
GRANTED_CREDITS = 5
AFTER_LEASE_SECONDS = LEASE_SECONDS + 60
CHILD_SECONDS = 60


class Way(Enum):
    """How a round trip breaks."""

    REFUSED = "refused before it is sent"
    ABORTED = "aborted"
    DEADLINE_APPLIED = "deadline exceeded with the write applied"
    LOST_APPLIED = "connection lost with the write applied"
    CUT = "connection cut after the first part of the answer"
    KILLED_BEFORE = "process killed before it"
    KILLED_AFTER = "process killed after it"

    @property
    def kills(self) -> bool:
        return self in (Way.KILLED_BEFORE, Way.KILLED_AFTER)


@dataclass(frozen=True)
class Fault:
    """The `rpc`-th round trip, from 1, breaks in this way."""

    rpc: int
    way: Way


@dataclass(frozen=True)
class Case:
    """A user with a key, in one scenario; picklable, so that a process can be killed in it."""

    scenario: str
    project: Project
    user_id: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    ledger_type: type[Ledger] = Ledger

    @property
    def body(self) -> dict[str, Any]:
        return order(self.user_id)

    def services(self, around: Interceptor | None = None, later_seconds: float = 0.0) -> Services:
        client = hooked_client(self.project.id, os.environ["FIRESTORE_EMULATOR_HOST"], around or _send)
        return assembled(
            lambda: client,
            self.failure_rate,
            later_seconds,
            self.ledger_type,
            signup_credits=0 if SCENARIOS[self.scenario].has_account else OPENING_CREDITS,
        )

    @property
    def failure_rate(self) -> float:
        return 1.0 if self.scenario == "failure" else 0.0

    def ask(self, services: Services) -> str:
        """What the client is told: an image's URL, "failed", "granted", or the name of another error."""
        try:
            return SCENARIOS[self.scenario].ask(self, services)
        except GenerationFailed:
            return "failed"
        except ApiError as error:
            return type(error).__name__


def _buy_image(case: Case, services: Services) -> str:
    call = Call(case.body, idempotency_key=case.key, caller=Caller(case.user_id, is_admin=False))
    return str(create_generation_request(call, services).body["imageUrl"])


def _grant(case: Case, services: Services) -> str:
    body = {"userId": case.user_id, "credits": GRANTED_CREDITS, "reason": "a fault test"}
    grant_credits(Call(body, idempotency_key=case.key), services)
    return "granted"


def _ask(case: Case, services: Services) -> str:
    return case.ask(services)


def _buy_slowly(case: Case, services: Services) -> str:
    """The lease runs out and is released while the model works."""

    class Slow:
        def generate(self, order: ImageOrder) -> str:
            case.services(later_seconds=AFTER_LEASE_SECONDS).ledger.release_expired()
            return generate_image(simulated_models(0.0, random.random)["model-a"], order)

    return case.ask(replace(services, models={"model-a": Slow()}))


def _release(case: Case, services: Services) -> str:
    services.ledger.release_expired()
    return "released"


def _reserve_only(case: Case) -> None:
    reserved(case.services().ledger, case.user_id, case.key)


@dataclass(frozen=True)
class Scenario:
    prepare: Callable[[Case], object] = lambda case: None
    act: Callable[[Case, Services], str] = _ask
    later_seconds: float = 0.0
    ask: Callable[[Case, Services], str] = _buy_image
    has_account: bool = True
    granted_credits: int = 0


SCENARIOS = {
    "success": Scenario(),
    "failure": Scenario(),
    "replay": Scenario(prepare=lambda case: case.ask(case.services())),
    "release": Scenario(prepare=_reserve_only, act=_release, later_seconds=AFTER_LEASE_SECONDS),
    "late finish": Scenario(act=_buy_slowly),
    "first call": Scenario(has_account=False),
    "grant": Scenario(ask=_grant, granted_credits=GRANTED_CREDITS),
    "grant to a new user": Scenario(ask=_grant, granted_credits=GRANTED_CREDITS - OPENING_CREDITS, has_account=False),
}


def round_trips(project: Project, scenario: str) -> int:
    """How many round trips the scenario takes when nothing breaks."""
    counted: list[str] = []

    def count(name: str, send: Callable[[], Any]) -> Any:
        counted.append(name)
        return send()

    act(prepared(project, scenario), count)
    return len(counted)


def broken_books(project: Project, scenario: str, fault: Fault, ledger_type: type[Ledger] = Ledger) -> list[str]:
    """Plays one case to its end and tells everything that is wrong then."""
    case = prepared(project, scenario, ledger_type)
    told = _killed(case, fault) if fault.way.kills else [act(case, Breaker({fault.rpc: fault.way}))]
    return settled(case, told)


def settled(case: Case, told: list[str]) -> list[str]:
    """What is wrong after the client retried, the lease ran out, the sweep ran and the client retried again."""
    told.append(case.ask(case.services()))
    later = case.services(later_seconds=AFTER_LEASE_SECONDS)
    later.ledger.release_expired()
    told.append(case.ask(later))
    images = [request.get("imageUrl") for request in case.project.requests_of(case.user_id) if _completed(request)]
    problems = audits_of(case.project, AFTER_LEASE_SECONDS).of_user(case.user_id)
    if len(images) > 1:
        problems.append(f"{len(images)} images were paid for")
    expected_credits = OPENING_CREDITS + SCENARIOS[case.scenario].granted_credits - COST_CREDITS * len(images)
    if case.project.balance(case.user_id) != expected_credits:
        problems.append(f"the balance is {case.project.balance(case.user_id)} with {len(images)} images paid for")
    problems += [f"the client got {answer}, unpaid" for answer in told if _is_image(answer) and answer not in images]
    if "failed" in told and images:
        problems.append("the client was told of a failure and paid for an image")
    if not (_is_image(told[-1]) or told[-1] in ("failed", "granted")):
        problems.append(f"the client's last retry was told {told[-1]}")
    return problems


class Breaker:
    """Sends round trips, but breaks those of these numbers."""

    def __init__(self, faults: dict[int, Way]) -> None:
        self._faults = faults
        self._count = 0

    def __call__(self, name: str, send: Callable[[], Any]) -> Any:
        self._count += 1
        way = self._faults.get(self._count)
        return send() if way is None else broken(way, name, send)


def broken(way: Way, name: str, send: Callable[[], Any]) -> Any:
    """One round trip, broken this way."""
    if way is Way.REFUSED:
        raise RpcFailed(grpc.StatusCode.UNAVAILABLE)
    if way is Way.ABORTED:
        raise RpcFailed(grpc.StatusCode.ABORTED)
    if way is Way.KILLED_BEFORE:
        os.kill(os.getpid(), signal.SIGKILL)
    if way is Way.CUT and name != "Commit":
        return _cut(send())
    # Whatever the answer was, nobody hears it.
    with contextlib.suppress(grpc.RpcError):
        _finish(name, send())
    if way is Way.KILLED_AFTER:
        os.kill(os.getpid(), signal.SIGKILL)
    raise RpcFailed(grpc.StatusCode.DEADLINE_EXCEEDED if way is Way.DEADLINE_APPLIED else grpc.StatusCode.UNAVAILABLE)


def _cut(stream: Any) -> Iterator[Any]:
    yield next(stream)
    raise RpcFailed(grpc.StatusCode.UNAVAILABLE)


class RpcFailed(grpc.RpcError, grpc.Call):  # type: ignore[misc]
    """What gRPC raises, with a code of our choice."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__()
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "injected"

    def result(self, timeout: float | None = None) -> NoReturn:
        raise self

    def _unused(self, *_: Any) -> Any:
        return None

    initial_metadata = trailing_metadata = is_active = time_remaining = cancel = add_callback = _unused


def prepared(project: Project, scenario: str, ledger_type: type[Ledger] = Ledger) -> Case:
    user_id = f"user-{uuid.uuid4().hex[:8]}"
    if SCENARIOS[scenario].has_account:
        project.add_user(OPENING_CREDITS, user_id)
    case = Case(scenario, project, user_id, ledger_type=ledger_type)
    SCENARIOS[scenario].prepare(case)
    return case


def act(case: Case, around: Interceptor) -> str:
    scenario = SCENARIOS[case.scenario]
    return scenario.act(case, case.services(around, scenario.later_seconds))


def _killed(case: Case, fault: Fault) -> list[str]:
    """Runs the case in a process of its own, which dies in it; its client heard nothing."""
    # Forked from a server that has the modules but no gRPC yet, so that a child costs milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["faults"])
    child = context.Process(target=act, args=(case, Breaker({fault.rpc: fault.way})))
    child.start()
    child.join(CHILD_SECONDS)
    assert child.exitcode == -signal.SIGKILL, f"the process was to be killed and ended with {child.exitcode}"
    return []


def _finish(name: str, call: Any) -> None:
    if name == "Commit":
        call.result()
    else:
        # A stream ends only when it is read; its result would wait for that.
        collections.deque(call, maxlen=0)


def _send(name: str, send: Callable[[], Any]) -> Any:
    return send()


def _completed(request: dict[str, Any]) -> bool:
    return bool(request["status"] == "completed")


def _is_image(answer: str) -> bool:
    return answer.startswith("https://")
