"""Audits the ledger of an emulator or a real project and prints each violation. It writes nothing.

It audits the emulator if FIRESTORE_EMULATOR_HOST is set, otherwise the project, with Application Default Credentials.
Exits with 1 on any violation, and with 2 if it finds no user, which probably means the wrong project.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator

from credits.audit import Audit, Audited
from project_client import exit_on_store_error, project_store
from store import DEFAULT_DATABASE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", required=True, help="the Firebase project's id")
    parser.add_argument("--database", default=DEFAULT_DATABASE, help="the Firestore database's id, if it has a name")
    parser.add_argument("--user", help="audit this user only")
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=0.0,
        help="how long past its lease a request may be pending (on a live project: 60, the time between two sweeps)",
    )
    options = parser.parse_args()
    audit = Audit(project_store(options.project, options.database), options.grace_seconds)
    with exit_on_store_error():
        return report([audit.of_user(options.user)] if options.user else with_progress(audit.of_all_users()))


def report(audited: Iterable[Audited]) -> int:
    """Prints each violation, each deleted account and the totals; returns the exit status."""
    users, deleted, found = 0, 0, 0
    for each in audited:
        users += each.exists
        deleted += each.is_deleted
        found += len(each.violations)
        if each.is_deleted:
            print(f"users/{each.user_id}: the account was deleted (no violation)")
        for violation in each.violations:
            print(violation)
    print(f"{users} users audited, {deleted} deleted accounts, {found} violations.", flush=True)
    if found:
        return 1
    if not users:
        print("There is no such user here. Is it the right project?", file=sys.stderr)
        return 2
    return 0


def with_progress(audited: Iterator[Audited]) -> Iterator[Audited]:
    """Passes the audits on, and shows on a terminal how many there were."""
    for number, audit in enumerate(audited, 1):
        if sys.stderr.isatty():
            print(f"\r{number} audited", end="", file=sys.stderr)
        yield audit


if __name__ == "__main__":
    sys.exit(main())
