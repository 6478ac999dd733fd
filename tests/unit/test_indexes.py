"""Production refuses a query without its composite index; the emulator does not, so this test does."""

import ast
import json
from pathlib import Path

from anomalies import Thresholds
from builders import LEASE_SECONDS, Books, request
from catalog import CatalogCache
from database import Query
from generations import Generations
from reports import Reports, Window

ROOT = Path(__file__).resolve().parents[2]
COMPOSITES = [
    (index["collectionGroup"], [(field["fieldPath"], field["order"]) for field in index["fields"]])
    for index in json.loads((ROOT / "firestore.indexes.json").read_text(encoding="utf-8"))["indexes"]
]


def queries_of_the_code() -> list[Query]:
    """Every query that the code can send, by running all that sends one."""
    books = Books()
    books.add_user()
    for path in ("styles/a", "colors/a"):
        books.db.put(path, {})
    books.db.put("sizes/a", {"credits": 1})
    CatalogCache(books.db, 60, lambda: 0.0).current()
    books.ledger.reserve(request())
    books.clock.forward(LEASE_SECONDS + 1)
    books.ledger.release_expired()
    books.ledger.statement("ann", 10)
    books.ledger.has_history("ann")
    list(books.audits.of_everybody())
    generations = Generations(books.db)
    generations.page("ann", None, 10)
    generations.page("ann", "failed", 10)
    reports = Reports(books.db, books.db, Thresholds())
    reports.make(Window.ending_now(books.clock()), books.clock())
    reports.read(None, books.clock())
    return books.db.queries


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


def test_every_query_of_the_code_is_covered_by_this_test() -> None:
    """As many kinds of queries are seen as the sources construct."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "functions").glob("*.py")]
    built = sum(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Query"
        for source in sources
        for node in ast.walk(ast.parse(source))
    )
    kinds = {
        (query.collection, tuple(name for name, *_ in query.where), query.order_by) for query in queries_of_the_code()
    }
    # One place builds two (listGenerationRequests filters by status or not), and two build the same (a whole ledger).
    assert len(kinds) == built


def test_every_query_has_its_index() -> None:
    """firestore.indexes.json holds each composite index that a query needs, and no other."""
    needed = [index for query in queries_of_the_code() if (index := composite_needed(query))]
    assert all(index in COMPOSITES for index in needed)
    assert all(index in needed for index in COMPOSITES)
