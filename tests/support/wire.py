"""HTTP byte by byte over a kept connection: what no HTTP library would send, and what came back."""

import http.client
import select
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.description import Answer

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class RawRequest:
    """A request as it goes over the wire; the length of the body is the one header that is added to it."""

    method: str
    target: bytes
    headers: Sequence[tuple[str, bytes]] = ()
    body: bytes | None = None

    def encoded(self) -> bytes:
        length = [] if self.body is None else [("Content-Length", str(len(self.body)).encode())]
        headers = [("Host", b"127.0.0.1"), *self.headers, *length]
        lines = [
            b"%b %b HTTP/1.1" % (self.method.encode(), self.target),
            *(b"%b: %b" % (name.encode(), value) for name, value in headers),
        ]
        return b"\r\n".join([*lines, b"", self.body or b""])


class Wire:
    """One connection to a server on this machine, opened again whenever the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def send(self, request: RawRequest) -> Answer:
        connection = self._connection()
        connection.sendall(request.encoded())
        response = http.client.HTTPResponse(connection, method=request.method)
        response.begin()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        if response.will_close:
            self.close()
        return answer

    def _connection(self) -> socket.socket:
        # What can be read before anything was asked is the end of a connection that idled too long.
        if self._socket is not None and select.select([self._socket], [], [], 0)[0]:
            self.close()
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), TIMEOUT_SECONDS)
        return self._socket

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
