"""Starts the emulators on free ports, runs one benchmark and ends them. run.sh becomes this."""

import sys

from dev import Problem, emulators, environment, toolchain
from dev.supervise import run, say, supervising

NAMES = ("accepted", "detector", "drawing", "floor", "history", "latency", "load", "weekly_report")
# These need none.
WITHOUT_EMULATORS = ("detector", "drawing")


def main(name: str, *options: str) -> int:
    with supervising():
        cli = toolchain.prepare(tests=True)
        env = environment.clean_env()
        python = str(toolchain.TESTS_VENV / "bin" / "python")
        if name in WITHOUT_EMULATORS:
            return run([python, "-m", f"benchmarks.{name}", *options], env)
        its = emulators.for_tests()
        with its.started(cli, env) as running:
            its.wait_until_ready(*running)
            return run([python, "-m", f"benchmarks.{name}", *options], env | its.addresses)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        sys.exit(f"Usage: benchmarks/run.sh {'|'.join(NAMES)} [OPTIONS]")
    try:
        sys.exit(main(*sys.argv[1:]))
    except Problem as problem:
        say(str(problem))
        sys.exit(1)
