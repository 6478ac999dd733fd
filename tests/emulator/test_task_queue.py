"""CloudTasks with the real Tasks emulator."""

import os

import requests

from task_queue import CloudTasks
from tests.support.raw_server import raw_server
from tests.support.servers import wait_until
from tests.support.task_emulator import Worker

PROJECT, REGION = "demo-tasks", "europe-west1"


def test_the_real_emulator_delivers_what_is_enqueued() -> None:
    """In a region that is not the default one, to the function of the queue, with its data; else it says so."""
    worker, function = Worker(), f"worker{os.getpid()}"
    with raw_server(worker) as url:
        # As the Functions emulator does for each task-queue function.
        host = os.environ["CLOUD_TASKS_EMULATOR_HOST"]
        made = f"http://{host}/projects/{PROJECT}/locations/{REGION}/queues/{function}"
        requests.post(made, json={"defaultUri": f"{url}/{function}"}, timeout=30).raise_for_status()
        tasks = CloudTasks(PROJECT, REGION, function, 240)
        assert [tasks.enqueue({"number": str(number)}) for number in range(5)] == [True] * 5
        wait_until(lambda: len(worker.received) == 5, "the delivery of each task")
    assert {path for path, _ in worker.received} == {f"/{function}"}
    assert sorted(body["data"]["number"] for _, body in worker.received) == ["0", "1", "2", "3", "4"]
    assert not CloudTasks(PROJECT, "us-central1", function, 240).enqueue({"number": "5"})
