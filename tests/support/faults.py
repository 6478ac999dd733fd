"""Breaks one round trip of a purchase in every way, then lets client, queue, lease and sweep do their work.

A case is a scenario (what the process was doing), a round trip of it (by number; to Firestore, to the task queue, or to
the bucket of pictures), and a way to break it. Afterwards the ledger must be consistent, what the client was told must
be true, at most one image may have been paid for and none that was canceled, no claim may have run the model twice, and
the bucket must hold the picture of each completed request and no other.
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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NoReturn

import grpc
import pytest
from google.cloud.firestore import FieldFilter

from calls import Accepted, Call, Caller, Ok
from credits import keys
from credits.documents import CANCELED, COMPLETED, DEDUCTION, PENDING
from credits.grants import Grants
from credits.ledger import Ledger
from errors import ApiError, GenerationCanceled, GenerationFailed
from handlers import (
    Services,
    cancel_generation_request,
    create_generation_request,
    generate_image,
    grant_credits,
    release_expired_reservations,
    revoke_credits,
)
from images.keeping import PictureKey
from images.marks import SourceType
from images.model import ImageOrder, PictureBytes, PictureUrl, ProviderFailed, StorageFailed
from images.pictures import checked
from images.simulated import picture_url
from schemas.fields import KEY_HEADER, PREFER_HEADER
from schemas.replies import GenerationReply
from schemas.requests import CancelOrder, GenerationOrder, GrantOrder, RevocationOrder
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
# Nobody else looks there.
NOTES = "notesOfTests"
PICTURE = PictureBytes(saved(picture()), "image/png")
_FORKING = threading.Lock()


class Way(Enum):
    """How a round trip breaks."""

    REFUSED = "refused before it is sent"
    ABORTED = "aborted"
    DEADLINE_APPLIED = "deadline exceeded with the write applied"
    LOST_APPLIED = "connection lost with the write applied"
    CUT = "connection cut after the first part of the answer"
    CANCELED_BEFORE = "request canceled before it"
    CANCELED_LOST = "request canceled after it, and its answer lost"
    KILLED_BEFORE = "process killed before it"
    KILLED_AFTER = "process killed after it"

    @property
    def kills(self) -> bool:
        return self in (Way.KILLED_BEFORE, Way.KILLED_AFTER)

    @property
    def cancels(self) -> bool:
        return self in (Way.CANCELED_BEFORE, Way.CANCELED_LOST)


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

    def services(
        self, around: Interceptor | None = None, meanwhile: "Callable[[Case], object] | None" = None
    ) -> Services:
        """A process of its own; `around` may break its round trips, and `meanwhile` happens while its model works."""
        host = os.environ["FIRESTORE_EMULATOR_HOST"]
        connection = hooked_connection(self.project.id, host, around) if around else None
        settings = settings_of(
            self.project, SIGNUP_CREDITS="0" if SCENARIOS[self.scenario].has_account else str(OPENING_CREDITS)
        )
        around = around or _straight
        parts: dict[str, Any] = {
            "models": {"model-a": Model(self, meanwhile or _nothing)},
            "queue": lambda function: Tasks(around),
        }
        if self.bucket is not None:
            parts["files"] = HookedFiles(self.bucket, around)
        services = assembled(self.project, connection, settings, ledger_type=self.ledger_type, **parts)
        return services if self.grants_type is None else replace(services, grants=self.grants_type(services.grants))

    def ask(self, services: Services) -> str:
        """What the client is told: an image and a balance, "failed", "granted", or the name of another error."""
        return _told(lambda: SCENARIOS[self.scenario].ask(self, services))

    def cancel(self, services: Services) -> str:
        """What who cancels is told: "canceled", or the name of an error."""
        return _told(lambda: _cancel(self, services))


def _told(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except GenerationFailed:
        return "failed"
    except GenerationCanceled:
        return "canceled"
    except ApiError as error:
        return type(error).__name__


@dataclass(frozen=True)
class Model:
    """Gives a file if the case has a bucket, otherwise a URL, or fails. `meanwhile` happens while it works.

    Each run is noted.
    """

    case: Case
    meanwhile: Callable[[Case], object]

    def generate(self, order: ImageOrder, deadline: Deadline) -> PictureBytes | PictureUrl:
        _note(self.case, "runs", order.attempt_id)
        self.meanwhile(self.case)
        if SCENARIOS[self.case.scenario].fails:
            raise ProviderFailed("The scenario says so.")
        if self.case.bucket is not None:
            return PICTURE
        return PictureUrl(picture_url("https://api", order.request_id, order.attempt_id))


def _note(case: Case, what: str, run: str) -> None:
    """Notes something where it outlasts a killed process."""
    case.project.put(f"{NOTES}/{uuid.uuid4().hex}", {"userId": case.user_id, "what": what, "run": run})


@dataclass(frozen=True)
class Tasks:
    """The task queue; each call goes through `around`, like the round trips to Firestore."""

    around: Interceptor
    waiting: list[str] = field(default_factory=list)

    def enqueue(self, data: Mapping[str, str], deadline: Deadline = NO_DEADLINE) -> bool:
        try:
            self.around("Enqueue", lambda: self.waiting.append(data["generationRequestId"]))
        except grpc.RpcError:
            return False
        return True


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


def _nothing(case: Case) -> None:
    pass


def _buy_image(case: Case, services: Services) -> str:
    asked = GenerationOrder.model_validate({**order(case.user_id), KEY_HEADER: case.key})
    answer = create_generation_request(asked, Call(Caller(case.user_id), NO_DEADLINE), services)
    assert isinstance(answer.reply, GenerationReply)
    return _sold(answer.reply.image_url, answer.reply.current_credits)


def _order_image(case: Case, services: Services) -> str:
    body = {**order(case.user_id), KEY_HEADER: case.key, PREFER_HEADER: "respond-async"}
    answer = create_generation_request(
        GenerationOrder.model_validate(body), Call(Caller(case.user_id), NO_DEADLINE), services
    )
    if isinstance(answer, Accepted):
        return "accepted"
    assert isinstance(answer.reply, GenerationReply)
    return _sold(answer.reply.image_url, answer.reply.current_credits)


def _cancel(case: Case, services: Services) -> str:
    body = {"generationRequestId": keys.id_for_key(case.user_id, case.key)}
    cancel_generation_request(CancelOrder.model_validate(body), Call(Caller(case.user_id), NO_DEADLINE), services)
    return "canceled"


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


def _order_and_work(case: Case, services: Services) -> str:
    told = case.ask(services)
    _work(services)
    return told


def _order_and_work_twice(case: Case, services: Services) -> str:
    told = _order_and_work(case, services)
    _work(services)
    return told


def _work(services: Services) -> None:
    """Delivers each task that is in the queue; after an error once more."""
    queue = services.fulfillment.queue
    assert isinstance(queue, Tasks)
    for request_id in queue.waiting:
        try:
            generate_image(request_id, services)
        except ApiError:
            with contextlib.suppress(ApiError):
                generate_image(request_id, services)


def _deliver_again(case: Case) -> None:
    """To a second worker, while the first one's model works."""
    generate_image(keys.id_for_key(case.user_id, case.key), case.services())


