"""Time, processor time, memory and documents read of a weekly report over 1,000, 10,000 and 50,000 requests.

Run with benchmarks/run.sh weekly_report, or with FIRESTORE_EMULATOR_HOST set and functions/ on the path as
`python -m benchmarks.weekly_report`. Each size is a project of its own. Each measurement has a process of its own, a
report's beside that of google-cloud-firestore's plain stream() of the same documents, in turns; the ratio of the
smallest processor times compares the two on any machine. The target for 10,000 requests is at most 0.30.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from google.cloud import firestore

from benchmarks import ROOT
from reporting import Reports, Window
from store import RetryPolicy, Store, connect

END = datetime(2026, 11, 23, tzinfo=UTC)
SIZES = (1_000, 10_000, 50_000)
RUNS = 3
BATCH = 500
STYLES = ("realistic", "anime", "oil painting", "sketch", "cyberpunk", "watercolor")
COLORS = ("vibrant", "monochrome", "pastel", "neon", "vintage")
COSTS = {"512x512": 1, "1024x1024": 3, "1024x1792": 4}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "PROJECT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(_measured(*options.measure)))
        return 0
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    print(f"{os.cpu_count()} cores, load average before the run: {load}; the best of {RUNS} runs")
    print("requests  what      wall s  cpu s  peak MB  documents  cpu ratio")
    for size in options.sizes:
        project = _filled(size)
        runs = [{what: _in_a_process(what, project) for what in ("report", "stream")} for _ in range(RUNS)]
        best = {what: min((run[what] for run in runs), key=lambda run: run["cpu"]) for what in runs[0]}
        for what, figure in best.items():
            ratio = f"{figure['cpu'] / best['stream']['cpu']:9.2f}"
            columns = f"{figure['wall']:6.2f} {figure['cpu']:6.2f} {figure['peak']:8.1f} {figure['documents']:10,}"
            print(f"{size:8,}  {what:<8} {columns}  {ratio}", flush=True)
    return 0


def _filled(size: int) -> str:
    """A new project with so many requests in the week before END."""
    project = f"demo-report-{uuid.uuid4().hex[:8]}"
    # The emulator fills every project with the data that it imported.
    documents = f"emulator/v1/projects/{project}/databases/(default)/documents"
    requests.delete(f"http://{os.environ['FIRESTORE_EMULATOR_HOST']}/{documents}", timeout=30).raise_for_status()
    chance = random.Random(size)
    client = firestore.Client(project)
    for start in range(0, size, BATCH):
        batch = client.batch()
        for number in range(start, min(start + BATCH, size)):
            batch.set(client.document(f"generationRequests/r{number:06}"), _request(chance))
        batch.commit()
    return project


def _request(chance: random.Random) -> dict[str, Any]:
    created = END - timedelta(seconds=chance.uniform(1, 7 * 86_400 - 1))
    failed = chance.random() < 0.05
    size = chance.choice([*COSTS])
    return {
        "userId": f"user-{chance.randrange(2_000)}",
        "model": chance.choice(["model-a", "model-b"]),
        "style": chance.choice(STYLES),
        "color": chance.choice(COLORS),
        "size": size,
        "prompt": "a lighthouse at dawn, painted from memory " * 4,
        "cost": COSTS[size],
        "status": "failed" if failed else "completed",
        **({"failure": "GENERATION_FAILED"} if failed else {"imageUrl": "https://images.example.com/model-a/x.png"}),
        "createdAt": created,
        "updatedAt": created + timedelta(seconds=chance.expovariate(0.2)),
        "leaseExpiresAt": created + timedelta(seconds=600),
        "attemptId": f"{chance.getrandbits(128):032x}",
        "fingerprint": f"{chance.getrandbits(256):064x}",
    }


def _in_a_process(what: str, project_id: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.weekly_report", "--measure", what, project_id]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _measured(what: str, project: str) -> dict[str, Any]:
    client, store = (
        firestore.Client(project),
        Store(lambda: connect(project), RetryPolicy(max_seconds=240, rpc_share=1)),
    )
    # The first call pays for the connection.
    client.document("users/nobody").get()
    store.read_one("users/nobody")
    wall, cpu = time.monotonic(), time.process_time()
    if what == "report":
        documents = Reports(store, store).make(Window.of_schedule(END), END).usage.total
    else:
        documents = sum(1 for _ in client.collection("generationRequests").stream())
    # Kilobytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "wall": time.monotonic() - wall,
        "cpu": time.process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6,
        "documents": documents,
    }


if __name__ == "__main__":
    sys.exit(main())
