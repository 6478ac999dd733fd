"""How long a request may take: one deadline, passed to every step."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment by which a request must be answered; made once for each request."""

    at_seconds: float
    monotonic: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> "Deadline":
        """The deadline that many seconds from now."""
        return cls(monotonic() + seconds, monotonic)

    @property
    def left_seconds(self) -> float:
        """The time left, never below 0."""
        return max(0.0, self.at_seconds - self.monotonic())

    @property
    def passed(self) -> bool:
        return self.left_seconds == 0

    def earlier(self, seconds: float) -> "Deadline":
        """This deadline, that many seconds sooner."""
        return replace(self, at_seconds=self.at_seconds - seconds)

    def at_most(self, seconds: float) -> "Deadline":
        """This deadline, or that many seconds from now if that is sooner."""
        return replace(self, at_seconds=min(self.at_seconds, self.monotonic() + seconds))


NO_DEADLINE = Deadline(math.inf)
