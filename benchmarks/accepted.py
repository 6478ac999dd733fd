"""Prints how long an order takes until it is accepted, beside a synchronous purchase and the reserving half of one.

    benchmarks/run.sh accepted [OPTIONS]     on emulators of its own, Cloud Tasks' among them

`Prefer: respond-async` until its 202; the same function without model and completion, which answers once the credits
are reserved; a whole purchase; and an order where there is no queue to ask for a worker. Each is on functions-framework
(gunicorn), one process with 32 threads, and there is one client, which asks each in turn, every other time in reverse.
The first round is a warm-up. Pending requests of a user make each reservation larger, so every round has new users.
Tasks go to a function that does nothing: workers run elsewhere in production, and here they would share the processor
with what is measured.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import requests

from benchmarks.clients import Client, image_order, percentile_ms, spread
from tests.support.projects import Project
from tests.support.servers import EMPTY, RESERVING_HALF, FunctionServer

OPENING_CREDITS = 1_000_000
TARGET_RATIO = 1.3
CREATE, WORKER, REGION = "createGenerationRequest", "generateImage", "us-central1"
TASKS_HOST = "CLOUD_TASKS_EMULATOR_HOST"


@dataclass(slots=True)
class Case:
    """One way to buy, and how long each round's calls took, in seconds."""

    name: str
    port: int
    headers: Mapping[str, str]
    rounds: list[list[float]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def p50s_ms(self) -> list[float]:
        return [percentile_ms(latencies, 50) for latencies in self.rounds]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="rounds counted, after the warm-up (default: 15)")
    parser.add_argument("--calls", type=int, default=40, help="calls of each case in a round (default: 40)")
    options = parser.parse_args()
    project = Project.seeded()
    with ExitStack() as servers:
        idle = servers.enter_context(FunctionServer(EMPTY, project.id))
        make_queue(project, idle.port)
        buying = servers.enter_context(FunctionServer(CREATE, project.id, **{TASKS_HOST: os.environ[TASKS_HOST]}))
        half = servers.enter_context(FunctionServer(RESERVING_HALF, project.id))
        unheard = servers.enter_context(FunctionServer(CREATE, project.id, **{TASKS_HOST: ""}))
        cases = [
            Case("order until 202", buying.port, {"Prefer": "respond-async"}),
            Case("reserving half", half.port, {}),
            Case("whole purchase", buying.port, {}),
            Case("order, no queue", unheard.port, {"Prefer": "respond-async"}),
        ]
        for number in range(options.rounds + 1):
            measure(project, cases, options.calls, is_counted=number > 0)
        lost = buying.log().count("task not enqueued")
    print_figures(cases)
    print(f"tasks that the queue did not take: {lost}")
    return 1 if lost or not has_tasks(project) else 0


def make_queue(project: Project, port: int) -> None:
    """The worker's queue, as the CLI makes it for a project that it serves."""
    queue = f"http://{os.environ[TASKS_HOST]}/projects/{project.id}/locations/{REGION}/queues/{WORKER}"
    requests.post(queue, json={"defaultUri": f"http://127.0.0.1:{port}/"}, timeout=30).raise_for_status()


def has_tasks(project: Project) -> bool:
    """Whether the queue was given any task in the last minutes."""
    queues = requests.get(f"http://{os.environ[TASKS_HOST]}/queueStats", timeout=30).json()
    return bool(queues[f"queue:{project.id}-{REGION}-{WORKER}"]["tasksAdded"])


def measure(project: Project, cases: Sequence[Case], calls: int, *, is_counted: bool) -> None:
    """One round."""
    users = [project.add_user(OPENING_CREDITS) for _ in cases]
    clients = [Client(case.port) for case in cases]
    found: list[list[float]] = [[] for _ in cases]
    for number in range(calls):
        turns = range(len(cases))
        for index in reversed(turns) if number % 2 else turns:
            answer = clients[index].post(image_order(users[index]), cases[index].headers)
            found[index].append(answer.latency_seconds)
            if is_counted:
                cases[index].kinds[answer.kind] += 1
    for client in clients:
        client.close()
    if is_counted:
        for case, latencies in zip(cases, found, strict=True):
            case.rounds.append(latencies)


def print_figures(cases: Sequence[Case]) -> None:
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    print(f"{os.cpu_count()} cores, load average {load}; medians of {len(cases[0].rounds)} rounds, with their range")
    for case in cases:
        answers = ", ".join(f"{count} x {kind}" for kind, count in sorted(case.kinds.items()))
        print(f"{case.name:<18} p50 {spread(case.p50s_ms())} ms  {answers}")
    order, half, whole, unheard = (case.p50s_ms() for case in cases)
    print(f"order over reserving half: {_ratio(order, half)} (target: at most {TARGET_RATIO})")
    print(f"order over whole purchase: {_ratio(order, whole)}")
    print(f"order without queue over reserving half: {_ratio(unheard, half)}")


def _ratio(one: Sequence[float], other: Sequence[float]) -> str:
    return spread([a / b for a, b in zip(one, other, strict=True)])


if __name__ == "__main__":
    sys.exit(main())
