"""Prints latency, throughput, Firestore round trips per call, and import time.

    benchmarks/run.sh latency                        on emulators of its own
    python -m benchmarks.latency [OPTIONS]           on those that the emulators' variables name

One functions-framework process (gunicorn, THREADS=32) per function; getUserCredits gives a page of 50 entries. The
rounds are interleaved: each runs every case once, every other one in reverse, and the first is a warm-up that is not
counted. A figure is the median over the rounds. Server, emulator and clients share the machine, so the figures compare
cases, not machines.
"""

import argparse
import io
import os
import platform
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import config
import handlers
import services
from benchmarks import ROOT
from benchmarks.clients import Answer, Client, at_once, image_order, percentile_ms, spread
from calls import Call, Caller
from errors import ApiError
from handlers import Services
from schemas.requests import CreditsQuery, GenerationOrder
from store import NO_DEADLINE, Connection
from tests.support.identities import Account
from tests.support.projects import Project
from tests.support.rpcs import counting_connection
from tests.support.servers import FunctionServer

OPENING_CREDITS = 1_000_000
HISTORY_ENTRIES = 60
IMPORT_RUNS = 5
LIBRARIES = (
    "from firebase_functions import https_fn, params, scheduler_fn; from firebase_admin import auth; "
    "from pydantic import BaseModel, BeforeValidator, RootModel; "
    "from google.cloud.firestore_v1 import types; import google.auth.transport.grpc, google.auth.transport.requests"
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Case:
    """So many clients, each asking without pause, spread over so many users of `function`."""

    function: str
    clients: int
    users: int
    port: int
    user_ids: Callable[[], Sequence[str]]
    ask: Callable[[Client, str], Answer]


@dataclass(frozen=True, slots=True)
class Round:
    """What one case showed in one round."""

    p50_ms: float
    p95_ms: float
    answers_per_second: float
    kinds: Counter[str]


def main() -> None:
    options = _options()
    _print_machine()
    _print_round_trips()
    _print_import_times()
    _print_latencies(options.rounds, options.seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="rounds counted, after the warm-up (default: 7)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each case in a round (default: 3)")
    return parser.parse_args()


def _print_machine() -> None:
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load average before the run: {load}")


def _print_latencies(rounds: int, seconds: float) -> None:
    # Two, since the emulator's queries slow down with the entries of all users of a project; Firestore's do not.
    buying, reading = _silently(Project.seeded), _silently(Project.seeded)
    with ExitStack() as servers:
        generate = servers.enter_context(FunctionServer("createGenerationRequest", buying.id))
        credits = servers.enter_context(FunctionServer("getUserCredits", reading.id))
        checked = servers.enter_context(FunctionServer("createGenerationRequest", buying.id, REQUIRE_AUTH="true"))
        cases = [
            *_buying_cases(buying, generate.port),
            *_checked_cases(buying, checked.port),
            *_reading_cases(reading, credits.port),
        ]
        history = _run_rounds(cases, rounds, seconds)
    print(f"\nLatency and throughput: medians of {rounds} rounds of {seconds:g} s; in brackets the rounds' range")
    print(f"{'function':<30} {'clients':>7} {'users':>5} {'p50 ms':>18} {'p95 ms':>18} {'answers/s':>18}  answers")
    for case, shown in zip(cases, history, strict=True):
        _print_case(case, shown)
    one, many = (
        next(i for i, case in enumerate(cases) if case.clients == 32 and case.users == users) for users in (1, 32)
    )
    ratios = [a.p95_ms / b.p95_ms for a, b in zip(history[one], history[many], strict=True)]
    print(f"p95 of 32 clients on one user over p95 of 32 clients on 32 users: {spread(ratios, 2)}")


def _buying_cases(project: Project, port: int) -> list[Case]:
    return [
        Case("createGenerationRequest", clients, users, port, _new_users(project, users), _buy)
        for clients, users in ((1, 1), (8, 8), (8, 1), (32, 32), (32, 1))
    ]


def _checked_cases(project: Project, port: int) -> list[Case]:
    """The same with an ID token, which the function checks with the Auth emulator each time."""

    def new_accounts(count: int) -> list[str]:
        accounts = [Account.new(project.id) for _ in range(count)]
        return [project.add_user(OPENING_CREDITS, account.user_id) for account in accounts]

    def buy(client: Client, user_id: str) -> Answer:
        return client.post(image_order(user_id), Account(project.id, user_id).headers())

    name = "createGenerationRequest, token"
    return [Case(name, clients, clients, port, partial(new_accounts, clients), buy) for clients in (1, 8, 32)]


def _new_users(project: Project, count: int) -> Callable[[], Sequence[str]]:
    # New ones in each round, so that no round has the longer histories.
    return lambda: [project.add_user(OPENING_CREDITS) for _ in range(count)]


def _reading_cases(project: Project, port: int) -> list[Case]:
    user_id = project.add_user(OPENING_CREDITS)
    project.add_history(user_id, HISTORY_ENTRIES)
    return [Case("getUserCredits", clients, 1, port, lambda: [user_id], _look) for clients in (1, 8)]


def _buy(client: Client, user_id: str) -> Answer:
    return client.post(image_order(user_id))


def _look(client: Client, user_id: str) -> Answer:
    return client.get(f"/?userId={user_id}")


def _run_rounds(cases: Sequence[Case], rounds: int, seconds: float) -> list[list[Round]]:
    history: list[list[Round]] = [[] for _ in cases]
    for number in range(rounds + 1):
        order = list(enumerate(cases))
        for index, case in reversed(order) if number % 2 else order:
            shown = _run(case, seconds)
            if number:
                history[index].append(shown)
    return history


def _run(case: Case, seconds: float) -> Round:
    user_ids = case.user_ids()
    started = time.monotonic()

    def ask_on(number: int) -> list[Answer]:
        client = Client(case.port)
        answers = []
        while time.monotonic() < started + seconds:
            answers.append(case.ask(client, user_ids[number % len(user_ids)]))
        client.close()
        return answers

    answers = [answer for answers in at_once(case.clients, ask_on) for answer in answers]
    elapsed_seconds = time.monotonic() - started
    latencies = [answer.latency_seconds for answer in answers]
    return Round(
        percentile_ms(latencies, 50),
        percentile_ms(latencies, 95),
        len(answers) / elapsed_seconds,
        Counter(answer.kind for answer in answers),
    )


def _print_case(case: Case, rounds: Sequence[Round]) -> None:
    kinds = sum((shown.kinds for shown in rounds), Counter[str]())
    figures = [
        spread([shown.p50_ms for shown in rounds], 1),
        spread([shown.p95_ms for shown in rounds], 1),
        spread([shown.answers_per_second for shown in rounds], 0),
    ]
    answers = ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items()))
    columns = " ".join(f"{figure:>18}" for figure in figures)
    print(f"{case.function:<30} {case.clients:>7} {case.users:>5} {columns}  {answers}")


