"""Deliveries: what an attempt, a sweep and an admin make of them."""

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from grpc import StatusCode

from credits.grants import Grants
from credits.orders import Order
from errors import BrokenDocument, DeliveryNotFound, InvalidRequest
from events import Event, Silent
from store import NO_DEADLINE, Deadline, Opaque, StoreError
from tests.support.builders import Books, failing
from tests.support.memory import MemoryStore
from tests.support.queues import ListQueue
from tests.unit.webhooks.helpers import DATA, EVENT, SECRET, TAKEN, URL, Desk
from webhooks.deliveries import Deliveries, NotTaken
from webhooks.documents import EVENTS, REPORTS, Delivery
from webhooks.sender import AttemptResult, Receiver

DOWN = AttemptResult("status 500")
DAYS = 86_400.0


def test_a_receiver_that_takes_it_ends_the_delivery() -> None:
    """The answer is stored, and a second task does nothing; it is kept for 30 days."""
    desk = Desk()
    desk.deliveries.attempt(EVENT.id)
    desk.deliveries.attempt(EVENT.id)
    ((receiver, delivery, at),) = desk.sent
    stored = desk.stored()
    assert (receiver.url, delivery.data, delivery.created_at) == (URL, DATA, stored["createdAt"])
    assert (stored["status"], stored["attempts"], stored["lastAnswer"]) == ("delivered", 1, "200")
    assert stored["lastAttemptAt"] == at
    assert stored["expiresAt"] == stored["createdAt"] + timedelta(days=30)


def test_a_failed_attempt_is_recorded_and_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    """The error makes the queue try again, and no sweep asks before the queue's longest pause is over."""
    desk = Desk(DOWN, AttemptResult("redirect 302"), TAKEN)
    for attempts, words in ((1, "status 500"), (2, "redirect 302")):
        with pytest.raises(NotTaken):
            desk.deliveries.attempt(EVENT.id)
        stored = desk.stored()
        assert (stored["status"], stored["attempts"], stored["lastAnswer"]) == ("pending", attempts, words)
        assert stored["dueAt"] == stored["lastAttemptAt"] + timedelta(hours=2)
        assert "expiresAt" not in stored
    desk.deliveries.attempt(EVENT.id)
    assert (desk.stored()["status"], desk.stored()["attempts"]) == ("delivered", 3)
    assert len({delivery.id for _, delivery, _ in desk.sent}) == 1
    assert "s3cret" not in "".join(capsys.readouterr())


