"""Prints a purchase's time and processor time beside its floor, and beside an older checkout.

    benchmarks/run.sh floor [--old CHECKOUT]     on emulators of its own

The floor is an empty HTTP function plus the three round trips of a purchase as bare protobuf calls. Each function runs
on functions-framework (gunicorn), one process with 32 threads. Cases are interleaved: every round runs each case once,
every other round in reverse, and the first round is a warm-up. Figures are medians over the rounds, with their range.
`--old` names a checkout (git worktree) with a functions/venv, whose createGenerationRequest is measured too.
"""

import argparse
import os
import statistics
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.cloud.firestore_v1 import types

from benchmarks.clients import Answer, Client, at_once, image_order, percentile_ms, spread
from store.client import emulator_channel
from tests.support.projects import Project
from tests.support.servers import EMPTY, FunctionServer

CREATE = "createGenerationRequest"
OPENING_CREDITS = 1_000_000
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
SERVICE = "/google.firestore.v1.Firestore"


@dataclass(frozen=True, slots=True)
class Shown:
    """What one case showed in one round."""

    p50_ms: float
    cpu_ms: float
    per_second: float
    kinds: Counter[str]


@dataclass(slots=True)
class Case:
    """Something to measure for some seconds."""

    name: str
    measure: Callable[[float], Shown]
    rounds: list[Shown] = field(default_factory=list)

    def median(self, figure: str) -> float:
        return float(statistics.median(getattr(shown, figure) for shown in self.rounds))

    def spread(self, figure: str, digits: int = 2) -> str:
        return spread([getattr(shown, figure) for shown in self.rounds], digits)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=Path, help="a checkout of an older commit, to measure beside this one")
    parser.add_argument("--rounds", type=int, default=7, help="rounds counted, after the warm-up (default: 7)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a case in a round (default: 3)")
    options = parser.parse_args()
    project = Project.seeded()
    with ExitStack() as servers:
        empty = servers.enter_context(FunctionServer(EMPTY, project.id))
        new = servers.enter_context(FunctionServer(CREATE, project.id))
        cases = [
            Case("empty function", lambda seconds: ask(empty, project, 1, 1, seconds)),
            Case("bare round trips", lambda seconds: bare(project, seconds)),
            *buying_cases("new", new, project),
        ]
        if options.old:
            old = servers.enter_context(FunctionServer(CREATE, project.id, options.old.resolve() / "functions"))
            cases += buying_cases("old", old, project)
        run_rounds(cases, options.rounds, options.seconds)
    print_figures(cases)
    return 0


def buying_cases(name: str, server: FunctionServer, project: Project) -> list[Case]:
    """One client; many clients with a user each; many clients of one user."""

    def case(clients: int, users: int) -> Case:
        return Case(
            f"{name} purchase {clients} x {users}", lambda seconds: ask(server, project, clients, users, seconds)
        )

    return [case(1, 1), case(8, 8), case(32, 32), case(8, 1)]


def cpu_seconds_of(server: FunctionServer) -> float:
    """Processor time of all processes of the server so far; they are one group."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == server.process.pid:
                total += int(fields[11]) + int(fields[12])
    return total / CLOCK_TICKS


def ask(server: FunctionServer, project: Project, clients: int, users: int, seconds: float) -> Shown:
    """So many clients ask without pause, spread over so many new users."""
    user_ids = [project.add_user(OPENING_CREDITS) for _ in range(users)]
    started, cpu_seconds = time.monotonic(), cpu_seconds_of(server)

    def ask_on(number: int) -> list[Answer]:
        client, answers = Client(server.port), []
        while time.monotonic() < started + seconds:
            answers.append(client.post(image_order(user_ids[number % users])))
        client.close()
        return answers

    answers = [answer for answers in at_once(clients, ask_on) for answer in answers]
    cpu_seconds = cpu_seconds_of(server) - cpu_seconds
    return shown([answer.latency_seconds for answer in answers], cpu_seconds, started, [a.kind for a in answers])


def bare(project: Project, seconds: float) -> Shown:
    """The three round trips of a purchase on gRPC's own stubs, with the documents of a purchase."""
    host = os.environ["FIRESTORE_EMULATOR_HOST"]
    with emulator_channel(host) as channel:
        trips = RoundTrips(channel, project, project.add_user(OPENING_CREDITS))
        started, cpu_seconds = time.monotonic(), time.process_time()
        latencies = []
        while time.monotonic() < started + seconds:
            began = time.perf_counter()
            trips.run()
            latencies.append(time.perf_counter() - began)
        cpu_seconds = time.process_time() - cpu_seconds
    return shown(latencies, cpu_seconds, started, ["200"] * len(latencies))


def shown(latencies: Sequence[float], cpu_seconds: float, started: float, kinds: Sequence[str]) -> Shown:
    count = max(len(latencies), 1)
    elapsed_seconds = time.monotonic() - started
    return Shown(percentile_ms(latencies, 50), cpu_seconds / count * 1000, count / elapsed_seconds, Counter(kinds))


