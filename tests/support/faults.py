"""Breaks one round trip of a purchase in every way, then lets client, lease and sweep do their work.

A case is a scenario (what the process was doing), a round trip of it (by number; to Firestore, or to the bucket of
pictures), and a way to break it. Afterwards the ledger must be consistent, what the client was told must be true, at
most one image may have been paid for, and the bucket must hold the picture of each completed request and no other.
"""

import collections
import contextlib
import multiprocessing.context
import multiprocessing.forkserver
import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NoReturn

import grpc
import pytest

from ai_simulator import SimulatedModel
from calls import Call, Caller, Ok
from credits.documents import DEDUCTION
from credits.grants import Grants
from credits.ledger import Ledger
from errors import ApiError, GenerationFailed
from handlers import (
    Services,
    create_generation_request,
    grant_credits,
    release_expired_reservations,
    revoke_credits,
)
from images.keeping import PictureKey
from images.marks import SourceType
from images.model import ImageOrder, PictureBytes, PictureUrl, StorageFailed
from images.pictures import checked
from schemas.fields import KEY_HEADER
from schemas.replies import GenerationReply
from schemas.requests import GenerationOrder, GrantOrder, RevocationOrder
from store import NO_DEADLINE, Deadline
from tests.support.assembly import assembled, audit_of, settings_of
from tests.support.contract import order
from tests.support.files import TRAINED_MARK, Bucket, picture, saved
from tests.support.projects import Project
from tests.support.rpcs import Interceptor, hooked_connection
from tests.support.shop import reserved

OPENING_CREDITS = 10
COST_CREDITS = 1
GRANTED_CREDITS = 5
REVOKED_CREDITS = 4
CHILD_SECONDS = 60
STREAMS = ("BatchGetDocuments", "RunQuery")
PICTURE = PictureBytes(saved(picture()), "image/png")
_FORKING = threading.Lock()


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
    """A user with a key, in one scenario; picklable, so that a process can be killed in it.

    `ledger_type` and `grants_type` are for tests that break them on purpose; the latter wraps the real grants.
    """

    scenario: str
    project: Project
    user_id: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    ledger_type: type[Ledger] = Ledger
    grants_type: Callable[[Grants], Grants] | None = None
    bucket: Bucket | None = None

    def services(self, around: Interceptor | None = None) -> Services:
        host = os.environ["FIRESTORE_EMULATOR_HOST"]
        connection = hooked_connection(self.project.id, host, around) if around else None
        scenario = SCENARIOS[self.scenario]
        settings = settings_of(
            self.project,
            AI_FAILURE_RATE="1" if self.scenario == "failure" else "0",
            SIGNUP_CREDITS="0" if scenario.has_account else str(OPENING_CREDITS),
        )
        parts: dict[str, Any] = {}
        if self.bucket is not None:
            parts = {"models": {"model-a": GivesFiles()}, "files": HookedFiles(self.bucket, around or _straight)}
        services = assembled(self.project, connection, settings, ledger_type=self.ledger_type, **parts)
        return services if self.grants_type is None else replace(services, grants=self.grants_type(services.grants))

    def ask(self, services: Services) -> str:
        """What the client is told: an image and a balance, "failed", "granted", or the name of another error."""
        try:
            return SCENARIOS[self.scenario].ask(self, services)
        except GenerationFailed:
            return "failed"
        except ApiError as error:
            return type(error).__name__


class GivesFiles:
    """A model whose picture is a file."""

    def generate(self, order: ImageOrder, deadline: Deadline) -> PictureBytes:
        return PICTURE


@dataclass(frozen=True)
class HookedFiles:
    """The bucket of production on a real server; each call goes through `around`, like the round trips to Firestore."""

    bucket: Bucket
    around: Interceptor

    def keep(self, picture: PictureBytes, key: PictureKey, deadline: Deadline) -> str:
        return str(self._call("Upload", lambda: self.bucket.store().keep(picture, key, deadline)))

    def delete(self, key: PictureKey) -> None:
        self._call("Delete", lambda: self.bucket.store().delete(key))

    def _call(self, name: str, send: Callable[[], Any]) -> Any:
        try:
            return self.around(name, send)
        except grpc.RpcError as error:
            raise StorageFailed("injected", leaves_picture=True) from error


def _straight(name: str, send: Callable[[], Any]) -> Any:
    return send()


def _buy_image(case: Case, services: Services) -> str:
    asked = GenerationOrder.model_validate({**order(case.user_id), KEY_HEADER: case.key})
    answer = create_generation_request(asked, Call(Caller(case.user_id), NO_DEADLINE), services)
    assert isinstance(answer.reply, GenerationReply)
    return _sold(answer.reply.image_url, answer.reply.current_credits)


