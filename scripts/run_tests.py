"""Runs the checks and both kinds of tests and says SUCCESS or FAILURE. run-tests.sh prepares the toolchain and becomes
this.

Arguments are pytest's. When they name tests (a path under tests/), only the phases that hold them run.
"""

import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import emulator_config
import supervise
from emulator_config import ROOT
from supervise import Signals, say

VENV = ROOT / ".toolchain" / "tests-venv" / "bin"
LOG = ROOT / ".toolchain" / "logs" / "tests-emulators.log"
UNIT, EMULATOR = "tests/unit", "tests/emulator"
NO_TESTS_COLLECTED = 5
# A setting of the user's shell must not change a result, so only what programs need to run at all is passed on.
KEPT = re.compile(
    "PATH|HOME|USER|LOGNAME|SHELL|LANG|TZ|TMPDIR|TERM|COLUMNS|NO_COLOR|FORCE_COLOR|CI|JAVA_HOME|JAVA_TOOL_OPTIONS"
    "|FIREBASE_EMULATORS_PATH|FIRESTORE_EMULATOR_BINARY_PATH|SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS"
    f"|{supervise.MARKER}|(LC|XDG|PYTEST|HYPOTHESIS)_.*|.*_(proxy|PROXY)"
)
# pytest's options whose value is the next argument; it may look like a path.
TAKES_VALUE = re.compile(
    "-[kmpcorW]|--(ignore|ignore-glob|deselect|rootdir|basetemp|junitxml|maxfail|durations|tb|log-file|log-cli-level)"
)


@dataclass(frozen=True)
class Phase:
    name: str
    run: Callable[[], int]


def main(arguments: list[str]) -> int:
    signals = Signals()
    env = clean_environment(os.environ)
    options, paths = split_paths(arguments)
    unit, emulator = tests_below(UNIT, paths), tests_below(EMULATOR, paths)
    phases = []
    if not paths:
        phases += [
            Phase("ruff format", lambda: tool(signals, env, "ruff", "format", "--check", "--quiet", ".")),
            Phase("ruff check", lambda: tool(signals, env, "ruff", "check", "--quiet", ".")),
            Phase("mypy", lambda: tool(signals, env, "mypy")),
        ]
    if unit:
        phases.append(Phase("unit tests", lambda: tool(signals, env, "pytest", *unit, *options)))
    if emulator:
        phases.append(Phase("emulator tests", lambda: emulator_tests(signals, env, [*emulator, *options])))
    return run_phases(phases, signals)


def run_phases(phases: list[Phase], signals: Signals) -> int:
    """Every phase runs even if one before it failed, so that one run shows everything there is to repair."""
    failed: list[str] = []
    tests_ran = False
    for phase in phases:
        say(f"== {phase.name}")
        started = time.monotonic()
        status = phase.run()
        say(f"== {phase.name}: {outcome(phase, status)} ({time.monotonic() - started:.1f} s)")
        if signals.last is not None:
            say(f"FAILURE: interrupted during {phase.name}")
            return 128 + signals.last
        if status not in (0, NO_TESTS_COLLECTED):
            failed.append(phase.name)
        tests_ran = tests_ran or ("tests" in phase.name and status != NO_TESTS_COLLECTED)
    if not tests_ran:
        failed.append("no test was selected")
    say(f"FAILURE: {', '.join(failed)}" if failed else "SUCCESS")
    return 1 if failed else 0


def outcome(phase: Phase, status: int) -> str:
    if status == NO_TESTS_COLLECTED and "tests" in phase.name:
        return "no test selected"
    return "passed" if status == 0 else f"failed with status {status}"


def tool(signals: Signals, env: Mapping[str, str], name: str, *arguments: str) -> int:
    return supervise.run([str(VENV / "python"), "-m", name, *arguments], signals, env=env, cwd=ROOT)


def emulator_tests(signals: Signals, env: Mapping[str, str], arguments: list[str]) -> int:
    # Starting the emulators takes seconds, and a -k often selects none of their tests.
    if arguments != [EMULATOR] and selects_nothing(signals, env, arguments):
        return NO_TESTS_COLLECTED
    run = emulator_config.for_tests()
    with ExitStack() as cleanup:
        cleanup.callback(run.remove)
        LOG.parent.mkdir(parents=True, exist_ok=True)
        output = run.work_dir / "pytest.out"
        output.touch()
        told = {
            "FUNCTIONS_BASE_URL": run.functions_url,
            "FIRESTORE_EMULATOR_HOST": run.address("firestore"),
            "FIREBASE_AUTH_EMULATOR_HOST": run.address("auth"),
            "GCLOUD_PROJECT": run.project,
            "FUNCTIONS_FRAMEWORK": str(ROOT / "functions" / "venv" / "bin" / "functions-framework"),
            "PYTHONUNBUFFERED": "1",
        }
        color = ["--color=yes"] if os.isatty(1) and "NO_COLOR" not in env else []
        pytest = [str(VENV / "python"), "-m", "pytest", *color, *arguments]
        script = shlex.join(["env", *(f"{name}={value}" for name, value in told.items()), *pytest])
        # The CLI's own output, the functions' among it, would bury pytest's: it goes to the log.
        script = f"cd {shlex.quote(str(ROOT))} && {script} >{shlex.quote(str(output))} 2>&1"
        command = run.command(os.environ["FIREBASE"], "emulators:exec", script)
        with output.open("rb") as reader:
            status = supervise.run(
                command,
                signals,
                env=env,
                cwd=run.work_dir,
                log=LOG,
                on_tick=lambda: supervise.write(reader.read()),
            )
        if status not in (0, NO_TESTS_COLLECTED):
            if output.stat().st_size == 0:
                say("The emulators did not start:")
                say("\n".join(LOG.read_text(errors="replace").splitlines()[-25:]))
            say(f"What the emulators and the functions said: {LOG.relative_to(ROOT)}")
        return status


def selects_nothing(signals: Signals, env: Mapping[str, str], arguments: list[str]) -> bool:
    collect = [str(VENV / "python"), "-m", "pytest", "--collect-only", "--quiet", *arguments]
    log = LOG.with_name("tests-collected.log")
    return supervise.run(collect, signals, env=env, cwd=ROOT, log=log) == NO_TESTS_COLLECTED


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if KEPT.fullmatch(name)}


def split_paths(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Pytest's options, and the tests named among them as paths from the root of the repository."""
    options: list[str] = []
    paths: list[str] = []
    previous = ""
    for argument in arguments:
        path = None if argument.startswith("-") or TAKES_VALUE.fullmatch(previous) else test_path(argument)
        if path is None:
            options.append(argument)
        else:
            paths.append(path)
        previous = argument
    return options, paths


def tests_below(folder: str, paths: list[str]) -> list[str]:
    """The tests of a folder that were named; all of them where the folder, or one above it, was, or nothing at all."""
    named = [path for path in paths if Path(path.split("::")[0]).is_relative_to(folder)]
    above = [path for path in paths if Path(folder).is_relative_to(path)]
    return [folder] if above or not paths else named


def test_path(argument: str) -> str | None:
    file, *names = argument.split("::")
    for base in (ROOT, Path(os.environ.get("CALLER_DIR", ROOT))):
        path = (base / file).resolve()
        if path.exists() and path.is_relative_to(ROOT / "tests"):
            return "::".join((str(path.relative_to(ROOT)), *names))
    return None


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except emulator_config.ConfigError as error:
        say(f"FAILURE: {error}")
        sys.exit(1)