class RoundTrips:
    """BatchGet of four documents, a commit of four writes, a commit of two; nothing around them."""

    def __init__(self, channel: Any, project: Project, user_id: str) -> None:
        self._database = f"projects/{project.id}/databases/(default)"
        self._user_id = user_id
        self._credits = OPENING_CREDITS
        self._metadata = (("google-cloud-resource-prefix", self._database), ("authorization", "Bearer owner"))
        self._get = types.BatchGetDocumentsRequest.pb()
        self._commit_type = types.CommitRequest.pb()
        self._batch_get = channel.unary_stream(
            f"{SERVICE}/BatchGetDocuments",
            request_serializer=self._get.SerializeToString,
            response_deserializer=types.BatchGetDocumentsResponse.pb().FromString,
        )
        self._commit = channel.unary_unary(
            f"{SERVICE}/Commit",
            request_serializer=self._commit_type.SerializeToString,
            response_deserializer=types.CommitResponse.pb().FromString,
        )

    def run(self) -> None:
        request_id = uuid.uuid4().hex
        request, user = self._name(f"generationRequests/{request_id}"), self._name(f"users/{self._user_id}")
        entry = self._name(f"users/{self._user_id}/transactions/{request_id}-deduction")
        in_flight = self._name(f"inFlight/{self._user_id}")
        read = self._get(database=self._database, documents=[user, request, entry, in_flight])
        answers = list(self._batch_get(read, timeout=10, metadata=self._metadata))
        version = next(it.found.update_time for it in answers if it.found.name == user)
        self._credits -= 1
        lease = f"leases.`{request_id}`"
        first = self._commit_type(database=self._database)
        created = self._write(first, request, exists=False)
        for name in ("userId", "model", "style", "color", "size", "status", "attemptId", "fingerprint"):
            created.update.fields[name].string_value = "a value of some length, as stored"
        for name in ("createdAt", "updatedAt", "leaseExpiresAt"):
            created.update.fields[name].timestamp_value.GetCurrentTime()
        created.update.fields["cost"].integer_value = 1
        taken = self._write(first, user, version=version)
        taken.update.fields["credits"].integer_value = self._credits
        taken.update_mask.field_paths.append("credits")
        written = self._write(first, entry, exists=False)
        written.update.fields["credits"].integer_value = 1
        written.update.fields["balanceAfter"].integer_value = self._credits
        written.update.fields["type"].string_value = "deduction"
        written.update_transforms.add(field_path="timestamp", set_to_server_value=1)
        flying = self._write(first, in_flight)
        flying.update.fields["leases"].map_value.fields[request_id].timestamp_value.GetCurrentTime()
        flying.update_mask.field_paths.append(lease)
        result = self._commit(first, timeout=10, metadata=self._metadata)
        second = self._commit_type(database=self._database)
        ended = self._write(second, request, version=result.write_results[0].update_time)
        ended.update.fields["status"].string_value = "completed"
        ended.update.fields["imageUrl"].string_value = "https://images.example.com/model-a/1.png"
        ended.update.fields["updatedAt"].timestamp_value.GetCurrentTime()
        ended.update_mask.field_paths.extend(["status", "imageUrl", "updatedAt"])
        cleared = self._write(second, in_flight)
        cleared.update_mask.field_paths.append(lease)
        self._commit(second, timeout=10, metadata=self._metadata)

    def _write(self, request: Any, name: str, version: Any = None, exists: bool | None = None) -> Any:
        write = request.writes.add()
        write.update.name = name
        if version is not None:
            write.current_document.update_time.CopyFrom(version)
        if exists is not None:
            write.current_document.exists = exists
        return write

    def _name(self, path: str) -> str:
        return f"{self._database}/documents/{path}"


def run_rounds(cases: Sequence[Case], rounds: int, seconds: float) -> None:
    for number in range(rounds + 1):
        for case in reversed(cases) if number % 2 else cases:
            result = case.measure(seconds)
            if number:
                case.rounds.append(result)


def print_figures(cases: Sequence[Case]) -> None:
    print(f"{os.cpu_count()} cores; medians of {len(cases[0].rounds)} rounds, in brackets their range")
    print(f"{'case':<24} {'p50 ms':>22} {'processor ms each':>22} {'per second':>22}  answers")
    for case in cases:
        kinds = sum((shown.kinds for shown in case.rounds), Counter[str]())
        answers = ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items()))
        figures = [case.spread("p50_ms"), case.spread("cpu_ms"), case.spread("per_second", 0)]
        print(f"{case.name:<24} {' '.join(f'{figure:>22}' for figure in figures)}  {answers}")
    named = {case.name: case for case in cases}
    floor_ms = named["empty function"].median("p50_ms") + named["bare round trips"].median("p50_ms")
    ratio = named["new purchase 1 x 1"].median("p50_ms") / floor_ms
    print(f"purchase over its floor ({floor_ms:.2f} ms): {ratio:.2f} (target: at most 1.35)")
    for load in ("8 x 8", "32 x 32", "8 x 1"):
        if old := named.get(f"old purchase {load}"):
            gain = named[f"new purchase {load}"].median("per_second") / old.median("per_second")
            print(f"throughput {load}: {gain:.2f} times the old (target: at least 1.5)")


if __name__ == "__main__":
    sys.exit(main())
