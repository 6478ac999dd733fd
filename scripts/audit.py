"""Audits the ledger of an emulator or a real project, reading only; names each violation and exits 1 on any.

It audits the emulator if FIRESTORE_EMULATOR_HOST is set, otherwise the project, with Application Default Credentials.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from google.auth.exceptions import DefaultCredentialsError

from credits.audit import Audit
from errors import Unavailable
from project_client import exit_without_credentials
from store import Connection, Store, connect


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
    connection = connection_to(options.project)
    audit = Audit(Store(lambda: connection), lambda: datetime.now(UTC), options.grace_seconds)
    try:
        return report([(options.user, audit.of_user(options.user))] if options.user else counted(audit.of_all_users()))
    except Unavailable as error:
        sys.exit(error.message)


def connection_to(project: str) -> Connection:
    """Ends the script with one clear line if there are no credentials for the project."""
    try:
        return connect(project)
    except DefaultCredentialsError:
        exit_without_credentials("FIRESTORE_EMULATOR_HOST=127.0.0.1:8080")


def report(audited: Iterable[tuple[str, list[str]]]) -> int:
    """Prints each violation and how many there are; 1 if there is any."""
    users, found = set(), 0
    for user_id, violations in audited:
        users.add(user_id)
        found += len(violations)
        for violation in violations:
            print(violation)
    # A request of nobody comes under an empty id.
    print(f"{len(users - {''})} users audited, {found} violations.")
    return 1 if found else 0


def counted(audited: Iterator[tuple[str, list[str]]]) -> Iterator[tuple[str, list[str]]]:
    """Passes the audits on, and shows on a terminal how many there were."""
    for number, audit in enumerate(audited, 1):
        if sys.stderr.isatty():
            print(f"\r{number} audited", end="", file=sys.stderr)
        yield audit


if __name__ == "__main__":
    sys.exit(main())
