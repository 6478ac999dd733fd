"""A server that answers in ways in which no HTTP server would: on a socket, byte by byte."""

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

# What to do with a connection and the request that was read from it.
Act = Callable[[socket.socket, bytes], None]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
# Between two bytes of a drip, and when it stops waiting for the client to go: after 20 seconds.
DRIP_SECONDS, MAX_DRIPPED_BYTES = 0.002, 10_000


@contextmanager
def raw_server(act: Act) -> Iterator[str]:
    """Serves one connection after another; gives the server's address. At the end it breaks off what is open."""
    open_sockets: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        open_sockets.append(listener)
        thread = threading.Thread(target=_serve, args=(open_sockets, act), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for each in [*open_sockets]:
                with suppress(OSError):
                    # Wakes the thread that waits for it.
                    each.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            assert not thread.is_alive()


def _serve(open_sockets: list[socket.socket], act: Act) -> None:
    while True:
        try:
            connection, _ = open_sockets[0].accept()
        except OSError:
            return
        open_sockets.append(connection)
        # An error: the client is gone.
        with connection, suppress(OSError):
            act(connection, _read_request(connection))


def _read_request(connection: socket.socket) -> bytes:
    """The whole of it, in however many pieces it comes."""
    with connection.makefile("rb") as stream:
        request, length = b"", 0
        while (line := stream.readline()).strip():
            request += line
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return request + line + stream.read(length)


def reset(connection: socket.socket, request: bytes) -> None:
    """Breaks the connection off instead of answering."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang_up(connection: socket.socket, request: bytes) -> None:
    """Ends the connection without an answer."""


def sending(data: bytes) -> Act:
    """Sends these bytes and ends the connection."""
    return lambda connection, request: connection.sendall(data)


@dataclass
class Drip:
    """Sends one byte after another until the client is gone; tells how many after each."""

    begin: bytes
    byte: bytes
    after_bytes: Callable[[int], None] = lambda count: None
    sent_bytes: int = 0

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        connection.sendall(self.begin)
        # A client that closes its side makes the connection readable.
        while self.sent_bytes < MAX_DRIPPED_BYTES and not select.select([connection], [], [], DRIP_SECONDS)[0]:
            connection.sendall(self.byte)
            self.sent_bytes += 1
            self.after_bytes(self.sent_bytes)