def _take_over(case: Case) -> None:
    """Claims end, and the sweep finds another worker for what is pending. Without faults."""
    _end_claims(case)
    _sweep_and_work(case, case.services())


def _lose_claim(case: Case) -> None:
    """A claim ends, and a second worker claims the request and dies."""
    _end_claims(case)
    case.services().fulfillment.claims.claim(keys.id_for_key(case.user_id, case.key))


def _end_claims(case: Case) -> None:
    for request in case.project.requests_of(case.user_id):
        if request["status"] == PENDING and "claimableAt" in request:
            ended_at = datetime.now(UTC) - timedelta(hours=1)
            case.project.change(f"generationRequests/{request['id']}", claimableAt=ended_at, workerDueAt=ended_at)
            if request["claims"]:
                _note(case, "claims ended", request["claims"][-1])


def _sweep_and_work(case: Case, services: Services) -> str:
    release_expired_reservations(services)
    _work(services)
    return "swept"


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


def _order_only(case: Case) -> None:
    case.ask(case.services())


def _die_working(case: Case) -> None:
    """A worker died with its picture kept, and its claim has ended."""
    case.ask(case.services())
    request_id = keys.id_for_key(case.user_id, case.key)
    claim = case.services().fulfillment.claims.claim(request_id)
    assert claim is not None
    if case.bucket is not None:
        key = PictureKey(case.user_id, request_id, claim.reservation.attempt_id)
        case.bucket.store().keep(checked(PICTURE, SourceType.TRAINED_ALGORITHMIC_MEDIA, NO_DEADLINE), key, NO_DEADLINE)
    _end_claims(case)


