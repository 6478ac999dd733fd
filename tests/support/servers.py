"""functions-framework, the server that production runs, as a process of its own."""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from dev.ports import free_ports
from tests.support.calls import Function

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ROOT / "functions"
READY_SECONDS = 30.0
# The target with which one server has every function, at the function's name.
EVERY_FUNCTION = "every_function"
# createGenerationRequest without model and completion.
RESERVING_HALF = "reserving_half"
# A function that does nothing.
EMPTY = "empty"
# Targets that are not in main.py.
SOURCES = {
    EMPTY: ROOT / "benchmarks" / "empty" / "main.py",
    EVERY_FUNCTION: Path(__file__).with_name("every_function.py"),
    RESERVING_HALF: ROOT / "benchmarks" / "reserving_half.py",
}
# What tests of everything else want: no token, no failure and no limit.
TEST_SETTINGS: Mapping[str, str] = {
    "AI_FAILURE_RATE": "0",
    "REQUIRE_AUTH": "false",
    "MAX_PENDING_PER_USER": "1000",
    "THREADS": "32",
}
# Another project; and the Tasks emulator of the Functions emulator, which has no queue for a test's project.
NOT_INHERITED = ("GOOGLE_CLOUD_PROJECT", "CLOUD_TASKS_EMULATOR_HOST")
# A function on the server that has these settings.
Key = tuple[str, str]


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


class FunctionServer(Function):
    """A running function, or all of them; leaving the context ends its processes."""

    def __init__(self, target: str, project_id: str, folder: Path = FUNCTIONS, /, **settings: str) -> None:
        """`folder` can be the functions/ of another checkout, with a venv of its own."""
        self.target = target
        self.folder = folder
        self.project_id = project_id
        self.port = free_ports(1)[0]
        super().__init__(f"http://127.0.0.1:{self.port}")
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        own = {"GCLOUD_PROJECT": project_id, **settings, "PYTHONUNBUFFERED": "1"}
        self._env = {**inherited, **TEST_SETTINGS, **own}
        self.process = self._start()

    def of(self, function: str) -> Function:
        """One function of a server that has all of them."""
        assert self.target == EVERY_FUNCTION
        return Function(f"{self.url}/{function}")

    def _start(self) -> "subprocess.Popen[bytes]":
        framework = str(self.folder / "venv" / "bin" / "functions-framework")
        command = [framework, "--target", self.target, "--host", "127.0.0.1", "--port", str(self.port)]
        env = self._env
        if source := SOURCES.get(self.target):
            command += ["--source", str(source)]
            env = {**env, "PYTHONPATH": str(self.folder)}
        return subprocess.Popen(
            command, cwd=self.folder, env=env, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
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

    def exchange(self, path: str, head: bytes, body: bytes) -> bytes:
        """Sends a POST of these bytes to a path, ends the sending, and gives the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\n%b\r\n%b" % (path.encode(), head, body))
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def __enter__(self) -> Self:
        return self.ready()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._log.close()


@contextmanager
def serving(project_id: str, settings: Mapping[Key, Mapping[str, str]]) -> Iterator[dict[Key, FunctionServer]]:
    """Servers with these settings, by what tells them apart and their function; they start side by side.

    Functions of one kind have the same settings, and so one server: each is at its own name.
    """
    kinds = {kind: its for (kind, _), its in settings.items()}
    assert all(its == kinds[kind] for (kind, _), its in settings.items())
    with ExitStack() as stack:
        servers = {kind: FunctionServer(EVERY_FUNCTION, project_id, **its) for kind, its in kinds.items()}
        for server in servers.values():
            stack.enter_context(server)
        yield {(kind, function): servers[kind] for kind, function in settings}
