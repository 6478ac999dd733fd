"""Locks between programs. The kernel releases a lock when its holder ends in any way."""

import fcntl
import math
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from dev.supervise import TICK_SECONDS, say


class Lock:
    """Held inside its context, or until it is released. If the program has to wait, it says what for."""

    def __init__(self, file: Path, waiting_for: str, patience_seconds: float = math.inf) -> None:
        """After `patience_seconds` of waiting, the program goes on without the lock."""
        self._file = file
        self._waiting_for = waiting_for
        self._patience_seconds = patience_seconds
        self._descriptor: int | None = None
        self._guard = threading.Lock()

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._file, os.O_RDONLY | os.O_CREAT, 0o600)
        if not self._try_lock():
            say(f"Waiting for {self._waiting_for} ...")
            deadline = time.monotonic() + self._patience_seconds
            while not self._try_lock() and time.monotonic() < deadline:
                time.sleep(TICK_SECONDS)
        return self

    def _try_lock(self) -> bool:
        assert self._descriptor is not None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Lets the next program go on; safe in any thread, and to call twice."""
        with self._guard:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
