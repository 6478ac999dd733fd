"""Time, processor time, memory and documents read of a weekly report over 1,000, 10,000 and 50,000 requests.

Run with benchmarks/run.sh weekly_report. Each size is a project of its own and is measured in a process of its own,
beside a plain stream() of the same documents; the ratio of processor times compares the two on any machine.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from anomalies import Thresholds
from benchmarks import ROOT
from database import Database, RetryPolicy, connect
from projects import SEED, Project
from reports import Reports, Window

END = datetime(2026, 11, 23, tzinfo=UTC)
SIZES = (1_000, 10_000, 50_000)
BATCH = 500


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "PROJECT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(_measured(*options.measure)))
        return 0
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    print(f"{os.cpu_count()} cores, load average before the run: {load}")
    print("requests  what      wall s  cpu s  peak MB  documents  cpu ratio")
    for size in SIZES:
        project = _filled(size)
        figures = {what: _in_a_process(what, project.id) for what in ("report", "stream")}
        for what, figure in figures.items():
            ratio = f"{figure['cpu'] / figures['stream']['cpu']:9.2f}"
            columns = f"{figure['wall']:6.2f} {figure['cpu']:6.2f} {figure['peak']:8.1f} {figure['documents']:10,}"
            print(f"{size:8,}  {what:<8} {columns}  {ratio}")
    return 0


def _filled(size: int) -> Project:
    project = Project.empty()
    chance = random.Random(size)
    for start in range(0, size, BATCH):
        batch = project.client.batch()
        for number in range(start, min(start + BATCH, size)):
            batch.set(project.client.document(f"generationRequests/r{number:06}"), _request(chance))
        batch.commit()
    return project


def _request(chance: random.Random) -> dict[str, Any]:
    created = END - timedelta(seconds=chance.uniform(1, 7 * 86_400 - 1))
    failed = chance.random() < 0.05
    return {
        "userId": f"user-{chance.randrange(2_000)}",
        "model": chance.choice(["model-a", "model-b"]),
        "style": chance.choice(SEED["styles"]),
        "color": chance.choice(SEED["colors"]),
        "size": chance.choice([*SEED["sizes"]]),
        "prompt": "a lighthouse at dawn, painted from memory " * 4,
        "cost": 1,
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


def _measured(what: str, project_id: str) -> dict[str, Any]:
    client = connect(project_id)
    db = Database(lambda: client, RetryPolicy(budget_seconds=240))
    reports = Reports(db, db, Thresholds())
    # The first call pays for the connection.
    client.document("users/nobody").get()
    wall, cpu = time.monotonic(), time.process_time()
    if what == "report":
        fields = reports.make(Window.of_schedule(END), END).fields
        documents = fields["totalRequests"]
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
