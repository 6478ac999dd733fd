"""Purchases that outlive their request: ordered, made by a worker, waited for, replayed, canceled."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest
from grpc import StatusCode

import handlers
from calls import Accepted, Call, Caller, Ok
from errors import (
    GenerationCanceled,
    GenerationEnded,
    GenerationFailed,
    IdempotencyInFlight,
    InsufficientCredits,
    PermissionDenied,
    UserNotFound,
)
from images.model import ImageOrder, ProviderFailed
from schemas.requests import CancelOrder, GenerationOrder
from store import NO_DEADLINE, Deadline, StoreError
from tests.support.builders import IMAGE_URL, ORDER, Backend
from tests.support.queues import ListQueue

ANN = Call(Caller("ann"), NO_DEADLINE)


class Async(Backend):
    """A backend whose queue is in the test's hands; its worker runs in place of the time that a client waits."""

    def __init__(self, act: Callable[[ImageOrder, Deadline], str] | None = None) -> None:
        self.queue = ListQueue()
        super().__init__(act, queue=lambda function: self.queue, sleep=self.sleep)
        self.add_user()
        self.works_while_waiting = True

    def sleep(self, seconds: float) -> None:
        self.stopwatch.forward(seconds)
        if self.works_while_waiting:
            self.work()

    def work(self) -> None:
        while self.queue.tasks:
            handlers.generate_image(self.queue.tasks.pop()["generationRequestId"], self.services)

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
    assert backend.queue.tasks == [{"generationRequestId": request_id}]


def test_the_same_key_is_accepted_while_it_runs_and_then_gives_the_image() -> None:
    """Nothing is ordered twice."""
    backend = Async()
    backend.order()
    again = backend.order()
    assert isinstance(again, Accepted)
    assert (again.is_replay, len(backend.queue.tasks), backend.balance()) == (True, 1, 9)
    backend.work()
    for prefer in ("respond-async", "wait=5", None):
        ended = backend.order(prefer)
        assert isinstance(ended, Ok)
        assert (ended.is_replay, ended.reply.model_dump()["image_url"]) == (True, IMAGE_URL)
    assert backend.violations() == []


def test_without_the_header_a_running_key_is_still_a_conflict() -> None:
    """Without `Prefer`, a key whose order is pending gets 409, as for a synchronous purchase."""
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


