"""Buys images under load while a server is killed, then checks every answer and the ledger; exits 1 on a violation.

    benchmarks/run.sh load                           on a Firestore emulator of its own
    benchmarks/run.sh load --users 1 --clients 32 --processes 4 --failure-rate 0 --kills 0
                                                     one user fought over by 4 processes
    python -m benchmarks.load [OPTIONS]              on the emulator that FIRESTORE_EMULATOR_HOST names

Each client buys without pause, with a new Idempotency-Key per purchase, from any of the servers. On a lost connection,
409 and 503 it waits and sends the same key again, to any server, until it gets a final answer. In the middle of the
run servers are killed with SIGKILL and started again on their ports. All the while releaseExpiredReservations is
called every few seconds, as the scheduler would. The first of several users is poor, so that INSUFFICIENT_CREDITS is
among the answers.

Prints requests, answers by kind, throughput, latency, kills, what was released, and the violations.
"""

import argparse
import io
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, redirect_stdout

from benchmarks import books
from benchmarks.buyers import AWAY, BOUGHT, FAILED, IN_FLIGHT, POOR, Buyer, Purchase
from benchmarks.clients import Client, at_once, percentile_ms
from tests.support.projects import Project
from tests.support.servers import FunctionServer

CREATE, RELEASE = "createGenerationRequest", "releaseExpiredReservations"
RICH_CREDITS, POOR_CREDITS = 1_000_000, 100
# Far above what a healthy request takes, so that only one that was killed loses its lease.
LEASE_SECONDS = 20
LEASE = {"TIMEOUT_SECONDS": "10", "RESERVATION_LEASE_SECONDS": str(LEASE_SECONDS)}
SWEEP_SECONDS = 5.0
MAX_VIOLATIONS_SHOWN = 20


class Sweeper:
    """Calls the release function again and again until the context is left."""

    def __init__(self, server: FunctionServer) -> None:
        self._client = Client(server.port)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sweep_on)
        self.statuses = Counter[int]()

    def sweep(self) -> None:
        self.statuses[self._client.post({}).status] += 1

    def _sweep_on(self) -> None:
        while not self._over.wait(SWEEP_SECONDS):
            self.sweep()

    def __enter__(self) -> "Sweeper":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()


def main() -> int:
    options = _options()
    with redirect_stdout(io.StringIO()):
        project = Project.seeded()
    opening_credits = _add_users(project, options.users)
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    print(f"{vars(options)}, {os.cpu_count()} cores, load average before the run: {load}")
    with ExitStack() as stack:
        settings = LEASE | {"AI_FAILURE_RATE": str(options.failure_rate)}
        servers = [
            stack.enter_context(FunctionServer(CREATE, project.id, **settings)) for _ in range(options.processes)
        ]
        release = stack.enter_context(FunctionServer(RELEASE, project.id, **LEASE))
        with Sweeper(release) as sweeper:
            purchases = _buy_while_killing(servers, list(opening_credits), options)
        # What a killed server left, and no client waits for.
        time.sleep(LEASE_SECONDS)
        sweeper.sweep()
    stored = books.stored_requests(project, list(opening_credits))
    _print_figures(purchases, options.seconds)
    print(f"servers killed     {options.kills}")
    print(f"released           {books.released(stored)} reservations; sweeps by status: {dict(sweeper.statuses)}")
    violations = [
        *books.answer_violations(purchases),
        *books.claim_violations(purchases, stored),
        *books.user_violations(project, opening_credits),
    ]
    return _report(violations)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long the clients buy (default: 60)")
    parser.add_argument("--clients", type=int, default=64, help="(default: 64)")
    parser.add_argument("--users", type=int, default=16, help="(default: 16)")
    parser.add_argument("--processes", type=int, default=2, help="servers of createGenerationRequest (default: 2)")
    parser.add_argument("--failure-rate", type=float, default=0.2, help="of the model, 0 to 1 (default: 0.2)")
    parser.add_argument("--kills", type=int, default=1, help="servers killed, evenly over the run (default: 1)")
    return parser.parse_args()


def _add_users(project: Project, count: int) -> dict[str, int]:
    """Creates the users and gives their opening balances."""
    credits = [POOR_CREDITS if count > 1 and number == 0 else RICH_CREDITS for number in range(count)]
    return {project.add_user(opening): opening for opening in credits}


def _buy_while_killing(
    servers: Sequence[FunctionServer], user_ids: Sequence[str], options: argparse.Namespace
) -> list[Purchase]:
    ports = [server.port for server in servers]
    started = time.monotonic()
    with ThreadPoolExecutor(1) as killers:
        killing = killers.submit(_kill, servers, options.kills, options.seconds)
        bought = at_once(options.clients, lambda _: Buyer(ports, user_ids, started, options.seconds).buy_on())
        killing.result()
    return [purchase for purchases in bought for purchase in purchases]


def _kill(servers: Sequence[FunctionServer], kills: int, seconds: float) -> None:
    for number in range(kills):
        time.sleep(seconds / (kills + 1))
        servers[number % len(servers)].restart()


def _print_figures(purchases: Sequence[Purchase], seconds: float) -> None:
    answers = [answer for purchase in purchases for answer in purchase.answers]
    lost = sum(purchase.lost_connections for purchase in purchases)
    print(f"requests           {len(answers) + lost}, for {len(purchases)} purchases")
    for kind, count in Counter(answer.kind for answer in answers).most_common():
        print(f"  {kind:<26} {count}")
    print(f"  {'connection lost':<26} {lost}")
    print(f"replayed answers   {sum('Idempotent-Replayed' in answer.headers for answer in answers)}")
    in_time = sum(purchase.ended_at_seconds <= seconds for purchase in purchases)
    print(f"throughput         {in_time / seconds:.0f} purchases/s")
    print(f"{'latency':<28} {'p50 ms':>7} {'p95 ms':>7} {'p99 ms':>7} {'longest':>7}")
    for kind in (BOUGHT, FAILED, POOR, IN_FLIGHT, AWAY):
        _print_latencies(kind, [answer.latency_seconds for answer in answers if answer.kind == kind])
    print(f"longest purchase   {max(purchase.seconds for purchase in purchases):.1f} s, its retries included")


def _print_latencies(kind: str, latencies_seconds: Sequence[float]) -> None:
    if latencies_seconds:
        figures = [percentile_ms(latencies_seconds, percent) for percent in (50, 95, 99)]
        columns = " ".join(f"{figure:>7.0f}" for figure in [*figures, max(latencies_seconds) * 1000])
        print(f"  {kind:<26} {columns}")


def _report(violations: Sequence[str]) -> int:
    print(f"violations         {len(violations)}")
    for violation in violations[:MAX_VIOLATIONS_SHOWN]:
        print(f"  {violation}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
