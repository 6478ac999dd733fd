"""Ports of this machine. It imports no package, since the tests need it too."""

import random
import socket
from collections.abc import Mapping
from contextlib import closing

from dev import Problem

HOST = "127.0.0.1"
# Below the ports that the system gives to outgoing connections, so none is taken between choosing and listening.
CANDIDATES = range(20_000, 32_000)


class PortTaken(Problem):
    """Something else listens on a port that is needed."""


def free_ports(count: int) -> list[int]:
    """This many ports that nobody listens on."""
    chosen = random.SystemRandom().sample(CANDIDATES, len(CANDIDATES))
    free = (port for port in chosen if not is_taken(port))
    return [next(free) for _ in range(count)]


def need_free(ports: Mapping[str, int]) -> None:
    """Raises PortTaken, which names each port that is taken and who needs it."""
    taken = [f"Port {port}, needed for {name}, is in use." for name, port in ports.items() if is_taken(port)]
    if taken:
        raise PortTaken("\n".join([*taken, "Nothing was started and nothing was stopped."]))


def is_taken(port: int) -> bool:
    # macOS lets a specific address be bound beside a wildcard listener, so binding alone does not tell.
    with closing(socket.socket()) as client:
        client.settimeout(1)
        if client.connect_ex((HOST, port)) == 0:
            return True
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return True
    return False
