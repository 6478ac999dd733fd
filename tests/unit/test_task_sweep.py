"""The sweep that asks again for lost tasks, on orders that wait for a worker."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from credits.claims import Claims
from credits.documents import GENERATION_REQUESTS, WORKER_DUE_AT
from store import NO_DEADLINE, Deadline
from task_sweep import PAGE_SIZE, TaskSweep
from tests.support.builders import Books, counter_ids
from tests.support.queues import ListQueue

OVERDUE_SECONDS, PAUSE_SECONDS, CLAIM_SECONDS = 30.0, 240.0, 240.0


@pytest.fixture
def books() -> Books:
    books = Books()
    books.add_user(credits=1_000)
    return books


def sweep(books: Books, queue: ListQueue) -> TaskSweep:
    overdue, pause = timedelta(seconds=OVERDUE_SECONDS), timedelta(seconds=PAUSE_SECONDS)
    return TaskSweep(books.store, queue, GENERATION_REQUESTS, WORKER_DUE_AT, "generationRequestId", overdue, pause)


def claims(books: Books) -> Claims:
    return Claims(books.store, counter_ids("claim"), CLAIM_SECONDS)


def test_an_order_that_waits_gets_another_task(books: Books) -> None:
    """Once it is overdue, and not again before that task had time to come."""
    queue = ListQueue()
    reservation = books.order()
    assert sweep(books, queue).run() == 0
    books.clock.forward(OVERDUE_SECONDS)
    assert sweep(books, queue).run() == 1
    assert queue.tasks == [{"generationRequestId": reservation.request_id}]
    books.clock.forward(PAUSE_SECONDS)
    assert sweep(books, queue).run() == 0
    books.clock.forward(OVERDUE_SECONDS)
    assert sweep(books, queue).run() == 1


def test_a_claim_that_was_not_used_gets_another_task(books: Books) -> None:
    """Once its time is over and the order is overdue again: its worker has died."""
    queue = ListQueue()
    assert claims(books).claim(books.order().request_id)
    books.clock.forward(CLAIM_SECONDS)
    assert sweep(books, queue).run() == 0
    books.clock.forward(OVERDUE_SECONDS + 1)
    assert sweep(books, queue).run() == 1


def test_what_the_queue_does_not_take_is_asked_for_by_the_next_sweep(books: Books) -> None:
    """It keeps its time, so it waits for no pause."""
    books.order()
    books.clock.forward(OVERDUE_SECONDS)
    assert sweep(books, ListQueue(takes=False)).run() == 0
    assert sweep(books, ListQueue()).run() == 1


def test_a_task_that_comes_meanwhile_keeps_its_claim(books: Books) -> None:
    """The sweep changes nothing that is newer than what it saw."""
    reservation = books.order()
    books.clock.forward(OVERDUE_SECONDS)

    class Meanwhile(ListQueue):
        def enqueue(self, data: Mapping[str, str], deadline: Deadline = NO_DEADLINE) -> bool:
            assert claims(books).claim(data["generationRequestId"])
            return super().enqueue(data)

    assert sweep(books, Meanwhile()).run() == 1
    stored = books.fields(reservation.document.path)
    assert stored[WORKER_DUE_AT] == stored["claimableAt"]


def test_a_queue_that_is_away_does_not_keep_a_sweep(books: Books) -> None:
    """When the time for tasks is over, none is asked for, and no further page is read."""
    for number in range(PAGE_SIZE + 1):
        books.order(f"k{number}")
    books.clock.forward(OVERDUE_SECONDS)
    queries: list[str] = []
    books.store.before_rpc = queries.append
    queue = ListQueue()
    assert replace(sweep(books, queue), max_seconds=0).run() == 0
    assert (queue.tasks, queries.count("RunQuery")) == ([], 1)
