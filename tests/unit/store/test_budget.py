"""Deadlines, and the attempts that fit into them."""

import math

import pytest

from errors import Unavailable
from store import NO_DEADLINE, Deadline, RetryPolicy
from store.retries import Attempts


class Time:
    """A clock that moves only during a sleep."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def policy(self, max_seconds: float = 15.0) -> RetryPolicy:
        return RetryPolicy(max_seconds=max_seconds, uniform=lambda low, high: high, sleep=self.sleep, monotonic=self)


def test_a_deadline_runs_down_to_zero() -> None:
    """The time left shrinks and is never negative."""
    time = Time()
    deadline = Deadline.after(10, time)
    assert (deadline.left_seconds, deadline.passed) == (10, False)
    time.sleep(4)
    assert deadline.left_seconds == 6
    time.sleep(7)
    assert (deadline.left_seconds, deadline.passed) == (0, True)


def test_an_earlier_deadline_leaves_the_later_one_as_it_is() -> None:
    """A step can leave some seconds for the next one."""
    time = Time()
    deadline = Deadline.after(10, time)
    assert (deadline.earlier(4).left_seconds, deadline.left_seconds) == (6, 10)
    assert deadline.earlier(11).passed


def test_no_deadline_never_passes() -> None:
    """It stays endless even if it is made earlier."""
    assert NO_DEADLINE.left_seconds == NO_DEADLINE.earlier(60).left_seconds == math.inf
    assert not NO_DEADLINE.passed


@pytest.mark.parametrize(("deadline_seconds", "left_seconds"), [(60, 15), (6, 6)])
def test_a_step_ends_at_the_sooner_of_its_limit_and_the_deadline(deadline_seconds: float, left_seconds: float) -> None:
    """Neither the policy nor the deadline is exceeded."""
    time = Time()
    attempts = Attempts(time.policy(), Deadline.after(deadline_seconds, time))
    assert attempts.left_seconds == left_seconds
    while attempts.pause():
        pass
    assert time.seconds <= 100 + left_seconds


def test_a_call_gets_a_share_of_the_step() -> None:
    """A call without an answer leaves time for others, and the last one gets the rest."""
    time = Time()
    attempts = Attempts(time.policy(), Deadline.after(9, time))
    assert attempts.rpc_timeout_seconds == pytest.approx(3)
    time.sleep(7)
    assert attempts.rpc_timeout_seconds == pytest.approx(2)
    time.sleep(5)
    assert attempts.rpc_timeout_seconds > 0


def test_pauses_double_up_to_their_limit() -> None:
    """With no jitter: 10 ms, 20 ms, 40 ms … and never more than half a second."""
    time = Time()
    attempts = Attempts(time.policy())
    for _ in range(9):
        assert attempts.pause()
    assert time.slept == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5]


def test_a_pause_that_would_end_too_late_is_not_begun() -> None:
    """There is no sleep if no attempt can follow it."""
    time = Time()
    attempts = Attempts(time.policy(max_seconds=0.005))
    assert not attempts.pause()
    assert time.slept == []


def test_a_passed_deadline_starts_nothing() -> None:
    """A step without time is refused before anything is sent."""
    time = Time()
    with pytest.raises(Unavailable):
        Attempts(time.policy(), Deadline.after(0, time))


def test_the_deadline_may_have_a_clock_of_its_own() -> None:
    """A step asks the deadline only for the time left, not for its moment."""
    time, other = Time(), Time()
    other.seconds = 5_000.0
    assert Attempts(time.policy(), Deadline.after(2, other)).left_seconds == 2
