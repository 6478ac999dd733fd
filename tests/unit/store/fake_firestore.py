"""A gRPC server in this process with answers that the test chooses."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from store import Connection, messages
from store.client import EMULATOR_METADATA, emulator_channel
from store.values import encode

DATABASE = "projects/demo/databases/(default)"


@dataclass
class FakeFirestore:
    """What the server answers with, and what it was asked: the RPC's name, the request, the metadata.

    An answer gets the request and the call's context, which it may abort.
    """

    batch_get: Callable[[Any, grpc.ServicerContext], Iterator[Any]] = lambda request, context: iter(())
    run_query: Callable[[Any, grpc.ServicerContext], Iterator[Any]] = lambda request, context: iter(())
    run_sum: Callable[[Any, grpc.ServicerContext], Iterator[Any]] = lambda request, context: iter([summed(0)])
    commit: Callable[[Any, grpc.ServicerContext], Any] = lambda request, context: messages.CommitResponse()
    asked: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)

    @contextmanager
    def connected(self, database: str = "(default)") -> Iterator[Connection]:
        """A connection to the running server."""
        with ThreadPoolExecutor(40) as threads:
            server = grpc.server(threads)
            server.add_generic_rpc_handlers((self._handlers(),))
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            try:
                with emulator_channel(f"127.0.0.1:{port}") as channel:
                    yield Connection("demo", channel, EMULATOR_METADATA, database)
            finally:
                server.stop(None).wait()

    def _handlers(self) -> grpc.GenericRpcHandler:
        def noted(name: str, answer: str) -> Callable[[Any, grpc.ServicerContext], Any]:
            def handle(request: Any, context: grpc.ServicerContext) -> Any:
                self.asked.append((name, request, dict(context.invocation_metadata())))
                return getattr(self, answer)(request, context)

            return handle

        handlers = {
            "BatchGetDocuments": grpc.unary_stream_rpc_method_handler(
                noted("BatchGetDocuments", "batch_get"),
                messages.BatchGetDocumentsRequest.FromString,
                messages.BatchGetDocumentsResponse.SerializeToString,
            ),
            "RunQuery": grpc.unary_stream_rpc_method_handler(
                noted("RunQuery", "run_query"),
                messages.RunQueryRequest.FromString,
                messages.RunQueryResponse.SerializeToString,
            ),
            "RunAggregationQuery": grpc.unary_stream_rpc_method_handler(
                noted("RunAggregationQuery", "run_sum"),
                messages.RunAggregationQueryRequest.FromString,
                messages.RunAggregationQueryResponse.SerializeToString,
            ),
            "Commit": grpc.unary_unary_rpc_method_handler(
                noted("Commit", "commit"),
                messages.CommitRequest.FromString,
                messages.CommitResponse.SerializeToString,
            ),
        }
        return grpc.method_handlers_generic_handler("google.firestore.v1.Firestore", handlers)


def found(path: str, n: int = 0) -> Any:
    """An answer to a query with one document."""
    response = messages.RunQueryResponse()
    response.document.name = f"{DATABASE}/documents/{path}"
    response.document.fields["n"].integer_value = n
    return response


def summed(value: float) -> Any:
    """An answer to a sum."""
    response = messages.RunAggregationQueryResponse()
    response.result.aggregate_fields["sum"].CopyFrom(encode(value))
    return response


def missing(path: str) -> Any:
    """An answer to a batch get: there is no such document."""
    return messages.BatchGetDocumentsResponse(missing=f"{DATABASE}/documents/{path}")
