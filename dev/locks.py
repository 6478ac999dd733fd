"""Locks between programs. The kernel drops one when its holder ends, however it ends."""

import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from dev.supervise import say


class Lock:
    """Held inside its context, or until it is released. Whoever has to wait is told what for."""

    def __init__(self, path: Path, waiting_for: str) -> None:
        """The path names a folder or a file that exists."""
        self._path = path
        self._waiting_for = waiting_for
        self._descriptor: int | None = None
        self._guard = threading.Lock()

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._path, os.O_RDONLY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting for {self._waiting_for} ...")
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return self

    def release(self) -> None:
        """Lets the next one go on; safe in any thread, and a second time."""
        with self._guard:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
