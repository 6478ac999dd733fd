"""What other systems are told about: an event, and the outbox that it leaves through."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from store import NO_DEADLINE, Deadline, Write

GENERATION_COMPLETED = "generation.completed"
GENERATION_FAILED = "generation.failed"
GENERATION_CANCELED = "generation.canceled"
CREDITS_GRANTED = "credits.granted"
REPORT_ANOMALIES = "report.anomalies"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened once. `id` derives from what happened, and `data` holds JSON values only."""

    id: str
    type: str
    data: Mapping[str, Any]


class Outbox(Protocol):
    """Tells the world, at least once, and never disturbs what happened."""

    def writes(self, event: Event) -> Sequence[Write]:
        """What the commit of the event itself must also write, so that the event is not lost; pure."""

    def send(self, event: Event, deadline: Deadline = NO_DEADLINE) -> None:
        """Starts telling, once that commit is applied. Never raises: a sweep finds what was not sent in time."""


class Silent:
    """The outbox if nobody wants to be told."""

    def writes(self, event: Event) -> Sequence[Write]:
        return ()

    def send(self, event: Event, deadline: Deadline = NO_DEADLINE) -> None:
        pass


SILENT = Silent()
