"""Hands work to another function: each task-queue function has a queue of its own in Cloud Tasks.

Nothing depends on a task being delivered, nor on its being delivered once: what is to do stands in Firestore.
"""

import threading
import uuid
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol

from google.auth.exceptions import DefaultCredentialsError

import logs
from store import NO_DEADLINE, Deadline
from waiting import Threads, TookTooLong

if TYPE_CHECKING:
    import firebase_admin
    from firebase_admin import functions

# Together the library's retries may take minutes, and somebody waits for the answer.
MAX_SECONDS = 5.0
THREADS = 8
# https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues.tasks#Task
MIN_DISPATCH_SECONDS, MAX_DISPATCH_SECONDS = 15, 1800
_ROLES = (
    "Give the functions' service account the roles Cloud Tasks Enqueuer, Cloud Run Invoker and Service Account User: "
    "docs/deploy.md."
)


class TaskQueue(Protocol):
    """The queue of one function."""

    def enqueue(self, data: Mapping[str, str], deadline: Deadline = NO_DEADLINE) -> bool:
        """Asks for one call of the function with this data. False, and logged, if the queue did not take it in time."""


class NoQueue:
    """The queue if no Tasks emulator runs: sweeps do the work."""

    def enqueue(self, data: Mapping[str, str], deadline: Deadline = NO_DEADLINE) -> bool:
        return False


class CloudTasks:
    """A queue of Cloud Tasks, or of its emulator. Connects at the first task; safe to share between threads."""

    def __init__(
        self,
        project: str | None,
        region: str,
        function: str,
        dispatch_seconds: int,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        self._project = project
        self._function = function
        self._resource = f"locations/{region}/functions/{function}"
        self._dispatch_seconds = min(max(dispatch_seconds, MIN_DISPATCH_SECONDS), MAX_DISPATCH_SECONDS)
        self._max_seconds = max_seconds
        self._guard = threading.Lock()
        self._app: firebase_admin.App | None = None
        self._threads = Threads(THREADS, "tasks")

    def enqueue(self, data: Mapping[str, str], deadline: Deadline = NO_DEADLINE) -> bool:
        """As in TaskQueue, and within `max_seconds`. Never raises."""
        try:
            self._threads.within(min(self._max_seconds, deadline.left_seconds), partial(self._send, data))
        except TookTooLong:
            logs.warn("task not enqueued", function=self._function, error="no answer in time")
            return False
        # The boundary to the queue: the work stands in Firestore, and a sweep asks again.
        except Exception as error:  # noqa: BLE001
            logs.error("task not enqueued", function=self._function, error=type(error).__name__, advice=_advice(error))
            return False
        return True

    def _send(self, data: Mapping[str, str]) -> None:
        from firebase_admin import functions  # noqa: PLC0415 - only who enqueues pays for it

        options = functions.TaskOptions(dispatch_deadline_seconds=self._dispatch_seconds)
        # The function reads what is in "data", and the library does not wrap it.
        self._connected().enqueue({"data": dict(data)}, options)

    def _connected(self) -> "functions.TaskQueue":
        import firebase_admin  # noqa: PLC0415
        from firebase_admin import functions  # noqa: PLC0415

        with self._guard:
            if self._app is None:
                # A name of its own, so that a second one in the same process does not clash.
                self._app = firebase_admin.initialize_app(None, {"projectId": self._project}, name=uuid.uuid4().hex)
            # The app keeps the connection.
            return functions.task_queue(self._resource, app=self._app)


def _advice(error: Exception) -> str | None:
    from firebase_admin.exceptions import NotFoundError, PermissionDeniedError  # noqa: PLC0415

    if isinstance(error, PermissionDeniedError):
        return _ROLES
    if isinstance(error, NotFoundError):
        return "Deploy the function: the CLI makes its queue."
    if isinstance(error, DefaultCredentialsError):
        return "There are no credentials: gcloud auth application-default login."
    return None