def _sold(image_url: str, balance_credits: int) -> str:
    return f"{image_url} leaves {balance_credits}"


def _grant(case: Case, services: Services) -> str:
    body = {"userId": case.user_id, "credits": GRANTED_CREDITS, "reason": "a fault test", KEY_HEADER: case.key}
    answer = grant_credits(GrantOrder.model_validate(body), Call(Caller("root", is_admin=True), NO_DEADLINE), services)
    assert isinstance(answer, Ok)
    return "granted"


def _revoke(case: Case, services: Services) -> str:
    body = {"userId": case.user_id, "credits": REVOKED_CREDITS, "reason": "a fault test", KEY_HEADER: case.key}
    order = RevocationOrder.model_validate(body)
    revoke_credits(order, Call(Caller("root", is_admin=True), NO_DEADLINE), services)
    return "revoked"


def _ask(case: Case, services: Services) -> str:
    return case.ask(services)


def _buy_slowly(case: Case, services: Services) -> str:
    """The lease runs out and is released while the model works."""

    class Slow:
        def generate(self, order: ImageOrder, deadline: Deadline) -> PictureBytes | PictureUrl:
            _sweep(case)
            if case.bucket is not None:
                return PICTURE
            return SimulatedModel("model-a", "https://api", 0.0, lambda: 0.0).generate(order, deadline)

    return case.ask(replace(services, models={"model-a": Slow()}))


def _sweep(case: Case) -> None:
    """As the scheduled function does it, without faults."""
    case.project.expire_leases()
    release_expired_reservations(case.services())


def _release(case: Case, services: Services) -> str:
    release_expired_reservations(services)
    return "released"


def _reserve_only(case: Case) -> None:
    reserved(case.services().ledger, case.user_id, case.key)
    case.project.expire_leases()


def _upload_only(case: Case) -> None:
    """The process died after its upload."""
    assert case.bucket is not None
    reservation = reserved(case.services().ledger, case.user_id, case.key)
    key = PictureKey(case.user_id, reservation.request_id, reservation.attempt_id)
    case.bucket.store().keep(checked(PICTURE, SourceType.TRAINED_ALGORITHMIC_MEDIA, NO_DEADLINE), key, NO_DEADLINE)
    case.project.expire_leases()


def _buy_and_delete_account(case: Case) -> None:
    ledger = case.services().ledger
    ledger.complete(reserved(ledger, case.user_id, "before"), "https://images.example.com/before.png")
    case.project.remove(f"users/{case.user_id}")


@dataclass(frozen=True)
class Scenario:
    """What the process was doing; a case is prepared without faults, and then acts with them."""

    prepare: Callable[[Case], object] = lambda case: None
    act: Callable[[Case, Services], str] = _ask
    ask: Callable[[Case, Services], str] = _buy_image
    has_account: bool = True
    granted_credits: int = 0
    keeps_pictures: bool = False


SCENARIOS = {
    "success": Scenario(),
    "failure": Scenario(),
    "replay": Scenario(prepare=lambda case: case.ask(case.services())),
    "release": Scenario(prepare=_reserve_only, act=_release),
    "late finish": Scenario(act=_buy_slowly),
    "first call": Scenario(has_account=False),
    "picture": Scenario(keeps_pictures=True),
    "picture, release": Scenario(prepare=_upload_only, act=_release, keeps_pictures=True),
    "picture, late finish": Scenario(act=_buy_slowly, keeps_pictures=True),
    "grant": Scenario(ask=_grant, granted_credits=GRANTED_CREDITS),
    "revocation": Scenario(ask=_revoke, granted_credits=-REVOKED_CREDITS),
    "grant to a deleted account": Scenario(
        prepare=_buy_and_delete_account, ask=_grant, granted_credits=GRANTED_CREDITS - OPENING_CREDITS + COST_CREDITS
    ),
    "grant to a new user": Scenario(ask=_grant, granted_credits=GRANTED_CREDITS - OPENING_CREDITS, has_account=False),
}


def round_trips(project: Project, scenario: str, bucket: Bucket) -> list[str]:
    """The round trips that the scenario takes when nothing breaks, by name."""
    sent: list[str] = []

    def count(name: str, send: Callable[[], Any]) -> Any:
        sent.append(name)
        return send()

    act(prepared(project, scenario, bucket), count)
    return sent


def problems_after(case: Case, fault: Fault) -> list[str]:
    """Plays one case to its end and tells everything that is wrong then."""
    told = _killed(case, fault) if fault.way.kills else [act(case, Breaker({fault.rpc: fault.way}))]
    return problems_when_settled(case, told)


