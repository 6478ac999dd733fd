"""Runs a command in a session of its own and ends, by process id, everything that it started.

As a command: supervise.py LOG SECONDS COMMAND... writes the output to LOG and passes the exit status on.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

# Every descendant inherits it, even one that was orphaned or moved to a session of its own (the CLI does both).
MARKER = "SUPERVISED_RUN"
TICK_SECONDS = 0.1
KILL_SECONDS = 5.0
ORPHAN_GRACE_SECONDS = 4.0
TIMED_OUT = 124
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say(text: str) -> None:
    """Prints a line; a terminal or pipe that has gone away must not keep the clean-up from running."""
    write(f"{text}\n".encode())


def write(data: bytes) -> None:
    with suppress(OSError):
        while data:
            data = data[os.write(1, data) :]


class Signals:
    """Remembers the signals that ask this program to stop, instead of dying of them."""

    def __init__(self) -> None:
        self.last: int | None = None
        self.count = 0
        self._breaks_in = False
        for number in STOP_SIGNALS:
            signal.signal(number, self._remember)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.last = number
        self.count += 1
        if self._breaks_in:
            raise InterruptedError

    @contextmanager
    def breaking_in(self) -> Iterator[None]:
        """Inside, a signal ends a blocking call with an OSError; elsewhere Python would resume the call."""
        self._breaks_in = True
        try:
            yield
        finally:
            self._breaks_in = False


class Supervised:
    """A running command. Leaving the context ends whatever is left of it."""

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None, log: Path | None = None
    ) -> None:
        self._run_id = secrets.token_hex(16)
        outer = f"{env[MARKER]} " if MARKER in env else ""
        self._guard, self._lifeline = _start_guard(self._run_id)
        try:
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644) if log else None
            try:
                self.process = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env={**env, MARKER: f"{outer}{self._run_id}"},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT if log else None,
                    start_new_session=True,
                )
            finally:
                if output is not None:
                    os.close(output)
        except BaseException:
            self._release_guard()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        # macOS hides the environment of its own binaries (/bin/sh), so the group is ended as well as the marked.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._release_guard()

    def interrupt(self, signals: Signals, grace_seconds: float) -> None:
        """Asks the command to stop and waits; a further signal from the user ends the waiting."""
        impatient = signals.count + 1
        deadline = time.monotonic() + grace_seconds
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        while self.process.poll() is None and time.monotonic() < deadline and signals.count < impatient:
            time.sleep(TICK_SECONDS)

    def _release_guard(self) -> None:
        os.write(self._lifeline, b"x")
        os.close(self._lifeline)
        os.waitpid(self._guard, 0)


def run(
    command: Sequence[str],
    signals: Signals,
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    log: Path | None = None,
    limit_seconds: float = float("inf"),
    grace_seconds: float = 5.0,
    on_tick: Callable[[], None] = lambda: None,
) -> int:
    """Runs a command to its end, or until a signal or the time limit; answers its exit status."""
    deadline = time.monotonic() + limit_seconds
    with Supervised(command, env=env, cwd=cwd, log=log) as running:
        while (status := running.process.poll()) is None:
            on_tick()
            if signals.last is not None or time.monotonic() > deadline:
                running.interrupt(signals, grace_seconds)
                return TIMED_OUT if signals.last is None else 128 + signals.last
            time.sleep(TICK_SECONDS)
    on_tick()
    return status if status >= 0 else 128 - status


def _start_guard(run_id: str) -> tuple[int, int]:
    """Forks the process that does the killing: it also does it when this one is ended with SIGKILL."""
    reader, writer = os.pipe()
    guard = os.fork()
    if guard:
        os.close(reader)
        return guard, writer
    try:
        os.setsid()
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        os.close(writer)
        if not os.read(reader, 1):
            # The supervisor died and could not ask the command to stop.
            _end_marked(run_id, signal.SIGTERM, ORPHAN_GRACE_SECONDS)
        _end_marked(run_id, signal.SIGKILL, KILL_SECONDS)
    finally:
        os._exit(0)


def _end_marked(run_id: str, number: signal.Signals, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    told: set[int] = set()
    while (pids := _marked(run_id)) and time.monotonic() < deadline:
        for pid in pids:
            # SIGTERM twice tells the CLI to skip its clean shutdown.
            if number == signal.SIGKILL or pid not in told:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
        told.update(pids)
        time.sleep(TICK_SECONDS / 2)


def _marked(run_id: str) -> list[int]:
    needle = run_id.encode()
    if sys.platform == "linux":
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if needle in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
        return found
    listing = subprocess.run(["ps", "-A", "-E", "-ww", "-o", "pid=,command="], capture_output=True, check=False)
    return [int(line.split(None, 1)[0]) for line in listing.stdout.splitlines() if needle in line]


def main(log: str, seconds: str, *command: str) -> int:
    signals = Signals()
    parent = os.getppid()

    def stop_with_parent() -> None:
        if os.getppid() != parent:
            signals.last = signal.SIGTERM

    return run(command, signals, env=os.environ, log=Path(log), limit_seconds=float(seconds), on_tick=stop_with_parent)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
