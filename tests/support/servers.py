"""One function on functions-framework, the server that production runs, as a process of its own."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from dev.ports import free_ports

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


class ServerProcess:
    """A server's process, with what is needed of subprocess.Popen."""

    def __init__(self, arguments: list[str], env: dict[str, str], log: str) -> None:
        self.pid = int(_ask({"arguments": arguments, "env": env, "log": log}))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = _ask({"status_of": self.pid})
        return self.returncode

    def kill(self) -> None:
        """Kills it with all that it started; it leads a session of its own."""
        os.killpg(self.pid, signal.SIGKILL)
        wait_until(lambda: self.poll() is not None, f"process {self.pid} ending")


_LOCK = threading.Lock()


@cache
def _fork_server() -> "subprocess.Popen[str]":
    """It ends when this process does, since its input ends then."""
    command = [str(FUNCTIONS / "venv" / "bin" / "python"), str(Path(__file__).with_name("fork_server.py"))]
    return subprocess.Popen(command, cwd=FUNCTIONS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _ask(order: dict[str, Any]) -> Any:
    with _LOCK:
        process = _fork_server()
        assert process.stdin
        assert process.stdout
        print(json.dumps(order), file=process.stdin, flush=True)
        return json.loads(process.stdout.readline())


class FunctionServer:
    """A running function; leaving the context ends its processes."""

    def __init__(self, target: str, project_id: str, **settings: str) -> None:
        self.target = target
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed with the server
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

    def _start(self) -> ServerProcess:
        arguments = ["--target", self.target, "--host", "127.0.0.1", "--port", str(self.port)]
        return ServerProcess(arguments, self._env, self._log.name)

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
            self.process.kill()

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
