"""A Firestore client whose round trips can be counted and broken."""

from collections.abc import Callable
from typing import Any

import grpc
from google.cloud import firestore
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

Call = Callable[[], Any]
Interceptor = Callable[[str, Call], Any]


class _Hook(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[misc]
    def __init__(self, around: Interceptor) -> None:
        self._around = around

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return self._around(_name(details), lambda: continuation(details, request))

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return self._around(_name(details), lambda: continuation(details, request))


def hooked_client(project_id: str, host: str, around: Interceptor) -> firestore.Client:
    """A client of the emulator at `host` that sends each RPC through `around(name, send)`."""
    client = firestore.Client(project=project_id)
    channel = grpc.intercept_channel(grpc.insecure_channel(host), _Hook(around))
    client._firestore_api_internal = FirestoreClient(transport=FirestoreGrpcTransport(host=host, channel=channel))
    return client


def counting_client(project_id: str, host: str) -> tuple[firestore.Client, list[str]]:
    """A client, and the names of the RPCs that it has sent so far."""
    sent: list[str] = []

    def count(name: str, send: Call) -> Any:
        sent.append(name)
        return send()

    return hooked_client(project_id, host, count), sent


def _name(details: Any) -> str:
    method = details.method
    return str(method.decode() if isinstance(method, bytes) else method).rpartition("/")[2]
