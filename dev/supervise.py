"""Runs commands so that none of their processes outlives this program, even if it is killed."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import count
from pathlib import Path
from types import FrameType

from dev import ROOT, guard

TICK_SECONDS = 0.1
TIMED_OUT = 124

Process = subprocess.Popen[bytes]
_mark = secrets.token_hex(16)
_numbers = count(1)
_signals = 0


def write(data: bytes) -> None:
    """Prints this. A closed terminal or pipe must not stop the clean-up."""
    with suppress(OSError):
        while data:
            data = data[os.write(1, data) :]


def say(text: str) -> None:
    write(f"{text}\n".encode())


@contextmanager
def supervising() -> Iterator[None]:
    """Inside, the first signal that asks this program to stop raises SystemExit, so that every context is closed."""
    # In a session of its own: it must outlive this program, even a SIGKILL of it.
    command = [sys.executable, "-m", "dev.guard", _mark]
    watch = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=2, start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        yield
    finally:
        watch.communicate()


def _stop(number: int, _frame: FrameType | None) -> None:
    global _signals  # noqa: PLW0603 - a program has its signals only once
    _signals += 1
    if _signals == 1:
        sys.exit(128 + number)


@contextmanager
def started(
    command: Sequence[str],
    env: Mapping[str, str],
    cwd: Path = ROOT,
    log: Path | None = None,
    grace_seconds: float = 5.0,
    is_done: Callable[[], bool] = lambda: False,
) -> Iterator[Process]:
    """A running command in a session of its own. Leaving the context asks it to stop, and kills the rest of it.

    The rest is killed after `grace_seconds`, or as soon as `is_done` says that all is done which the grace is for.
    """
    mark = f"{_mark}-{next(_numbers)};"
    # A run within a run has the marks of both.
    env = {**env, guard.MARKER: os.environ.get(guard.MARKER, "") + mark}
    with log.open("wb") if log else nullcontext() as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        _interrupt(process, grace_seconds, is_done)
        # macOS hides the environment of its own programs (/bin/sh), so marks are not enough: the group is ended too.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        guard.end(mark)


def _interrupt(process: Process, grace_seconds: float, is_done: Callable[[], bool]) -> None:
    """Waits for the command to stop. Another signal from the user ends the wait."""
    # The first signal made the program stop; one that came since then, however early, is another one.
    patience = 2 if _signals else 1
    deadline = time.monotonic() + grace_seconds
    if grace_seconds:
        process.send_signal(signal.SIGINT)
    while process.poll() is None and time.monotonic() < deadline and _signals < patience and not is_done():
        time.sleep(TICK_SECONDS)


def run(
    command: Sequence[str], env: Mapping[str, str], log: Path | None = None, limit_seconds: float | None = None
) -> int:
    """Runs a command to its end, or until the time limit; gives its exit status."""
    with started(command, env, log=log) as process:
        try:
            status = process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            return TIMED_OUT
    return status if status >= 0 else 128 - status
