"""Handing work to a queue: what the queue is sent, what it delivers, and what happens if it does not answer."""

import json
import socket
import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from store import Deadline
from task_queue import CloudTasks, NoQueue
from tests.support.raw_server import HEAD, Act, hang_up, raw_server
from tests.support.servers import wait_until
from tests.support.task_emulator import DONE, TaskEmulator, Worker

BUSY = DONE.replace(b"200 OK", b"503 Busy")
HOST = "CLOUD_TASKS_EMULATOR_HOST"
DATA = {"generationRequestId": "r1"}


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def emulator(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[TaskEmulator]:
    with raw_server(worker) as url, TaskEmulator(url, retry_seconds=0.01) as started:
        monkeypatch.setenv(HOST, started.host)
        yield started


def queue(function: str = "generateImage", dispatch_seconds: int = 240, max_seconds: float = 60) -> CloudTasks:
    return CloudTasks("demo-tasks", "europe-west1", function, dispatch_seconds, max_seconds)


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in "".join(capsys.readouterr()).splitlines()]


def test_a_task_calls_its_function_with_its_data(worker: Worker, emulator: TaskEmulator) -> None:
    """In the queue of the function's own project and region; the data is in "data", where the function reads it."""
    assert queue().enqueue(DATA)
    emulator.wait_until_idle()
    assert worker.received == [("/generateImage", {"data": DATA})]
    [task] = emulator.taken
    assert (task.project, task.region, task.function) == ("demo-tasks", "europe-west1", "generateImage")
    assert (task.data, task.dispatch_deadline) == (DATA, "240s")


@pytest.mark.parametrize(("asked", "sent"), [(1, "15s"), (15, "15s"), (1800, "1800s"), (3600, "1800s")])
def test_the_time_of_a_call_stays_in_the_limits_of_cloud_tasks(emulator: TaskEmulator, asked: int, sent: str) -> None:
    """15 seconds to 30 minutes; the library refuses the rest."""
    assert queue(dispatch_seconds=asked).enqueue(DATA)
    assert emulator.taken[0].dispatch_deadline == sent


def test_several_queues_of_one_process_do_not_disturb_each_other(worker: Worker, emulator: TaskEmulator) -> None:
    """Each calls its own function, from many tasks at once."""
    one, two = queue("one"), queue("two")
    assert all(each.enqueue({"number": str(number)}) for number in range(10) for each in (one, two))
    emulator.wait_until_idle()
    wanted = [(f"/{name}", {"data": {"number": str(number)}}) for name in ("one", "two") for number in range(10)]
    assert sorted(worker.received, key=str) == sorted(wanted, key=str)


def test_the_emulator_delivers_again_until_the_function_succeeds(worker: Worker, emulator: TaskEmulator) -> None:
    """After an error, and after a connection that broke."""
    worker.answers = [BUSY, b"", DONE]
    assert queue().enqueue(DATA)
    emulator.wait_until_idle()
    assert [status for _, status in emulator.answers] == [503, None, 200]
    assert worker.received == [("/generateImage", {"data": DATA})] * 3


def test_the_emulator_can_lose_tasks(worker: Worker, emulator: TaskEmulator) -> None:
    """It takes them and delivers none of them; the next one arrives."""
    emulator.lose = 2
    tasks = queue()
    assert [tasks.enqueue({"number": str(number)}) for number in range(3)] == [True] * 3
    emulator.wait_until_idle()
    assert worker.received == [("/generateImage", {"data": {"number": "2"}})]


def test_the_emulator_can_deliver_twice(worker: Worker, emulator: TaskEmulator) -> None:
    """Each copy until it succeeds."""
    emulator.copies = 2
    worker.answers = [BUSY]
    assert queue().enqueue(DATA)
    emulator.wait_until_idle()
    assert len(worker.received) == 3


def test_the_emulator_can_hold_tasks(worker: Worker, emulator: TaskEmulator) -> None:
    """Until they are released; later ones are not held."""
    emulator.holds = True
    tasks = queue()
    assert tasks.enqueue({"number": "0"})
    emulator.wait_until_idle()
    assert worker.received == []
    emulator.release()
    assert tasks.enqueue({"number": "1"})
    emulator.wait_until_idle()
    assert sorted(body["data"]["number"] for _, body in worker.received) == ["0", "1"]


