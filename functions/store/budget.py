"""How long a call may take: deadlines, and the retries that fit into them."""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from errors import Unavailable

# gRPC does not send a call that has no time left.
_MIN_RPC_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment by which an answer must be given; made once for each request and handed down."""

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


NO_DEADLINE = Deadline(math.inf)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long one step may try, and how long it waits between attempts: full jitter under a doubling ceiling.

    `rpc_share` is the part of a step's time that a single call may use. Source of the pauses:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    max_seconds: float = 15.0
    rpc_share: float = 1 / 3
    first_pause_seconds: float = 0.01
    max_pause_seconds: float = 0.5
    uniform: Callable[[float, float], float] = random.SystemRandom().uniform
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic


DEFAULT_POLICY = RetryPolicy()


@dataclass(slots=True)
class Attempts:
    """The time left for one step, which ends at the policy's limit or at the deadline, and the pauses in it.

    Raises:
        Unavailable: the deadline has passed already.
    """

    policy: RetryPolicy
    deadline: Deadline = NO_DEADLINE
    _max_rpc_seconds: float = field(init=False)
    _end_seconds: float = field(init=False)
    _pause_ceiling_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        step_seconds = min(self.policy.max_seconds, self.deadline.left_seconds)
        if step_seconds <= 0:
            raise Unavailable("No time is left for this request. Try again.")
        self._end_seconds = self.policy.monotonic() + step_seconds
        self._pause_ceiling_seconds = self.policy.first_pause_seconds
        # One silent call must leave time to find out what became of it.
        self._max_rpc_seconds = step_seconds * self.policy.rpc_share

    @property
    def left_seconds(self) -> float:
        return max(0.0, self._end_seconds - self.policy.monotonic())

    @property
    def rpc_timeout_seconds(self) -> float:
        """How long the next call may take."""
        return max(_MIN_RPC_SECONDS, min(self._max_rpc_seconds, self.left_seconds))

    def pause(self) -> bool:
        """Waits before the next attempt; False if no time is left for one."""
        pause_seconds = self.policy.uniform(0, self._pause_ceiling_seconds)
        self._pause_ceiling_seconds = min(self._pause_ceiling_seconds * 2, self.policy.max_pause_seconds)
        if pause_seconds >= self.left_seconds:
            return False
        self.policy.sleep(pause_seconds)
        return True
