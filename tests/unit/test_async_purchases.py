"""Purchases that outlive their request: ordered, made by a worker, waited for, replayed, canceled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

import handlers
from calls import Accepted, Call, Caller, Ok
from errors import (
    GenerationCanceled,
    GenerationEnded,
    GenerationFailed,
    IdempotencyInFlight,
    InsufficientCredits,
    PermissionDenied,
)
from images.model import ImageOrder, ProviderFailed
from schemas.requests import CancelOrder, GenerationOrder
from store import NO_DEADLINE, Deadline
from tests.support.builders import IMAGE_URL, ORDER, Backend

ANN = Call(Caller("ann"), NO_DEADLINE)


@dataclass
class Tasks:
    """A queue that keeps its tasks until they are run; while it is broken, it takes none."""

    waiting: list[Mapping[str, str]] = field(default_factory=list)
    is_broken: bool = False

    def __call__(self, function: str) -> "Tasks":
        return self

    def enqueue(self, data: Mapping[str, str]) -> bool:
        if not self.is_broken:
            self.waiting.append(data)
        return not self.is_broken


class Async(Backend):
    """A backend whose queue is in the test's hands; its worker runs in place of the time that a client waits."""

    def __init__(self, act: Callable[[ImageOrder, Deadline], str] | None = None) -> None:
        self.tasks = Tasks()
        super().__init__(act, queue=self.tasks, sleep=self.sleep)
        self.add_user()
        self.works_while_waiting = True

    def sleep(self, seconds: float) -> None:
        self.stopwatch.forward(seconds)
        if self.works_while_waiting:
            self.work()

    def work(self) -> None:
        while self.tasks.waiting:
            handlers.generate_image(self.tasks.waiting.pop()["generationRequestId"], self.services)

    def order(self, prefer: str | None = "respond-async", key: str = "k1") -> Any:
        order = GenerationOrder.model_validate({**ORDER, "Idempotency-Key": key, "Prefer": prefer})
        return handlers.create_generation_request(order, Call(Caller("ann"), self.deadline()), self.services)

    def cancel(self, request_id: str, call: Call = ANN) -> Ok:
        order = CancelOrder.model_validate({"generationRequestId": request_id})
        return handlers.cancel_generation_request(order, call, self.services)


def fails(order: ImageOrder, deadline: Deadline) -> str:
    raise ProviderFailed("no picture")


def test_an_order_is_accepted_once_the_credits_are_reserved() -> None:
    """202 says where to ask; the model runs later."""
    backend = Async()
    answer = backend.order()
    assert isinstance(answer, Accepted)
    body = answer.reply.model_dump(by_alias=True)
    request_id = body["generationRequestId"]
    assert body == {
        "generationRequestId": request_id,
        "deductedCredits": 1,
        "currentCredits": 9,
        "status": "pending",
    }
    assert answer.location == f"getGenerationRequest?generationRequestId={request_id}"
    assert (answer.applied, answer.is_replay) == ("respond-async", False)
    assert backend.tasks.waiting == [{"generationRequestId": request_id}]


def test_the_same_key_is_accepted_while_it_runs_and_then_gives_the_image() -> None:
    """Nothing is ordered twice."""
    backend = Async()
    backend.order()
    again = backend.order()
    assert isinstance(again, Accepted)
    assert (again.is_replay, len(backend.tasks.waiting), backend.balance()) == (True, 1, 9)
    backend.work()
    for prefer in ("respond-async", "wait=5", None):
        ended = backend.order(prefer)
        assert isinstance(ended, Ok)
        assert (ended.is_replay, ended.reply.model_dump()["image_url"]) == (True, IMAGE_URL)
    assert backend.violations() == []


def test_without_the_header_a_running_key_is_still_a_conflict() -> None:
    """As it always was."""
    backend = Async()
    backend.order()
    with pytest.raises(IdempotencyInFlight):
        backend.order(None)


def test_a_client_that_waits_gets_the_image() -> None:
    """If it comes in time; 200 then, and the preference is confirmed."""
    answer = Async().order("wait=5")
    assert isinstance(answer, Ok)
    assert (answer.applied, answer.reply.model_dump()["image_url"]) == ("wait=5", IMAGE_URL)


def test_a_client_waits_no_longer_than_it_says() -> None:
    """Then the answer is 202, and the order stands."""
    backend = Async()
    backend.works_while_waiting = False
    answer = backend.order("wait=5")
    assert isinstance(answer, Accepted)
    assert backend.stopwatch.seconds == pytest.approx(5)