def _buy_and_delete_account(case: Case) -> None:
    ledger = case.services().ledger
    ledger.complete(reserved(ledger, case.user_id, "before"), "https://images.example.com/before.png")
    case.project.remove(f"users/{case.user_id}")


@dataclass(frozen=True)
class Scenario:
    """What the process was doing; a case is prepared without faults, and then acts with them."""

    prepare: Callable[[Case], object] = _nothing
    act: Callable[[Case, Services], str] = _ask
    ask: Callable[[Case, Services], str] = _buy_image
    meanwhile: Callable[[Case], object] = _nothing
    fails: bool = False
    has_account: bool = True
    granted_credits: int = 0
    keeps_pictures: bool = False


ASYNC = Scenario(act=_order_and_work, ask=_order_image)
SCENARIOS = {
    "success": Scenario(),
    "failure": Scenario(fails=True),
    "replay": Scenario(prepare=lambda case: case.ask(case.services())),
    "release": Scenario(prepare=_reserve_only, act=_release),
    "late finish": Scenario(meanwhile=_sweep),
    "first call": Scenario(has_account=False),
    "picture": Scenario(keeps_pictures=True),
    "picture, release": Scenario(prepare=_upload_only, act=_release, keeps_pictures=True),
    "picture, late finish": Scenario(meanwhile=_sweep, keeps_pictures=True),
    "grant": Scenario(ask=_grant, granted_credits=GRANTED_CREDITS),
    "revocation": Scenario(ask=_revoke, granted_credits=-REVOKED_CREDITS),
    "grant to a deleted account": Scenario(
        prepare=_buy_and_delete_account, ask=_grant, granted_credits=GRANTED_CREDITS - OPENING_CREDITS + COST_CREDITS
    ),
    "grant to a new user": Scenario(ask=_grant, granted_credits=GRANTED_CREDITS - OPENING_CREDITS, has_account=False),
    "order": ASYNC,
    "order, failure": replace(ASYNC, fails=True),
    "order, delivered twice": replace(ASYNC, act=_order_and_work_twice, meanwhile=_deliver_again),
    "order, taken over": replace(ASYNC, meanwhile=_take_over),
    "order, claim lost": replace(ASYNC, meanwhile=_lose_claim),
    "order, late finish": replace(ASYNC, meanwhile=_sweep),
    "order, dead worker": replace(ASYNC, prepare=_die_working, act=_sweep_and_work),
    "order, cancel": replace(ASYNC, prepare=_order_only, act=Case.cancel),
    "order, picture": replace(ASYNC, keeps_pictures=True),
    "order, picture, taken over": replace(ASYNC, meanwhile=_take_over, keeps_pictures=True),
    "order, picture, claim lost": replace(ASYNC, meanwhile=_lose_claim, keeps_pictures=True),
    "order, picture, dead worker": replace(ASYNC, prepare=_die_working, act=_sweep_and_work, keeps_pictures=True),
    "order, picture, dead worker, failure": replace(
        ASYNC, prepare=_die_working, act=_sweep_and_work, fails=True, keeps_pictures=True
    ),
    "order, picture, cancel": replace(ASYNC, prepare=_die_working, act=Case.cancel, keeps_pictures=True),
}


def ways(scenario: str) -> list[Way]:
    """How round trips of the scenario can break: only what buys can be canceled."""
    buys = SCENARIOS[scenario].ask in (_buy_image, _order_image)
    return [way for way in Way if buys or not way.cancels]


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
    breaker = Breaker(case, {fault.rpc: fault.way})
    told = _killed(case, breaker) if fault.way.kills else [act(case, breaker), *breaker.told]
    return problems_when_settled(case, told)