def test_it_is_given_up_after_three_days(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an error: the queue need not try again."""
    desk = Desk(DOWN)
    desk.clock.forward(3 * DAYS - 1)
    with pytest.raises(NotTaken):
        desk.deliveries.attempt(EVENT.id)
    desk.clock.forward(2)
    desk.deliveries.attempt(EVENT.id)
    assert (desk.stored()["status"], desk.stored()["attempts"]) == ("failed", 2)
    assert "expiresAt" in desk.stored()
    assert "webhook given up" in capsys.readouterr().err


def test_what_is_not_there_ends_its_task() -> None:
    """It was deleted after 30 days, or never stored."""
    desk = Desk()
    desk.deliveries.attempt("other")
    assert desk.sent == []


@pytest.mark.parametrize(
    "fields",
    [
        {"type": 5},
        {"target": "me"},
        {"data": "x"},
        {"data": {"at": datetime(2026, 3, 9, tzinfo=UTC)}},
        {"data": {"x": [Opaque("geo_point", b"x")]}},
        {"data": {"x": float("nan")}},
        {"status": "odd"},
        {"attempts": -1},
        {"attempts": True},
        {"createdAt": "today"},
        {"queuedAt": None},
        {"queuedAt": datetime(9999, 12, 31, tzinfo=UTC)},
        {"lastAttemptAt": 5},
        {"lastAnswer": 200},
    ],
)
def test_a_broken_delivery_is_left_alone(fields: Mapping[str, Any]) -> None:
    """It is not sent, the list shows the others, and an admin who sends it again is told."""
    desk = Desk()
    desk.put(Event("other", "x", {}))
    desk.change(**fields)
    with pytest.raises(BrokenDocument):
        desk.deliveries.attempt(EVENT.id)
    assert desk.sent == []
    # What has no time is not in its order.
    if isinstance(desk.stored()["createdAt"], datetime):
        assert [each.id for each in desk.deliveries.page(None, 10).found] == ["other"]
    with pytest.raises(BrokenDocument):
        desk.deliveries.send_again(EVENT.id)


@pytest.mark.parametrize(("target", "secret", "words"), [(REPORTS, SECRET, "no address"), (EVENTS, "", "no secret")])
def test_without_address_or_secret_nothing_is_sent(target: str, secret: str, words: str) -> None:
    """The settings changed meanwhile; an event is never sent unsigned."""
    desk = Desk(secret=secret)
    desk.change(target=target)
    with pytest.raises(NotTaken):
        desk.deliveries.attempt(EVENT.id)
    assert (desk.sent, desk.stored()["lastAnswer"]) == ([], words)


def test_a_report_goes_out_without_a_secret_too() -> None:
    """Without WEBHOOK_SECRET, a report is sent to REPORT_WEBHOOK_URL unsigned."""
    desk = Desk()
    deliveries = Deliveries(desk.store, desk.queue, {REPORTS: Receiver(URL, "")}, desk.send)
    desk.change(target=REPORTS)
    deliveries.attempt(EVENT.id)
    assert desk.stored()["status"] == "delivered"


@pytest.mark.parametrize(("mine", "other"), [(DOWN, TAKEN), (TAKEN, DOWN), (TAKEN, TAKEN), (DOWN, DOWN)])
def test_two_tasks_at_once_leave_it_delivered_if_one_was(mine: AttemptResult, other: AttemptResult) -> None:
    """Whoever records last does not undo a delivery."""
    desk = Desk()

    def send(receiver: Receiver, delivery: Delivery, at: datetime) -> AttemptResult:
        desk.clock.forward(1)
        try:
            Deliveries(desk.store.beside(), desk.queue, {EVENTS: receiver}, lambda *_: other).attempt(EVENT.id)
        except NotTaken:
            assert not other.is_success
        return mine

    deliveries = Deliveries(desk.store, desk.queue, {EVENTS: Receiver(URL, SECRET)}, send)
    if mine.is_success or other.is_success:
        deliveries.attempt(EVENT.id)
    else:
        with pytest.raises(NotTaken):
            deliveries.attempt(EVENT.id)
    assert desk.stored()["status"] == ("delivered" if mine.is_success or other.is_success else "pending")


@pytest.mark.parametrize("hook", ["before_rpc", "after_rpc"])
def test_a_commit_whose_answer_is_lost_counts_once(hook: str) -> None:
    """It is recorded again only if it was not applied."""
    desk = Desk()
    setattr(desk.store, hook, failing(StatusCode.UNAVAILABLE))
    desk.deliveries.attempt(EVENT.id)
    assert (desk.stored()["status"], desk.stored()["attempts"]) == ("delivered", 1)


def test_a_delivery_that_is_deleted_while_it_is_sent_ends() -> None:
    """There is nothing to record."""
    desk = Desk()

    def send(receiver: Receiver, delivery: Delivery, at: datetime) -> AttemptResult:
        desk.store.remove(f"webhookDeliveries/{EVENT.id}")
        return DOWN

    Deliveries(desk.store, desk.queue, {EVENTS: Receiver(URL, SECRET)}, send).attempt(EVENT.id)


# --- The sweep ---


def test_what_has_no_task_is_enqueued_again_after_a_minute() -> None:
    """Once: the next sweep leaves it to that task, until it must be lost too."""
    desk = Desk()
    desk.clock.forward(59)
    assert desk.deliveries.enqueue_due() == 0
    desk.clock.forward(2)
    assert (desk.deliveries.enqueue_due(), desk.deliveries.enqueue_due()) == (1, 0)
    assert desk.queue.tasks == [{"deliveryId": EVENT.id}]
    desk.clock.forward(7_261)
    assert desk.deliveries.enqueue_due() == 1


def test_a_queue_that_takes_nothing_is_asked_again_by_the_next_sweep() -> None:
    """The delivery stays due."""
    desk = Desk()
    desk.queue.takes = False
    desk.clock.forward(61)
    assert desk.deliveries.enqueue_due() == 0
    desk.queue.takes = True
    assert desk.deliveries.enqueue_due() == 1


def test_a_sweep_meets_every_page() -> None:
    """More deliveries than one page has."""
    desk = Desk()
    for number in range(250):
        desk.put(Event(f"e{number}", "x", {}))
    desk.clock.forward(61)
    assert desk.deliveries.enqueue_due() == 251


def test_what_ended_is_not_enqueued() -> None:
    """Delivered or failed."""
    desk = Desk()
    desk.put(Event("other", "x", {}))
    desk.deliveries.attempt(EVENT.id)
    desk.change("other", status="failed")
    desk.clock.forward(40 * DAYS)
    assert desk.deliveries.enqueue_due() == 0


def test_an_attempt_during_the_sweep_keeps_its_own_time() -> None:
    """Its record is newer than what the sweep saw."""
    desk = Desk()
    desk.clock.forward(61)

    class Meanwhile(ListQueue):
        def enqueue(self, data: Mapping[str, str], deadline: Deadline = NO_DEADLINE) -> bool:
            desk.deliveries.attempt(data["deliveryId"])
            return True

    Deliveries(desk.store, Meanwhile(), {EVENTS: Receiver(URL, SECRET)}, desk.send).enqueue_due()
    assert desk.stored()["status"] == "delivered"


# --- The list, and sending again ---


def test_the_list_has_the_newest_first_in_pages() -> None:
    """Of one status or of all."""
    desk = Desk()
    for number in range(3):
        desk.clock.forward(1)
        desk.put(Event(f"e{number}", "x", {}))
    desk.deliveries.attempt("e1")
    first = desk.deliveries.page(None, 3)
    assert ([each.id for each in first.found], first.last_id) == (["e2", "e1", "e0"], "e0")
    rest = desk.deliveries.page(None, 3, first.last_id)
    assert ([each.id for each in rest.found], rest.last_id) == ([EVENT.id], None)
    assert [each.id for each in desk.deliveries.page("delivered", 3).found] == ["e1"]


def test_a_page_after_nothing_is_refused() -> None:
    """It was deleted, or the token is made up."""
    with pytest.raises(InvalidRequest):
        Desk().deliveries.page(None, 3, "other")


@pytest.mark.parametrize("answer", [TAKEN, DOWN])
def test_it_is_sent_again_on_request_under_the_same_id(answer: AttemptResult) -> None:
    """Whatever became of it; it has three days again, and is not deleted meanwhile."""
    desk = Desk(answer, TAKEN)
    desk.clock.forward(4 * DAYS)
    desk.deliveries.attempt(EVENT.id)
    queued = desk.deliveries.send_again(EVENT.id)
    assert (queued.id, queued.status, queued.attempts) == (EVENT.id, "pending", 1)
    assert desk.queue.tasks[-1] == {"deliveryId": EVENT.id}
    assert (desk.stored()["status"], "expiresAt" in desk.stored()) == ("pending", False)
    desk.deliveries.attempt(EVENT.id)
    assert (desk.stored()["status"], desk.stored()["attempts"]) == ("delivered", 2)
    assert desk.stored()["expiresAt"] == desk.stored()["queuedAt"] + timedelta(days=30)
    (_, first, _), (_, second, _) = desk.sent
    assert (first.id, first.data, first.created_at) == (second.id, second.data, second.created_at)


def test_a_resent_delivery_is_not_given_up_at_its_first_failure() -> None:
    """Its three days begin with the request."""
    desk = Desk(DOWN)
    desk.clock.forward(4 * DAYS)
    desk.deliveries.attempt(EVENT.id)
    desk.deliveries.send_again(EVENT.id)
    with pytest.raises(NotTaken):
        desk.deliveries.attempt(EVENT.id)


def test_what_is_unknown_cannot_be_sent_again() -> None:
    """An id that no delivery has raises DeliveryNotFound, and nothing is enqueued."""
    desk = Desk()
    with pytest.raises(DeliveryNotFound):
        desk.deliveries.send_again("other")
    assert desk.queue.tasks == []


# --- The outbox ---


def granting(books: Books, queue: ListQueue, url: str = URL) -> Deliveries:
    """Lets the grants of these books tell of themselves."""
    deliveries = Deliveries(books.store, queue, {EVENTS: Receiver(url, SECRET)})
    numbers = itertools.count(1)
    books.grants = Grants(books.store, lambda: f"attempt{next(numbers)}", deliveries.outbox(EVENTS))
    return deliveries


def grant(books: Books, key: str = "key") -> None:
    books.grants.grant(Order.with_key(key, "ann", 5, "Order 1", "root"))


def told(store: MemoryStore) -> list[dict[str, Any]]:
    return [fields for path, fields in store.everything().items() if path.startswith("webhookDeliveries/")]


def test_a_grant_leaves_a_delivery_and_a_task_once() -> None:
    """In its own commit; a replay tells nothing again."""
    books, queue = Books(), ListQueue()
    granting(books, queue)
    commits: list[str] = []
    books.store.after_rpc = commits.append
    grant(books)
    grant(books)
    assert commits.count("Commit") == 1
    (delivery,) = told(books.store)
    assert delivery["type"] == "credits.granted"
    assert (
        delivery["createdAt"]
        == books.fields("users/ann/transactions/" + delivery["data"]["transactionId"])["timestamp"]
    )
    expected = {"userId": "ann", "credits": 5, "reason": "Order 1", "currentCredits": 5}
    assert {name: delivery["data"][name] for name in expected} == expected
    assert len(queue.tasks) == 1


def test_a_grant_whose_answer_was_lost_tells_once() -> None:
    """The commit was applied; the second look finds it."""
    books, queue = Books(), ListQueue()
    granting(books, queue)
    books.store.after_rpc = failing(StatusCode.UNAVAILABLE)
    grant(books)
    assert (len(told(books.store)), len(queue.tasks)) == (1, 1)


def test_a_grant_that_is_refused_tells_nothing() -> None:
    """Nothing was committed."""
    books, queue = Books(), ListQueue()
    granting(books, queue)
    books.store.before_rpc = failing(StatusCode.PERMISSION_DENIED)
    with pytest.raises(StoreError):
        grant(books)
    assert (told(books.store), queue.tasks) == ([], [])


def test_a_delivery_that_is_there_already_keeps_no_grant_from_being_made() -> None:
    """Somebody with the console stored it: the ledger does not care."""
    books, queue = Books(), ListQueue()
    granting(books, queue)
    grant(books, "first")
    (path,) = (path for path in books.store.everything() if path.startswith("webhookDeliveries/"))
    for each in [*books.store.everything()]:
        if each != path:
            books.store.remove(each)
    grant(books, "first")
    assert books.balance() >= 5


def test_a_queue_that_is_away_costs_the_grant_nothing() -> None:
    """The sweep asks again."""
    books, queue = Books(), ListQueue(takes=False)
    deliveries = granting(books, queue)
    grant(books)
    queue.takes = True
    books.clock.forward(61)
    assert (books.balance(), deliveries.enqueue_due()) == (5, 1)


def test_without_an_address_nothing_is_stored() -> None:
    """And nothing is enqueued."""
    books, queue = Books(), ListQueue()
    deliveries = granting(books, queue, url="")
    grant(books)
    assert (told(books.store), queue.tasks) == ([], [])
    assert isinstance(deliveries.outbox(EVENTS), Silent)
