"""A small Tasks emulator: takes what firebase_admin sends and delivers it to a server that tests have started.

The real one needs the Functions emulator, which serves one project and starts a process for each task.
"""

import base64
import json
import re
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.raw_server import HEAD
from tests.support.servers import wait_until

QUEUE = re.compile(r"/projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)/queues/(?P<function>[^/]+)/tasks")
THREADS = 16
ANSWER_SECONDS = 60.0
DONE = HEAD + b"Content-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class Task:
    """What was asked for: one call of a function."""

    name: str
    project: str
    region: str
    function: str
    # With {"data": …}, as the function gets it.
    body: Mapping[str, Any]
    # The time for one call, like "15s".
    dispatch_deadline: str

    @property
    def data(self) -> Any:
        return self.body["data"]


class TaskEmulator:
    """Delivers each task to `{base_url}/{function}` until it answers with 2xx; leaving the context ends it.

    What happens to tasks can be changed at any time: `lose` says how many of the next are lost after they were taken,
    `copies` how often each is delivered, side by side; while `holds` is set, tasks wait for `release()`; with
    `refuse_with`, a status, none is taken.
    """

    def __init__(self, base_url: str = "", retry_seconds: float = 0.05) -> None:
        self.base_url = base_url
        self.retry_seconds = retry_seconds
        self.lose = 0
        self.copies = 1
        self.holds = False
        self.refuse_with = 0
        # Every task that was taken, also a lost one; and each answer of a function. None: no answer came.
        self.taken: list[Task] = []
        self.answers: list[tuple[Task, int | None]] = []
        self._held: list[Task] = []
        self._running = 0
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._workers = ThreadPoolExecutor(THREADS, thread_name_prefix="deliveries")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))

    @property
    def host(self) -> str:
        """The value of CLOUD_TASKS_EMULATOR_HOST."""
        return f"127.0.0.1:{self._server.server_port}"

    def take(self, path: str, asked: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """The status and the body of the answer to a request for a task."""
        place = QUEUE.fullmatch(path)
        if self.refuse_with or place is None:
            status = self.refuse_with or 404
            return status, {"error": {"code": status, "message": "Refused."}}
        wanted = asked["task"]
        body = json.loads(base64.b64decode(wanted["httpRequest"]["body"]))
        with self._guard:
            # As the real emulator's answer, it begins with a slash, which Cloud Tasks' own does not.
            task = Task(
                f"{path}/{len(self.taken)}",
                **place.groupdict(),
                body=body,
                dispatch_deadline=wanted["dispatchDeadline"],
            )
            self.taken.append(task)
            if self.lose:
                self.lose -= 1
            elif self.holds:
                self._held.append(task)
            else:
                self._submit(task)
        return 200, {"task": {**wanted, "name": task.name}}

    def release(self) -> None:
        """Delivers what was held, and holds no more."""
        with self._guard:
            self.holds = False
            held, self._held = self._held, []
            for task in held:
                self._submit(task)

    def wait_until_idle(self) -> None:
        """Waits until each task that was neither lost nor held was answered with 2xx, in each of its copies."""
        wait_until(lambda: not self._running, "the delivery of every task")

    def _submit(self, task: Task) -> None:
        for _ in range(self.copies):
            self._running += 1
            self._workers.submit(self._deliver, task)

    def _deliver(self, task: Task) -> None:
        while not self._ended.is_set():
            status = _post(f"{self.base_url}/{task.function}", task.body)
            self.answers.append((task, status))
            if status is not None and 200 <= status < 300:
                break
            self._ended.wait(self.retry_seconds)
        with self._guard:
            self._running -= 1

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        # A delivery that is under way ends with its server, or after ANSWER_SECONDS.
        self._workers.shutdown(cancel_futures=True)


class Worker:
    """Functions for raw_server(): keeps what they are asked, and answers with the next of `answers`, then with 200."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Any]] = []
        self.answers: list[bytes] = []

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        self.received.append((head.split()[1].decode(), json.loads(body)))
        connection.sendall(self.answers.pop(0) if self.answers else DONE)


def _handler(emulator: TaskEmulator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # A client keeps its connection, as with the real one.
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = emulator.take(self.path, asked)
            sent = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _post(url: str, body: object) -> int | None:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=ANSWER_SECONDS)
    try:
        with suppress(OSError, HTTPException):
            connection.request("POST", parts.path, json.dumps(body), {"Content-Type": "application/json"})
            return connection.getresponse().status
    finally:
        connection.close()
    return None
