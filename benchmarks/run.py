"""Starts the Auth and Firestore emulators on free ports, runs one benchmark and ends both. run.sh becomes this."""

import os
import shlex
import sys

import emulator_config
import supervise
from emulator_config import ROOT
from run_tests import VENV, clean_environment
from supervise import Signals, say

NAMES = ("history", "latency", "load", "weekly_report")


def main(name: str, options: list[str]) -> int:
    signals = Signals()
    run = emulator_config.for_tests()
    try:
        benchmark = shlex.join([str(VENV / "python"), "-m", f"benchmarks.{name}", *options])
        command = [os.environ["FIREBASE"], "emulators:exec", "--project", run.project]
        command += ["--config", str(run.config_file), "--only", "auth,firestore"]
        env = clean_environment(os.environ) | {
            "FUNCTIONS_FRAMEWORK": str(ROOT / "functions" / "venv" / "bin" / "functions-framework"),
            "PYTHONUNBUFFERED": "1",
        }
        # In a folder of its own, where the emulator can leave its log.
        script = f"cd {shlex.quote(str(ROOT))} && {benchmark}"
        return supervise.run([*command, script], signals, env=env, cwd=run.work_dir)
    finally:
        run.remove()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        sys.exit(f"Usage: benchmarks/run.sh {'|'.join(NAMES)} [OPTIONS]")
    try:
        sys.exit(main(sys.argv[1], sys.argv[2:]))
    except emulator_config.ConfigError as error:
        say(str(error))
        sys.exit(1)
