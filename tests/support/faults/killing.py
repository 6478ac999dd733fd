"""Runs something in a process of its own, which is killed in it."""

import multiprocessing.context
import multiprocessing.forkserver
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import wait

import pytest

CHILD_SECONDS = 60
# The start of a child also asks how each other child has ended. The answer comes once, through a pipe: if another
# thread was asking too, it found the pipe closed and took the exit code to be 255.
_CHILDREN = threading.Lock()


def must_die(act: Callable[..., object], *args: object) -> None:
    """Runs `act` in a child process, and checks that a SIGKILL ended it; both it and its arguments are pickled."""
    exit_code = exit_code_of(act, *args)
    assert exit_code == -signal.SIGKILL, f"the process was to be killed and ended with {exit_code}"


def exit_code_of(act: Callable[..., object], *args: object) -> int | None:
    """How a child process that runs `act` ends; None if it still runs after CHILD_SECONDS. Safe in threads."""
    with _CHILDREN:
        child = _prepared_to_fork().Process(target=act, args=args)
        child.start()
    wait([child.sentinel], CHILD_SECONDS)
    with _CHILDREN:
        return child.exitcode


def _prepared_to_fork() -> multiprocessing.context.ForkServerContext:
    """Forks from a server that has imported the harness but has no gRPC channel, so that a child costs milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__package__])
    with pytest.MonkeyPatch.context() as patch:
        # The server looks for the modules there, and not on this process's path.
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        multiprocessing.forkserver.ensure_running()
    return context
