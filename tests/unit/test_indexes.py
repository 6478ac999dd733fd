"""Production refuses a query without its composite index; the emulator does not, so this test does."""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import handlers
import webhook_handlers
from calls import Call, Caller
from credits.audit import Audit
from credits.orders import Order
from schemas.requests import CreditsQuery, DeliveriesQuery, GenerationOrder, GenerationsQuery
from store import NO_DEADLINE, Query
from tests.support.builders import LEASE_SECONDS, ORDER, Backend
from tests.support.files import MemoryFiles

WEBHOOK_SECRET = f"whsec_{'A' * 32}"
ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ROOT / "functions"
COMPOSITES = [
    (index["collectionGroup"], [(field["fieldPath"], field["order"]) for field in index["fields"]])
    for index in json.loads((ROOT / "firestore.indexes.json").read_text(encoding="utf-8"))["indexes"]
]


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """The files and lines that made a query from here on."""
    found: set[tuple[str, int]] = set()
    original = Query.__init__

    def noting(self: Query, *args: Any, **named: Any) -> None:
        caller = sys._getframe(1)
        # A comprehension is a frame of its own before Python 3.12, in the same file.
        found.add((caller.f_code.co_filename, caller.f_lineno))
        original(self, *args, **named)

    monkeypatch.setattr(Query, "__init__", noting)
    return found


def queries_of_the_code() -> list[Query]:
    """Every query that the code can send, by running all that sends one."""
    backend = Backend(
        files=MemoryFiles(),
        SIGNUP_CREDITS="9",
        COMPLETION_WEBHOOK_URL="http://127.0.0.1:1",
        WEBHOOK_SECRET=WEBHOOK_SECRET,
    )
    call = Call(Caller("ann"), NO_DEADLINE)
    order = GenerationOrder.model_validate(ORDER)
    handlers.create_generation_request(order, call, backend.services)
    handlers.get_user_credits(CreditsQuery.model_validate({"userId": "ann"}), call, backend.services)
    for status in (None, "failed"):
        query = GenerationsQuery.model_validate({"userId": "ann", **({"status": status} if status else {})})
        handlers.list_generation_requests(query, call, backend.services)
    backend.clock.forward(LEASE_SECONDS + 1)
    handlers.release_expired_reservations(backend.services)
    for status in (None, "failed"):
        deliveries = DeliveriesQuery.model_validate({"status": status} if status else {})
        webhook_handlers.list_webhook_deliveries(deliveries, call, backend.services)
    reporting = backend.services.reporting()
    reporting.make_scheduled(backend.clock())
    reporting.make_now()
    reporting.read(None)
    backend.services.grants.grant(Order.with_key("key", "bob", 5, "because"))
    list(Audit(backend.store).of_all_users())
    return backend.store.queries


def composite_needed(query: Query) -> tuple[str, list[tuple[str, str]]] | None:
    """The index for equalities, then the order; one field alone is indexed by itself.

    Source: https://firebase.google.com/docs/firestore/query-data/index-overview#composite_indexes
    """
    equal = sorted(name for name, operator, _ in query.where if operator == "==")
    ranged = sorted({name for name, operator, _ in query.where if operator != "=="} - {query.order_by})
    ordered = [query.order_by] if query.order_by else []
    if len({*equal, *ranged, *ordered}) < 2:
        return None
    direction = "DESCENDING" if query.descending else "ASCENDING"
    fields = [*((name, "ASCENDING") for name in equal), *((name, direction) for name in (*ordered, *ranged))]
    return query.collection.split("/")[-1], fields


def built() -> Iterator[tuple[str, int, int]]:
    """Each place in functions/ that builds a query: its file, first and last line."""
    for path in FUNCTIONS.rglob("*.py"):
        if "venv" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Query":
                yield str(path), node.lineno, node.end_lineno or node.lineno


def test_every_query_of_the_code_is_covered_by_this_test(places: set[tuple[str, int]]) -> None:
    """Each place that builds a query was run."""
    queries_of_the_code()
    missed = [
        f"{file}:{first}"
        for file, first, last in built()
        if not any(name == file and first <= line <= last for name, line in places)
    ]
    assert missed == []


def test_every_query_has_its_index() -> None:
    """firestore.indexes.json holds each composite index that a query needs, and no other."""
    needed = [index for query in queries_of_the_code() if (index := composite_needed(query))]
    assert all(index in COMPOSITES for index in needed)
    assert all(index in needed for index in COMPOSITES)