def test_a_wait_ends_before_the_answers_deadline() -> None:
    """However long the client would wait."""
    backend = Async()
    backend.works_while_waiting = False
    assert isinstance(backend.order("wait=9999"), Accepted)
    assert backend.stopwatch.seconds == pytest.approx(57 - handlers.ANSWER_SECONDS)


def test_a_failure_is_refunded_whether_somebody_waits_or_not() -> None:
    """Who waits is told at once, and everybody later."""
    backend = Async(fails)
    with pytest.raises(GenerationFailed):
        backend.order("wait=5")
    backend.order(key="k2")
    backend.work()
    with pytest.raises(GenerationFailed) as caught:
        backend.order(key="k2")
    assert caught.value.headers["Idempotent-Replayed"] == "true"
    assert (backend.balance(), backend.violations()) == (10, [])


def test_an_order_needs_its_credits() -> None:
    """Refused as a synchronous purchase is, and nothing is enqueued."""
    backend = Async()
    backend.store.put("sizes/512x512", {"credits": 11})
    with pytest.raises(InsufficientCredits):
        backend.order()
    assert backend.tasks.waiting == []


def test_an_order_whose_task_is_lost_is_enqueued_again() -> None:
    """The reservation itself remembers what is to do."""
    backend = Async()
    backend.tasks.is_broken = True
    assert isinstance(backend.order(), Accepted)
    backend.tasks.is_broken = False
    handlers.release_expired_reservations(backend.services)
    assert backend.tasks.waiting == []
    backend.clock.forward(31)
    handlers.release_expired_reservations(backend.services)
    backend.work()
    assert isinstance(backend.order(), Ok)
    assert backend.violations() == []


def test_a_task_that_comes_twice_or_too_late_runs_no_model() -> None:
    """It ends without an error, so that the queue forgets it."""
    runs: list[str] = []

    def act(order: ImageOrder, deadline: Deadline) -> str:
        runs.append(order.request_id)
        # Delivered again while the model runs.
        handlers.generate_image(order.request_id, backend.services)
        return IMAGE_URL

    backend = Async(act)
    backend.order()
    [task] = backend.tasks.waiting
    for _ in range(3):
        handlers.generate_image(task["generationRequestId"], backend.services)
    handlers.generate_image("none", backend.services)
    assert runs == [task["generationRequestId"]]


def test_canceling_an_order_gives_its_credits_back() -> None:
    """Once; its key is answered with what became of it, and a late task runs no model."""
    backend = Async()
    request_id = backend.order().reply.generation_request_id
    answer = backend.cancel(request_id)
    assert answer.reply.model_dump(by_alias=True) == {
        "generationRequestId": request_id,
        "status": "canceled",
        "refundedCredits": 1,
        "currentCredits": 10,
    }
    assert backend.cancel(request_id) == answer
    backend.work()
    with pytest.raises(GenerationCanceled) as caught:
        backend.order()
    assert caught.value.headers["Idempotent-Replayed"] == "true"
    assert (backend.balance(), backend.violations()) == (10, [])


def test_an_image_that_comes_after_the_cancellation_is_not_given() -> None:
    """Neither by a worker nor to a client that waits for it."""

    def act(order: ImageOrder, deadline: Deadline) -> str:
        backend.cancel(order.request_id)
        return IMAGE_URL

    backend = Async(act)
    for prefer in (None, "wait=5"):
        with pytest.raises(GenerationCanceled):
            backend.order(prefer, key=str(prefer))
    assert (backend.balance(), backend.violations()) == (10, [])


def test_only_the_owner_and_admins_cancel() -> None:
    """And what has ended stays as it ended."""
    backend = Async()
    request_id = backend.order().reply.generation_request_id
    with pytest.raises(PermissionDenied):
        backend.cancel(request_id, Call(Caller("bob"), NO_DEADLINE))
    backend.work()
    with pytest.raises(GenerationEnded):
        backend.cancel(request_id, Call(Caller("root", is_admin=True), NO_DEADLINE))


def test_a_purchase_of_a_model_that_is_gone_is_refunded() -> None:
    """It was ordered before a deploy that removed the model."""
    backend = Async()
    request_id = backend.order().reply.generation_request_id
    backend.store.put(
        f"generationRequests/{request_id}",
        {**backend.store.everything()[f"generationRequests/{request_id}"], "model": "model-z"},
    )
    backend.work()
    assert backend.balance() == 10
