"""For developers: the toolchain, the emulators, the test run, generated files."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = ROOT / "functions"
TOOLCHAIN = ROOT / ".toolchain"
LOGS = TOOLCHAIN / "logs"


class Problem(Exception):
    """Why a command cannot go on; the message says it in one line."""
