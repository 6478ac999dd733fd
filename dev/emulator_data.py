"""Makes emulator-data/ again from scripts/seed.json. make-emulator-data.sh becomes this."""

import shutil
import sys

from dev import ROOT, Problem, environment, toolchain
from dev.emulators import DATA, DEMO_PROJECT
from dev.supervise import run, say, supervising

SEED = f"functions/venv/bin/python scripts/seed.py --project {DEMO_PROJECT} --users --accounts"


def main() -> int:
    # In a folder of its own until it is complete, so that a failure keeps the old data.
    export = ROOT / ".emulator" / "export"
    with supervising():
        cli = toolchain.prepare()
        shutil.rmtree(export, ignore_errors=True)
        export.parent.mkdir(exist_ok=True)
        only = ["--project", DEMO_PROJECT, "--only", "auth,firestore", "--export-on-exit", str(export)]
        if status := run([cli, "emulators:exec", *only, SEED], environment.clean_env()):
            return status
        shutil.rmtree(DATA)
        export.rename(DATA)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Problem as problem:
        say(str(problem))
        sys.exit(1)
