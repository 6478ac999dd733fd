"""Runs the checks and the tests and says SUCCESS or FAILURE. run-tests.sh becomes this; its --help tells the rest."""

import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from dev import ROOT, Problem, emulators, toolchain
from dev.emulators import EmulatorRun
from dev.supervise import Process, run, say, supervising

CHECKS = ("ruff format --check --quiet .", "ruff check --quiet .", "mypy")
UNIT, EMULATOR = "tests/unit", "tests/emulator"
# With the emulators a worker is idle half of the time.
UNIT_WORKERS, EMULATOR_WORKERS = "2", "4"
NO_TESTS_COLLECTED = 5
# A setting of the user's shell must not change a result, so only what programs need to run at all is passed on.
KEPT = re.compile(
    "PATH|HOME|USER|LOGNAME|SHELL|LANG|TZ|TMPDIR|TERM|COLUMNS|NO_COLOR|FORCE_COLOR|CI|JAVA_HOME|JAVA_TOOL_OPTIONS"
    "|FIREBASE_EMULATORS_PATH|FIRESTORE_EMULATOR_BINARY_PATH|SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS"
    "|(LC|XDG|PYTEST|HYPOTHESIS)_.*|.*_(proxy|PROXY)"
)


def main(*arguments: str) -> int:
    options = [argument for argument in arguments if argument != "--thorough"]
    try:
        with supervising():
            cli = toolchain.prepare(tests=True)
            failed = run_all(cli, options, environment(thorough="--thorough" in arguments))
    except Problem as problem:
        failed = [str(problem)]
    except SystemExit:
        say("FAILURE: interrupted")
        raise
    say(f"FAILURE: {', '.join(failed)}" if failed else "SUCCESS")
    return 1 if failed else 0


def run_all(cli: str, arguments: list[str], env: dict[str, str]) -> list[str]:
    """Runs each section that was asked for, even if one before it failed; gives the names of those that failed."""
    paths = {argument: path for argument in arguments if (path := test_path(argument))}
    options = [argument for argument in arguments if argument not in paths]
    unit, emulator = (tests_below(folder, [*paths.values()]) for folder in (UNIT, EMULATOR))
    statuses: dict[str, int] = {}
    with ExitStack() as stack:
        if emulator:
            its = emulators.for_tests()
            # They get ready while the other sections run.
            running = stack.enter_context(its.started(cli, env))
        for check in () if paths else CHECKS:
            statuses[check] = section(check, tool, env, *check.split())
        if unit:
            statuses["unit tests"] = section("unit tests", pytest, env, UNIT_WORKERS, unit, options)
        if emulator:
            statuses["emulator tests"] = section("emulator tests", emulator_tests, its, running, env, emulator, options)
    if all(status == NO_TESTS_COLLECTED for name, status in statuses.items() if name not in CHECKS):
        return ["no test was selected"]
    return [name for name, status in statuses.items() if status not in (0, NO_TESTS_COLLECTED)]


def section(name: str, action: Callable[..., int], *arguments: object) -> int:
    """One part of the run, with its name before and its outcome after its output."""
    say(f"== {name}")
    started = time.monotonic()
    try:
        status = action(*arguments)
    except Problem as problem:
        say(str(problem))
        status = 1
    outcome = {0: "passed", NO_TESTS_COLLECTED: "no test selected"}.get(status, f"failed with status {status}")
    say(f"== {name}: {outcome} ({time.monotonic() - started:.1f} s)")
    return status


def tool(env: dict[str, str], name: str, *arguments: str) -> int:
    return run([str(toolchain.TESTS_VENV / "bin" / "python"), "-m", name, *arguments], env)


def pytest(env: dict[str, str], workers: str, tests: list[str], options: list[str]) -> int:
    """Files side by side, each whole since its tests share servers; one file alone is sooner done without."""
    is_one_file = len(tests) == 1 and ".py" in tests[0]
    side_by_side = [] if is_one_file else ["-n", workers, "--dist", "loadfile", "--no-loadscope-reorder"]
    return tool(env, "pytest", *side_by_side, *tests, *options)


def emulator_tests(
    its: EmulatorRun, running: tuple[Process, BinaryIO], env: dict[str, str], tests: list[str], options: list[str]
) -> int:
    its.wait_until_ready(*running)
    told = {
        "FUNCTIONS_BASE_URL": its.functions_url,
        "FIRESTORE_EMULATOR_HOST": its.address("firestore"),
        "FIREBASE_AUTH_EMULATOR_HOST": its.address("auth"),
        "GCLOUD_PROJECT": its.project,
    }
    status = pytest(env | told, EMULATOR_WORKERS, tests, options)
    if status not in (0, NO_TESTS_COLLECTED):
        say(f"What the emulators and the functions said: {its.log.relative_to(ROOT)}")
    return status


def environment(*, thorough: bool = False) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    return kept | {"PYTHONUNBUFFERED": "1"} | ({"THOROUGH": "1"} if thorough else {})


def test_path(argument: str) -> str | None:
    """What this argument names below tests/, from the root of the repository; the caller may stand elsewhere."""
    file, *names = argument.split("::")
    for base in (ROOT, Path(os.environ.get("CALLER_DIR", ROOT))):
        path = (base / file).resolve()
        if not file.startswith("-") and path.exists() and path.is_relative_to(ROOT / "tests"):
            return "::".join((str(path.relative_to(ROOT)), *names))
    return None


def tests_below(folder: str, asked: list[str]) -> list[str]:
    """The tests of a folder that are asked for: all, if the folder or one above it is, or nothing at all."""
    if not asked or any(Path(folder).is_relative_to(path) for path in asked):
        return [folder]
    return [path for path in asked if Path(path.split("::")[0]).is_relative_to(folder)]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
