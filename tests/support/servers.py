"""One function on functions-framework, the server that production runs, as a process of its own."""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from emulator_config import free_ports

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
READY_SECONDS = 30.0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Polls until the condition holds.

    Raises:
        TimeoutError: it did not in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class FunctionServer:
    """A running function; leaving the context ends its processes."""

    def __init__(self, target: str, project_id: str, **settings: str) -> None:
        self.target = target
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        self._env = {
            **os.environ,
            "AI_FAILURE_RATE": "0",
            "REQUIRE_AUTH": "false",
            # No limit for the tests of everything else.
            "MAX_PENDING_PER_USER": "1000",
            "THREADS": "32",
            "GCLOUD_PROJECT": project_id,
            **settings,
            "PYTHONUNBUFFERED": "1",
        }
        self._env.pop("GOOGLE_CLOUD_PROJECT", None)
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        framework = os.environ.get("FUNCTIONS_FRAMEWORK", "functions-framework")
        return subprocess.Popen(
            [framework, "--target", self.target, "--host", "127.0.0.1", "--port", str(self.port)],
            cwd=FUNCTIONS,
            env=self._env,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ready(self) -> Self:
        """Waits until the server listens."""
        wait_until(lambda: listens(self.port) or self.process.poll() is not None, f"{self.target} listening")
        assert self.process.poll() is None, self.log()
        return self

    def restart(self) -> Self:
        """Kills the server as a crash would and starts it again on the same port."""
        self.kill()
        self.process = self._start()
        return self.ready()

    def kill(self) -> None:
        if self.process.poll() is None:
            # The session's leader started it, so this ends gunicorn's workers too.
            os.killpg(self.process.pid, 9)
            self.process.wait()

    def log(self) -> str:
        """Everything that the server has printed so far."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def post(self, body: Any, **kwargs: Any) -> requests.Response:
        return requests.post(self.url, json=body, timeout=60, **kwargs)

    def get(self, **query: str) -> requests.Response:
        return requests.get(self.url, params=query, timeout=60)

    def pages(self, **query: str) -> Iterator[Any]:
        """Each page of a list, by following nextPageToken; the next is asked for once the caller is done with one."""
        while True:
            page = self.get(**query).json()
            yield page
            if "nextPageToken" not in page:
                return
            query["pageToken"] = page["nextPageToken"]

    def exchange(self, raw: bytes) -> bytes:
        """Sends these bytes, ends the sending, and gives the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def __enter__(self) -> Self:
        return self.ready()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._log.close()
