"""Which failures are tried again, how long, and the pauses in between."""

import random
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import TypeVar

from grpc import StatusCode

from errors import Unavailable
from store.budget import NO_DEADLINE, Deadline
from store.client import StoreError

T = TypeVar("T")

# Another commit came first. Nothing was written, and reading again shows the new state.
CONFLICTS = frozenset(
    {StatusCode.ABORTED, StatusCode.ALREADY_EXISTS, StatusCode.FAILED_PRECONDITION, StatusCode.NOT_FOUND}
)
# Firestore did not answer, or not clearly: a write may have been applied.
UNCLEAR = frozenset(
    {
        StatusCode.UNAVAILABLE,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.INTERNAL,
        StatusCode.UNKNOWN,
        StatusCode.DATA_LOSS,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.CANCELLED,
    }
)
# A read has no preconditions: NOT_FOUND or FAILED_PRECONDITION there means no database, or no index.
RETRIED_READS: Set[StatusCode] = UNCLEAR | {StatusCode.ABORTED}
RETRIED_COMMITS: Set[StatusCode] = UNCLEAR | CONFLICTS
# gRPC does not send a call that has no time left.
_MIN_RPC_SECONDS = 0.05


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
    """The time left for one step, and its pauses. The step ends at the policy's limit or at the deadline.

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
        # A call without an answer must leave time to find out its outcome.
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


def retry_read(read: Callable[[], T], attempts: Attempts) -> T:
    """Calls `read`, again after each error that may be temporary, and returns its result.

    Raises:
        Unavailable: it failed until no time was left.
        StoreError: a retry cannot help.
    """
    while True:
        try:
            return read()
        except StoreError as error:
            if error.code not in RETRIED_READS:
                raise
            wait_after(error, attempts)


def wait_after(error: StoreError, attempts: Attempts) -> None:
    """Pauses before the next attempt.

    Raises:
        Unavailable: no time is left for one.
    """
    if attempts.pause():
        return
    if error.code in CONFLICTS:
        raise Unavailable("Too many changes at once. Try again.") from error
    raise Unavailable("The database is not available. Try again.") from error
