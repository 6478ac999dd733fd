"""Starts the Auth and Firestore emulators on free ports, runs one benchmark and ends both. run.sh becomes this."""

import shlex
import sys

from dev import Problem, emulators, toolchain
from dev.supervise import run, say, supervising
from dev.test_run import environment

NAMES = ("history", "latency", "load", "weekly_report")


def main(name: str, *options: str) -> int:
    with supervising():
        cli = toolchain.prepare(tests=True)
        benchmark = shlex.join([str(toolchain.TESTS_VENV / "bin" / "python"), "-m", f"benchmarks.{name}", *options])
        with emulators.for_tests().configured() as configuration:
            command = [cli, "emulators:exec", *configuration, "--only", "auth,firestore"]
            return run([*command, benchmark], environment())


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        sys.exit(f"Usage: benchmarks/run.sh {'|'.join(NAMES)} [OPTIONS]")
    try:
        sys.exit(main(*sys.argv[1:]))
    except Problem as problem:
        say(str(problem))
        sys.exit(1)