def problems_when_settled(case: Case, told: list[str]) -> list[str]:
    """What is wrong after the client retried, claims and leases ran out, sweeps ran and the client retried again."""
    told.append(case.ask(case.services()))
    if SCENARIOS[case.scenario].ask is _order_image:
        _take_over(case)
        told.append(case.ask(case.services()))
    _sweep(case)
    told.append(case.ask(case.services()))
    problems = audit_of(case.project).of_user(case.user_id).violations + _wrong_pictures(case) + _repeated_runs(case)
    sold = _paid_for(case)
    if len(sold) > 1:
        problems.append(f"{len(sold)} images were paid for")
    expected_credits = OPENING_CREDITS + SCENARIOS[case.scenario].granted_credits - COST_CREDITS * len(sold)
    if case.project.balance(case.user_id) != expected_credits:
        problems.append(f"the balance is {case.project.balance(case.user_id)} with {len(sold)} images paid for")
    problems += [f"the client got {answer}, unpaid" for answer in told if _is_image(answer) and answer not in sold]
    if "failed" in told and sold:
        problems.append("the client was told of a failure and paid for an image")
    if "canceled" in told and any(its["status"] != CANCELED for its in case.project.requests_of(case.user_id)):
        problems.append("the client was told of a cancellation, and the request is not canceled")
    if not (_is_image(told[-1]) or told[-1] in ("failed", "canceled", "granted", "revoked")):
        problems.append(f"the client's last retry was told {told[-1]}")
    return problems


def _paid_for(case: Case) -> list[str]:
    """Each image that was paid for, and the balance that its deduction left, as the client must be told."""
    entries = case.project.entries(case.user_id)
    left = {entry["generationRequestId"]: entry["balanceAfter"] for entry in entries if entry["type"] == DEDUCTION}
    requests = case.project.requests_of(case.user_id)
    return [_sold(its["imageUrl"], left[its["id"]]) for its in requests if its["status"] == COMPLETED]


def _wrong_pictures(case: Case) -> list[str]:
    """Completed requests without their picture, and pictures that nobody was sold."""
    if case.bucket is None:
        return []
    wanted = {
        PictureKey(case.user_id, its["id"], (its.get("claims") or [its["attemptId"]])[-1]).object_name: its["imageUrl"]
        for its in case.project.requests_of(case.user_id)
        if its["status"] == COMPLETED
    }
    there = case.bucket.names(f"images/{case.user_id}/")
    problems = [f"{name} was sold and is not there" for name in wanted.keys() - there]
    problems += [f"{name} is there and was not sold" for name in there - wanted.keys()]
    for name in there & wanted.keys():
        token = case.bucket.about(name)["metadata"]["firebaseStorageDownloadTokens"]
        if not wanted[name].endswith(f"token={token}") or TRAINED_MARK not in case.bucket.data(name):
            problems.append(f"{name} has another token, or no mark")
    return problems


def _repeated_runs(case: Case) -> list[str]:
    """The model may run once for each claim or synchronous purchase, and again only if a claim has ended."""
    noted = case.project.client.collection(NOTES).where(filter=FieldFilter("userId", "==", case.user_id))
    notes = collections.Counter((snapshot.get("what"), snapshot.get("run")) for snapshot in noted.stream())
    runs = {run: count for (what, run), count in notes.items() if what == "runs"}
    problems = [f"the model ran {count} times for the run {run}" for run, count in runs.items() if count > 1]
    if len(runs) > 1 + len(notes) - len(runs):
        problems.append(f"the model ran for {len(runs)} runs, although no claim had ended")
    return problems


class Breaker:
    """Sends round trips of a case, but breaks those of these numbers. `told` is what who canceled was told."""

    def __init__(self, case: Case, faults: dict[int, Way]) -> None:
        self.told: list[str] = []
        self._case = case
        self._faults = faults
        self._count = 0

    def __call__(self, name: str, send: Callable[[], Any]) -> Any:
        self._count += 1
        way = self._faults.get(self._count)
        return send() if way is None else broken(way, name, send, self._cancel)

    def _cancel(self) -> None:
        self.told.append(self._case.cancel(self._case.services()))


def broken(way: Way, name: str, send: Callable[[], Any], cancel: Callable[[], None]) -> Any:
    """One round trip, broken this way."""
    if way is Way.CANCELED_BEFORE:
        cancel()
        return send()
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
    if way is Way.CANCELED_LOST:
        cancel()
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
    return scenario.act(case, case.services(around, scenario.meanwhile))


def _killed(case: Case, breaker: Breaker) -> list[str]:
    """Runs the case in a process of its own, which dies in it; its client heard nothing."""
    child = _prepared_to_fork().Process(target=act, args=(case, breaker))
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
