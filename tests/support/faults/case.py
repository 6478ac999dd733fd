"""One user's request, and the processes that serve it with a model, a task queue and a bucket that can break."""

import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import grpc

from credits import keys
from credits.grants import Grants
from credits.ledger import Ledger
from handlers import Services
from images.keeping import PictureKey
from images.model import ImageOrder, PictureBytes, PictureUrl, ProviderFailed, StorageFailed
from images.simulated import picture_url
from store import NO_DEADLINE, Deadline
from tests.support.assembly import assembled, settings_of
from tests.support.files import Bucket, picture, saved
from tests.support.projects import Project
from tests.support.purchases import Told, cancel_purchase, told
from tests.support.rpcs import Interceptor, hooked_connection

OPENING_CREDITS = 10
# Nobody else looks there.
NOTES = "notesOfTests"
RUN, CLAIM_ENDED = "run", "claim ended"
PICTURE = PictureBytes(saved(picture()), "image/png")


@dataclass(frozen=True)
class Case:
    """A user with a key, in one scenario; picklable, so that a process can be killed in it.

    `sends` is the client's request. `ledger_type` and `grants_type` are for tests that break them on purpose; the
    latter wraps the real grants.
    """

    scenario: str
    project: Project
    user_id: str
    sends: Callable[["Case", Services], Told]
    fails: bool = False
    has_account: bool = True
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    ledger_type: type[Ledger] = Ledger
    grants_type: Callable[[Grants], Grants] | None = None
    bucket: Bucket | None = None

    @property
    def request_id(self) -> str:
        """The generation request that the key stands for."""
        return keys.id_for_key(self.user_id, self.key)

    def services(
        self, around: Interceptor | None = None, meanwhile: "Callable[[Case], object] | None" = None
    ) -> Services:
        """A process of its own; `around` may break its round trips, and `meanwhile` happens while its model works."""
        host = os.environ["FIRESTORE_EMULATOR_HOST"]
        connection = hooked_connection(self.project.id, host, around) if around else None
        settings = settings_of(self.project, SIGNUP_CREDITS="0" if self.has_account else str(OPENING_CREDITS))
        around = around or _straight
        parts: dict[str, Any] = {
            "models": {"model-a": Model(self, meanwhile or nothing)},
            "queue": lambda function: Tasks(around),
        }
        if self.bucket is not None:
            parts["files"] = HookedFiles(self.bucket, around)
        services = assembled(self.project, connection, settings, ledger_type=self.ledger_type, **parts)
        return services if self.grants_type is None else replace(services, grants=self.grants_type(services.grants))

    def ask(self, services: Services) -> Told:
        """What the client is told."""
        return told(lambda: self.sends(self, services))

    def ask_elsewhere(self) -> Told:
        """What the client is told by another process, without faults."""
        return self.ask(self.services())

    def cancel(self, services: Services) -> Told:
        """What is told to the one who cancels."""
        return told(lambda: cancel_purchase(services, self.user_id, self.key))

    def cancel_elsewhere(self) -> Told:
        """What another process, without faults, tells the one who cancels."""
        return self.cancel(self.services())

    def note(self, what: str, run: str) -> None:
        """Notes something where it outlasts a killed process."""
        self.project.put(f"{NOTES}/{uuid.uuid4().hex}", {"userId": self.user_id, "what": what, "run": run})


def nothing(case: Case) -> None:
    """Does nothing."""


def _straight(name: str, send: Callable[[], Any]) -> Any:
    return send()


@dataclass(frozen=True)
class Model:
    """Gives a file if the case has a bucket, otherwise a URL, or fails. `meanwhile` happens while it works.

    Each run is noted.
    """

    case: Case
    meanwhile: Callable[[Case], object]

    def generate(self, order: ImageOrder, deadline: Deadline) -> PictureBytes | PictureUrl:
        self.case.note(RUN, order.run_id)
        self.meanwhile(self.case)
        if self.case.fails:
            raise ProviderFailed("The scenario says so.")
        if self.case.bucket is not None:
            return PICTURE
        return PictureUrl(picture_url("https://api", order.request_id, order.run_id))


@dataclass(frozen=True)
class Tasks:
    """The task queue; each call goes through `around`, like the round trips to Firestore."""

    around: Interceptor
    waiting: list[str] = field(default_factory=list)

    def enqueue(self, data: Mapping[str, str], deadline: Deadline = NO_DEADLINE) -> bool:
        try:
            self.around("Enqueue", lambda: self.waiting.append(data["generationRequestId"]))
        except grpc.RpcError:
            return False
        return True


@dataclass(frozen=True)
class HookedFiles:
    """The bucket of production on a real server; each call goes through `around`, like the round trips to Firestore."""

    bucket: Bucket
    around: Interceptor

    def keep(self, picture: PictureBytes, key: PictureKey, deadline: Deadline) -> str:
        return str(self._call("Upload", lambda: self.bucket.store().keep(picture, key, deadline)))

    def delete(self, key: PictureKey) -> None:
        self._call("Delete", lambda: self.bucket.store().delete(key))

    def _call(self, name: str, send: Callable[[], Any]) -> Any:
        try:
            return self.around(name, send)
        except grpc.RpcError as error:
            raise StorageFailed("injected", leaves_picture=True) from error
