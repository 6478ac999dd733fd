"""Ends the processes of a run, by id, once the program that supervises it has ended in any way.

python -m dev.guard MARK   waits for the end of its standard input, which that program holds open
"""

import sys
import time
from contextlib import suppress

import psutil

# An environment variable. Every descendant inherits it, even one that was orphaned or moved to a session of its own:
# the Firebase CLI does both.
MARKER = "SUPERVISED_RUN"
GRACE_SECONDS = 4.0
KILL_SECONDS = 5.0


def marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if mark in process.environ().get(MARKER, ""):
                found.append(process)
    return found


def end(mark: str, grace_seconds: float = 0.0) -> None:
    """Ends every process with this mark; with a grace, asks them to stop first."""
    if grace_seconds:
        asked = marked(mark)
        for process in asked:
            with suppress(psutil.Error):
                process.terminate()
        psutil.wait_procs(asked, grace_seconds)
    deadline = time.monotonic() + KILL_SECONDS
    # Repeated, since a process may start another one just before it is killed.
    while (left := marked(mark)) and time.monotonic() < deadline:
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, 0.5)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end(sys.argv[1], GRACE_SECONDS)