def _print_round_trips() -> None:
    project = _silently(Project.seeded)
    connection, sent = counting_connection(project.id, os.environ["FIRESTORE_EMULATOR_HOST"])
    works, fails = (_services(project.id, connection, rate) for rate in ("0", "1"))
    for built in (works, fails):
        built.catalog.current()
    user_id = project.add_user()
    call = Call(Caller(user_id), NO_DEADLINE)
    keyed = GenerationOrder.model_validate({**image_order(user_id), "Idempotency-Key": "benchmark"})
    bare = GenerationOrder.model_validate(image_order(user_id))
    query = CreditsQuery.model_validate({"userId": user_id})
    print("\nFirestore round trips per call, the catalog cached:")
    for name, use_case in (
        ("success", partial(handlers.create_generation_request, keyed, call, works)),
        ("replay with the same Idempotency-Key", partial(handlers.create_generation_request, keyed, call, works)),
        ("model failure", partial(handlers.create_generation_request, bare, call, fails)),
        ("getUserCredits", partial(handlers.get_user_credits, query, call, works)),
    ):
        sent.clear()
        answer = _silently(partial(_answer_of, use_case))
        print(f"  {name:<38} {len(sent)}  {', '.join(sent)} (answered {answer})")


def _services(project_id: str, connection: Connection, failure_rate: str) -> Services:
    environ = {"GCLOUD_PROJECT": project_id, "AI_FAILURE_RATE": failure_rate}
    return services.build(config.load(environ), connect=lambda: connection)


def _answer_of(use_case: Callable[[], object]) -> str:
    try:
        use_case()
    except ApiError as error:
        return f"{error.http_status} {error.reason}"
    return "200"


def _print_import_times() -> None:
    python = ROOT / "functions" / "venv" / "bin" / "python"
    statements = ("import main", LIBRARIES)
    _import_seconds(python, statements[0])  # Compiles what is not compiled yet.
    times = [[_import_seconds(python, statement) for statement in statements] for _ in range(IMPORT_RUNS)]
    ours, libraries = ([pair[i] for pair in times] for i in (0, 1))
    ratio = statistics.median(ours) / statistics.median(libraries)
    print(f"\nStart of a Python process that imports, medians of {IMPORT_RUNS} interleaved runs:")
    print(f"  main                {spread([seconds * 1000 for seconds in ours], 0)} ms")
    print(f"  its libraries alone {spread([seconds * 1000 for seconds in libraries], 0)} ms")
    print(f"  ratio of medians    {ratio:.2f} (target: at most 1.25)")


def _import_seconds(python: Path, statement: str) -> float:
    started = time.perf_counter()
    subprocess.run([python, "-c", statement], cwd=ROOT / "functions", check=True)
    return time.perf_counter() - started


def _silently(work: Callable[[], T]) -> T:
    with redirect_stdout(io.StringIO()):
        return work()


if __name__ == "__main__":
    main()
