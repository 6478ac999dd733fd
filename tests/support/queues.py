"""A task queue in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from store import NO_DEADLINE, Deadline


@dataclass
class ListQueue:
    """A queue that remembers what it took; `takes` says whether it takes anything."""

    tasks: list[Mapping[str, str]] = field(default_factory=list)
    takes: bool = True

    def enqueue(self, data: Mapping[str, str], deadline: Deadline = NO_DEADLINE) -> bool:
        if self.takes:
            self.tasks.append(data)
        return self.takes
