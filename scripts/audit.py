"""Audits the books of an emulator or a real project, reading only; names each violation and exits 1 on any.

Where FIRESTORE_EMULATOR_HOST is set the emulator is meant, else the project, with Application Default Credentials.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from audits import Audits
from database import Database
from project_client import project_client

BAR_WIDTH = 40


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", required=True, help="the Firebase project's id")
    parser.add_argument("--user", help="audit this user only")
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=0.0,
        help="how long past its lease a request may be pending (on a live project: 300, the time between two sweeps)",
    )
    options = parser.parse_args()
    client = project_client(options.project)
    audits = Audits(Database(lambda: client), lambda: datetime.now(UTC), options.grace_seconds)
    if options.user is not None:
        audited: Iterable[tuple[str, list[str]]] = [(options.user, audits.of_user(options.user))]
    else:
        [[total]] = client.collection("users").count().get()
        audited = with_bar(audits.of_everybody(), int(total.value))
    users, found = set(), 0
    for user_id, violations in audited:
        users.add(user_id)
        found += len(violations)
        for violation in violations:
            print(violation)
    print(f"{len(users - {''})} users audited, {found} violations.")
    return 1 if found else 0


def with_bar(audited: Iterator[tuple[str, list[str]]], total: int) -> Iterator[tuple[str, list[str]]]:
    """Passes the audits on and shows on a terminal how far they are."""
    for number, audit in enumerate(audited, 1):
        if sys.stderr.isatty():
            done = min(number, total)
            filled = BAR_WIDTH * done // max(total, 1)
            end = "\n" if done == total else ""
            print(f"\r[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done}/{total} users", end=end, file=sys.stderr)
        yield audit


if __name__ == "__main__":
    sys.exit(main())