def problems_when_settled(case: Case, told: list[str]) -> list[str]:
    """What is wrong after the client retried, the lease ran out, the sweep ran and the client retried again."""
    told.append(case.ask(case.services()))
    _sweep(case)
    told.append(case.ask(case.services()))
    problems = audit_of(case.project).of_user(case.user_id).violations + _wrong_pictures(case)
    sold = _paid_for(case)
    if len(sold) > 1:
        problems.append(f"{len(sold)} images were paid for")
    expected_credits = OPENING_CREDITS + SCENARIOS[case.scenario].granted_credits - COST_CREDITS * len(sold)
    if case.project.balance(case.user_id) != expected_credits:
        problems.append(f"the balance is {case.project.balance(case.user_id)} with {len(sold)} images paid for")
    problems += [f"the client got {answer}, unpaid" for answer in told if _is_image(answer) and answer not in sold]
    if "failed" in told and sold:
        problems.append("the client was told of a failure and paid for an image")
    if not (_is_image(told[-1]) or told[-1] in ("failed", "granted", "revoked")):
        problems.append(f"the client's last retry was told {told[-1]}")
    return problems


def _paid_for(case: Case) -> list[str]:
    """Each image that was paid for, and the balance that its deduction left, as the client must be told."""
    entries = case.project.entries(case.user_id)
    left = {entry["generationRequestId"]: entry["balanceAfter"] for entry in entries if entry["type"] == DEDUCTION}
    requests = case.project.requests_of(case.user_id)
    return [_sold(its["imageUrl"], left[its["id"]]) for its in requests if its["status"] == "completed"]


def _wrong_pictures(case: Case) -> list[str]:
    """Completed requests without their picture, and pictures that nobody was sold."""
    if case.bucket is None:
        return []
    wanted = {
        PictureKey(case.user_id, its["id"], its["attemptId"]).object_name: str(its["imageUrl"])
        for its in case.project.requests_of(case.user_id)
        if its["status"] == "completed"
    }
    there = case.bucket.names(f"images/{case.user_id}/")
    problems = [f"{name} was sold and is not there" for name in wanted.keys() - there]
    problems += [f"{name} is there and was not sold" for name in there - wanted.keys()]
    for name in there & wanted.keys():
        token = case.bucket.about(name)["metadata"]["firebaseStorageDownloadTokens"]
        if not wanted[name].endswith(f"token={token}") or TRAINED_MARK not in case.bucket.data(name):
            problems.append(f"{name} has another token, or no mark")
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
    if way is Way.CUT and name in STREAMS:
        return _cut(send())
    # The answer, good or bad, does not arrive.
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


def prepared(
    project: Project,
    scenario: str,
    bucket: Bucket,
    ledger_type: type[Ledger] = Ledger,
    grants_type: Callable[[Grants], Grants] | None = None,
) -> Case:
    user_id = f"user-{uuid.uuid4().hex[:8]}"
    if SCENARIOS[scenario].has_account:
        project.add_user(OPENING_CREDITS, user_id)
    # Earlier cases' pictures would be deleted again, and the round trips of this one would have other numbers.
    project.unmark_pictures()
    kept_in = bucket if SCENARIOS[scenario].keeps_pictures else None
    case = Case(scenario, project, user_id, ledger_type=ledger_type, grants_type=grants_type, bucket=kept_in)
    SCENARIOS[scenario].prepare(case)
    return case


def act(case: Case, around: Interceptor) -> str:
    scenario = SCENARIOS[case.scenario]
    return scenario.act(case, case.services(around))


def _killed(case: Case, fault: Fault) -> list[str]:
    """Runs the case in a process of its own, which dies in it; its client heard nothing."""
    child = _prepared_to_fork().Process(target=act, args=(case, Breaker({fault.rpc: fault.way})))
    child.start()
    child.join(CHILD_SECONDS)
    assert child.exitcode == -signal.SIGKILL, f"the process was to be killed and ended with {child.exitcode}"
    return []


def _prepared_to_fork() -> multiprocessing.context.ForkServerContext:
    """Forks from a server that has imported everything but has no gRPC channel, so that a child costs milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with _FORKING, pytest.MonkeyPatch.context() as patch:
        # The server looks for the modules there, and not on this process's path.
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        multiprocessing.forkserver.ensure_running()
    return context


def _finish(name: str, call: Any) -> None:
    if name == "Commit":
        call.result()
    elif name in STREAMS:
        # A stream ends only when it is read; its result would wait for that.
        collections.deque(call, maxlen=0)


def _is_image(answer: str) -> bool:
    return answer.startswith("http")