@pytest.mark.parametrize("prefer", [None, "respond-async"])
def test_the_log_says_why_there_is_no_image(prefer: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    """Once, whether a client waits for it or a worker makes it."""
    backend = Async(fails)
    with suppress(GenerationFailed):
        backend.order(prefer)
    backend.work()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [failed] = [line for line in lines if line["message"] == "generation failed"]
    assert (failed["severity"], failed["failure"], failed["why"]) == ("WARNING", "PROVIDER_FAILED", "no picture")


def test_who_waits_with_a_known_key_is_told_that_it_is_a_repetition() -> None:
    """The failure and the cancellation that come while it waits have the header too."""

    def cancels(order: ImageOrder, deadline: Deadline) -> str:
        backend.cancel(order.request_id)
        return IMAGE_URL

    for act in (fails, cancels):
        backend = Async(act)
        backend.works_while_waiting = False
        backend.order()
        backend.works_while_waiting = True
        with pytest.raises((GenerationFailed, GenerationCanceled)) as ended:
            backend.order("wait=5")
        assert ended.value.headers["Idempotent-Replayed"] == "true"


def test_nobody_is_told_of_a_refund_that_no_account_got() -> None:
    """The account was deleted while the order waited: 404 for a client that waits and for each later repetition."""
    backend = Async(fails)
    backend.works_while_waiting = False
    backend.order()
    backend.store.remove("users/ann")
    backend.works_while_waiting = True
    for prefer in ("wait=5", "respond-async", None):
        with pytest.raises(UserNotFound):
            backend.order(prefer)


def test_an_image_that_comes_after_the_account_was_closed_is_not_given() -> None:
    """The sweep ended the request without a refund while the model ran."""

    def act(order: ImageOrder, deadline: Deadline) -> str:
        backend.store.remove("users/ann")
        backend.clock.forward(backend.settings.lease_seconds + 1)
        handlers.release_expired_reservations(backend.services)
        return IMAGE_URL

    backend = Async(act)
    with pytest.raises(UserNotFound):
        backend.order(None)


def test_canceling_again_after_the_account_is_gone_finds_no_user() -> None:
    """There is no refund left to tell of."""
    backend = Async()
    request_id = backend.order().reply.generation_request_id
    backend.cancel(request_id)
    for path in [path for path in backend.store.everything() if path.startswith("users/ann")]:
        backend.store.remove(path)
    with pytest.raises(UserNotFound):
        backend.cancel(request_id)


def test_the_queue_gets_no_more_time_than_the_answer_has() -> None:
    """Both for a worker's task and for the webhook of a sale: the purchase's own deadline."""
    deadlines: list[Deadline] = []

    class Noting(ListQueue):
        def enqueue(self, data: Mapping[str, str], deadline: Deadline = NO_DEADLINE) -> bool:
            deadlines.append(deadline)
            return super().enqueue(data)

    backend = Backend(
        queue=lambda function: Noting(),
        COMPLETION_WEBHOOK_URL="http://127.0.0.1:1/hook",
        WEBHOOK_SECRET=f"whsec_{'A' * 32}",
    )
    backend.add_user()
    call = Call(Caller("ann"), backend.deadline())
    for prefer in ("respond-async", None):
        order = GenerationOrder.model_validate({**ORDER, "Idempotency-Key": str(prefer), "Prefer": prefer})
        handlers.create_generation_request(order, call, backend.services)
    assert deadlines == [call.deadline] * 2


def test_each_step_of_the_sweep_runs_though_others_fail() -> None:
    """An index that is missing for one must not keep credits, workers or webhooks back."""
    backend = Async()
    backend.order()
    backend.clock.forward(31)
    asked: list[str] = []

    def refuse(name: str) -> None:
        asked.append(name)
        if name == "RunQuery":
            raise StoreError(StatusCode.FAILED_PRECONDITION)

    backend.store.before_rpc = refuse
    with pytest.raises(StoreError):
        handlers.release_expired_reservations(backend.services)
    assert asked.count("RunQuery") == 3


def test_a_worker_ends_before_the_platform_ends_it() -> None:
    """A claim that takes long leaves the model less time."""
    deadlines: list[Deadline] = []

    def act(order: ImageOrder, deadline: Deadline) -> str:
        deadlines.append(deadline)
        return IMAGE_URL

    backend = Async(act)
    backend.order()
    backend.store.before_rpc = lambda name: backend.stopwatch.forward(5)
    begun_seconds = backend.stopwatch.seconds
    backend.work()
    settling_seconds = backend.services.fulfillment.settling_seconds
    worker_seconds = backend.settings.worker_timeout_seconds
    assert deadlines[0].at_seconds == pytest.approx(begun_seconds + worker_seconds - settling_seconds)


def test_an_order_needs_its_credits() -> None:
    """Refused as a synchronous purchase is, and nothing is enqueued."""
    backend = Async()
    backend.store.put("sizes/512x512", {"credits": 11})
    with pytest.raises(InsufficientCredits):
        backend.order()
    assert backend.queue.tasks == []


def test_an_order_whose_task_is_lost_is_enqueued_again() -> None:
    """The reservation itself remembers what is to do."""
    backend = Async()
    backend.queue.takes = False
    assert isinstance(backend.order(), Accepted)
    backend.queue.takes = True
    handlers.release_expired_reservations(backend.services)
    assert backend.queue.tasks == []
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
    [task] = backend.queue.tasks
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
