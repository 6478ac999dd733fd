"""Ports: free ones are free, and a taken one is named with who needs it."""

import socket

import pytest

from dev import Problem
from dev.ports import free_ports, is_taken, need_free


def test_free_ports_are_different_and_nobody_listens_on_them() -> None:
    """As many as asked for, each once."""
    ports = free_ports(9)
    assert len(set(ports)) == 9
    assert not any(map(is_taken, ports))


def test_each_taken_port_is_named_with_who_needs_it() -> None:
    """A port that is in use is named with the emulator that needs it; a free one is not."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        hub, logging = one.getsockname()[1], two.getsockname()[1]
        with pytest.raises(Problem) as caught:
            need_free({"hub": hub, "auth": free_ports(1)[0], "logging": logging})
    assert str(caught.value).splitlines() == [
        f"Port {hub}, needed for hub, is in use.",
        f"Port {logging}, needed for logging, is in use.",
        "Nothing was started and nothing was stopped.",
    ]
