"""A Firestore connection whose round trips can be counted and broken."""

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import grpc

from store import Connection
from store.client import EMULATOR_METADATA, emulator_channel

Call = Callable[[], Any]
Interceptor = Callable[[str, Call], Any]


class RpcFailed(grpc.RpcError, grpc.Call):  # type: ignore[misc]
    """What gRPC raises, with a code of our choice."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__()
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "injected"

    def result(self, timeout: float | None = None) -> NoReturn:
        raise self

    def _unused(self, *_: Any) -> Any:
        return None

    initial_metadata = trailing_metadata = is_active = time_remaining = cancel = add_callback = _unused


class _Hook(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[misc]
    def __init__(self, around: Interceptor) -> None:
        self._around = around

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return self._around(_name(details), lambda: continuation(details, request))

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        answers = self._around(_name(details), lambda: continuation(details, request))
        return answers if hasattr(answers, "cancel") else _Stream(answers)


class _Stream:
    """An iterator of answers that can be cancelled like a call."""

    def __init__(self, answers: Iterator[Any]) -> None:
        self._answers = answers

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._answers)

    def cancel(self) -> None:
        pass


def hooked_connection(project_id: str, host: str, around: Interceptor) -> Connection:
    """A connection to the emulator at `host` that sends each RPC through `around(name, send)`.

    The names are BatchGetDocuments, RunQuery and Commit. `around` returns what `send` returns, another iterator of
    answers in place of a stream, or raises a grpc.RpcError.
    """
    channel = grpc.intercept_channel(emulator_channel(host), _Hook(around))
    return Connection(project_id, channel, EMULATOR_METADATA)


def counting_connection(project_id: str, host: str) -> tuple[Connection, list[str]]:
    """A connection, and the names of the RPCs that it has sent so far."""
    sent: list[str] = []

    def count(name: str, send: Call) -> Any:
        sent.append(name)
        return send()

    return hooked_connection(project_id, host, count), sent


def _name(details: Any) -> str:
    method = details.method
    return str(method.decode() if isinstance(method, bytes) else method).rpartition("/")[2]
