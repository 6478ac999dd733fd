"""Runs the checks and the tests and says SUCCESS or FAILURE. run-tests.sh becomes this; see its --help."""

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from dev import ROOT, Problem, emulators, environment, toolchain
from dev.supervise import run, say, supervising

CHECKS = ("ruff format --check --quiet .", "ruff check --quiet .", "mypy")
# A worker is idle half of the time, since it waits for servers. tests/conftest.py says which tests stay together.
SIDE_BY_SIDE = ("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder")
NO_TESTS_COLLECTED = 5


def main(*arguments: str) -> int:
    try:
        with supervising():
            cli = toolchain.prepare(tests=True)
            toolchain.has_site()
            env = environment.clean_env() | ({"THOROUGH": "1"} if "--thorough" in arguments else {})
            failed = run_all(cli, env, [argument for argument in arguments if argument != "--thorough"])
    except Problem as problem:
        failed = [str(problem)]
    except SystemExit:
        say("\nFAILURE: interrupted")
        raise
    say(f"FAILURE: {', '.join(failed)}" if failed else "SUCCESS")
    return 1 if failed else 0


def run_all(cli: str, env: dict[str, str], arguments: list[str]) -> list[str]:
    """Runs the tests and, unless the arguments name tests, the checks; returns the names of those that failed."""
    paths = {argument: path for argument in arguments if (path := test_path(argument))}
    tests = [paths.get(argument, argument) for argument in arguments]
    one_file = len(paths) == 1 and ".py" in str(paths)
    with ExitStack() as stack:
        its = emulators.for_tests()
        needs_emulators = not paths or any(not path.startswith("tests/unit") for path in paths.values())
        if needs_emulators:
            # They start while the checks run. The option skips the Java optimisations that pay off after minutes.
            running = stack.enter_context(its.started(cli, {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1", **env}))
        failed = [] if paths else [check for check in CHECKS if section(check, env, *check.split())]
        if needs_emulators:
            its.wait_until_ready(*running)
            env |= its.addresses
        status = section("tests", env, "pytest", *(() if one_file else SIDE_BY_SIDE), *tests)
    if status == NO_TESTS_COLLECTED:
        return [*failed, "no test was selected"]
    if status and needs_emulators:
        say(f"What the emulators and the functions said: {its.log.relative_to(ROOT)}")
    return [*failed, "tests"] if status else failed


def section(name: str, env: dict[str, str], module: str, *arguments: str) -> int:
    """Runs a module of the tests' venv; prints its name before and its outcome after its output."""
    say(f"== {name}")
    started = time.monotonic()
    status = run([str(toolchain.TESTS_VENV / "bin" / "python"), "-m", module, *arguments], env)
    say(f"== {name}: {f'failed with status {status}' if status else 'passed'} ({time.monotonic() - started:.1f} s)")
    return status


def test_path(argument: str) -> str | None:
    """The argument as a path in tests/, relative to the repository; None if it is not one."""
    file, *names = argument.split("::")
    for base in (ROOT, Path(os.environ.get("CALLER_DIR", ROOT))):
        path = (base / file).resolve()
        if not file.startswith("-") and path.exists() and path.is_relative_to(ROOT / "tests"):
            return "::".join((str(path.relative_to(ROOT)), *names))
    if file.startswith("tests/"):
        raise Problem(f"there is no {file}")
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
