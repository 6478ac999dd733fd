"""How a process ended that was killed on purpose."""

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.faults.killing import exit_code_of

CHILDREN, THREADS = 300, 8


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns hundreds of times as often as usual."""
    usual_seconds = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual_seconds)


def _kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.usefixtures("eager_threads")
def test_each_thread_learns_how_its_own_process_ended() -> None:
    """Of 300 processes that kill themselves, started by 8 threads, each one is known to have been killed."""
    with ThreadPoolExecutor(THREADS) as threads:
        codes = threads.map(lambda number: exit_code_of(_kill_itself), range(CHILDREN))
        assert set(codes) == {-signal.SIGKILL}