def test_the_emulator_ends_while_a_function_fails(worker: Worker) -> None:
    """What it has not delivered by then is lost."""
    worker.answers = [BUSY] * 10_000
    with raw_server(worker) as url, pytest.MonkeyPatch.context() as patch:
        with TaskEmulator(url, retry_seconds=0.01) as emulator:
            patch.setenv(HOST, emulator.host)
            assert queue().enqueue(DATA)
            wait_until(lambda: len(emulator.answers) > 1, "a second delivery")
        assert emulator.answers[-1][1] == 503


@pytest.mark.parametrize(
    ("status", "error", "advice"),
    [
        (403, "PermissionDeniedError", "Cloud Tasks Enqueuer"),
        (404, "NotFoundError", "Deploy the function"),
        (400, "InvalidArgumentError", None),
    ],
)
def test_a_refused_task_is_logged_with_what_to_do(
    emulator: TaskEmulator, capsys: pytest.CaptureFixture[str], status: int, error: str, advice: str | None
) -> None:
    """Nothing is raised, and nothing of the task's data is logged."""
    emulator.refuse_with = status
    assert not queue().enqueue({"generationRequestId": "secret"})
    [line] = logged(capsys)
    assert (line["message"], line["severity"], line["error"]) == ("task not enqueued", "ERROR", error)
    assert line["function"] == "generateImage"
    assert ("advice" in line) == (advice is not None)
    assert (advice or "") in line.get("advice", "")
    assert "secret" not in str(line)


def garbage(connection: socket.socket, request: bytes) -> None:
    connection.sendall(HEAD + b"Content-Length: 3\r\n\r\n{]?")


@pytest.mark.parametrize("act", [hang_up, garbage], ids=["hangs up", "no JSON"])
def test_a_broken_answer_is_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], act: Act
) -> None:
    """Nothing is raised. The task may be in the queue or not; a sweep asks again."""
    with raw_server(act) as url:
        monkeypatch.setenv(HOST, url.removeprefix("http://"))
        assert not queue().enqueue(DATA)
    assert [line["message"] for line in logged(capsys)] == ["task not enqueued"]


def test_missing_credentials_are_logged_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each time anew, since they may come."""
    monkeypatch.delenv(HOST, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    tasks = queue()
    assert not tasks.enqueue(DATA)
    assert not tasks.enqueue(DATA)
    lines = logged(capsys)
    assert [line["error"] for line in lines] == ["DefaultCredentialsError"] * 2
    assert all("gcloud auth application-default login" in line["advice"] for line in lines)


def test_a_queue_that_does_not_answer_costs_the_caller_a_limited_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many callers there were before: what has not begun to be sent by then never is."""
    may_answer, asked = Event(), []

    def wait(connection: socket.socket, request: bytes) -> None:
        asked.append(request)
        may_answer.wait(60)

    with raw_server(wait) as url:
        monkeypatch.setenv(HOST, url.removeprefix("http://"))
        tasks = queue(max_seconds=0.2)
        begin = time.monotonic()
        assert [tasks.enqueue(DATA) for _ in range(12)] == [False] * 12
        assert time.monotonic() - begin < 30
        may_answer.set()
    lines = logged(capsys)
    assert {(line["message"], line["severity"], line["error"]) for line in lines} == {
        ("task not enqueued", "WARNING", "no answer in time")
    }
    assert len(lines) == 12


def test_a_queue_that_does_not_answer_costs_the_caller_no_more_than_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer of a purchase that was sold must leave before the platform cuts it off."""
    may_answer = Event()

    def wait(connection: socket.socket, request: bytes) -> None:
        may_answer.wait(60)

    with raw_server(wait) as url:
        monkeypatch.setenv(HOST, url.removeprefix("http://"))
        begin = time.monotonic()
        assert not queue(max_seconds=60).enqueue(DATA, Deadline.after(0.2))
        assert time.monotonic() - begin < 30
        may_answer.set()


def test_without_a_queue_nothing_is_enqueued() -> None:
    """It says so, and logs nothing: sweeps do the work."""
    assert not NoQueue().enqueue(DATA)
