"""Prints how long a page of getUserCredits takes with a short and with a long history.

    benchmarks/run.sh history                        on a Firestore emulator of its own
    python -m benchmarks.history [OPTIONS]           on the one that FIRESTORE_EMULATOR_HOST names

Each user is in a project of their own, since the emulator scans all users' entries for each query; Firestore reads a
page from an index. So the bare query, as the client library sends it, is timed beside the endpoint: what the endpoint
adds is our own. The rounds are interleaved, and the first is a warm-up that is not counted.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout

from benchmarks.clients import Client
from tests.support.projects import Project
from tests.support.servers import FunctionServer

USER = "reader"


def main() -> None:
    options = _options()
    sizes = (options.short, options.long)
    with redirect_stdout(io.StringIO()):
        projects = {size: _with_history(size) for size in sizes}
    with ExitStack() as servers:
        ports = {
            size: servers.enter_context(FunctionServer("getUserCredits", projects[size].id)).port for size in sizes
        }
        times_ms = _rounds(options, projects, ports)
    print(f"{'entries':>8} {'endpoint ms':>12} {'bare query ms':>14} {'difference ms':>14}")
    medians = {key: statistics.median(found) for key, found in times_ms.items()}
    for size in sizes:
        endpoint, query = medians["endpoint", size], medians["query", size]
        print(f"{size:>8} {endpoint:>12.1f} {query:>14.1f} {endpoint - query:>14.1f}")
    short, long = sizes
    ours = [medians["endpoint", size] - medians["query", size] for size in sizes]
    ratio = medians["endpoint", long] / medians["endpoint", short]
    print(f"long over short: endpoint {ratio:.2f}, what it adds to the query {ours[1] / ours[0]:.2f}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", type=int, default=10, help="entries (default: 10)")
    parser.add_argument("--long", type=int, default=10_000, help="entries (default: 10000)")
    parser.add_argument("--page-size", type=int, default=10, help="(default: 10, so that both pages are as large)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds counted (default: 9)")
    parser.add_argument("--calls", type=int, default=40, help="calls a round (default: 40)")
    return parser.parse_args()


def _rounds(
    options: argparse.Namespace, projects: dict[int, Project], ports: dict[int, int]
) -> dict[tuple[str, int], list[float]]:
    times_ms: dict[tuple[str, int], list[float]] = {}
    for number in range(options.rounds + 1):
        for size, project in projects.items():
            ask = _endpoint(ports[size], options.page_size)
            query = _bare_query(project, options.page_size)
            for kind, act in (("endpoint", ask), ("query", query)):
                median_ms = _median_ms(act, options.calls)
                if number > 0:
                    times_ms.setdefault((kind, size), []).append(median_ms)
    return times_ms


def _endpoint(port: int, page_size: int) -> Callable[[], None]:
    client = Client(port)

    def ask() -> None:
        answer = client.get(f"/?userId={USER}&pageSize={page_size}")
        assert len(answer.body["transactions"]) == page_size, answer

    return ask


def _bare_query(project: Project, page_size: int) -> Callable[[], None]:
    query = project.client.collection(f"users/{USER}/transactions").order_by("timestamp", direction="DESCENDING")

    def ask() -> None:
        assert len(list(query.limit(page_size + 1).stream())) >= page_size

    return ask


def _median_ms(act: Callable[[], None], calls: int) -> float:
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def _with_history(entries: int) -> Project:
    project = Project.seeded()
    project.add_user(0, USER)
    project.add_history(USER, entries)
    return project


if __name__ == "__main__":
    main()
