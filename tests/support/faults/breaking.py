"""Breaks round trips of a process by their numbers, in every way."""

import collections
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import grpc

from tests.support.purchases import Told
from tests.support.rpcs import RpcFailed

STREAMS = ("BatchGetDocuments", "RunQuery")


class Way(Enum):
    """How a round trip breaks."""

    REFUSED = "refused before it is sent"
    ABORTED = "aborted"
    DEADLINE_APPLIED = "deadline exceeded with the write applied"
    LOST_APPLIED = "connection lost with the write applied"
    CUT = "connection cut after the first part of the answer"
    CANCELED_BEFORE = "request canceled before it"
    CANCELED_LOST = "request canceled after it, and its answer lost"
    KILLED_BEFORE = "process killed before it"
    KILLED_AFTER = "process killed after it"

    @property
    def kills(self) -> bool:
        return self in (Way.KILLED_BEFORE, Way.KILLED_AFTER)

    @property
    def cancels(self) -> bool:
        return self in (Way.CANCELED_BEFORE, Way.CANCELED_LOST)


@dataclass(frozen=True)
class Fault:
    """The `rpc`-th round trip, from 1, breaks in this way."""

    rpc: int
    way: Way


class Breaker:
    """Sends round trips, but breaks those of these numbers. `told`: the answers to cancellations."""

    def __init__(self, cancel: Callable[[], Told], faults: dict[int, Way]) -> None:
        self.told: list[Told] = []
        self._send_cancellation = cancel
        self._faults = faults
        self._count = 0

    def __call__(self, name: str, send: Callable[[], Any]) -> Any:
        self._count += 1
        way = self._faults.get(self._count)
        return send() if way is None else broken(way, name, send, self._cancel)

    def _cancel(self) -> None:
        self.told.append(self._send_cancellation())


def broken(way: Way, name: str, send: Callable[[], Any], cancel: Callable[[], None]) -> Any:
    """One round trip, broken this way."""
    if way is Way.CANCELED_BEFORE:
        cancel()
        return send()
    if way is Way.REFUSED:
        raise RpcFailed(grpc.StatusCode.UNAVAILABLE)
    if way is Way.ABORTED:
        raise RpcFailed(grpc.StatusCode.ABORTED)
    if way is Way.KILLED_BEFORE:
        os.kill(os.getpid(), signal.SIGKILL)
    if way is Way.CUT and name in STREAMS:
        return _cut(send())
    # The answer, good or bad, does not arrive.
    with contextlib.suppress(grpc.RpcError):
        _finish(name, send())
    if way is Way.KILLED_AFTER:
        os.kill(os.getpid(), signal.SIGKILL)
    if way is Way.CANCELED_LOST:
        cancel()
    raise RpcFailed(grpc.StatusCode.DEADLINE_EXCEEDED if way is Way.DEADLINE_APPLIED else grpc.StatusCode.UNAVAILABLE)


def _cut(stream: Any) -> Iterator[Any]:
    yield next(stream)
    raise RpcFailed(grpc.StatusCode.UNAVAILABLE)


def _finish(name: str, call: Any) -> None:
    if name == "Commit":
        call.result()
    elif name in STREAMS:
        # A stream ends only when it is read; its result would wait for that.
        collections.deque(call, maxlen=0)
