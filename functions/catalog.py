"""Styles, colors and sizes with their prices, from Firestore, cached with a time to live."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import database
import logs
from database import Query
from errors import Unavailable


@dataclass(frozen=True, slots=True)
class Catalog:
    """What is on offer; `size_credits` maps each size to its price in credits."""

    styles: Sequence[str]
    colors: Sequence[str]
    size_credits: Mapping[str, int]


class CatalogCache:
    """The catalog, read again at most once per `ttl_seconds`; safe to share between threads."""

    def __init__(self, db: database.Database, ttl_seconds: float, monotonic: Callable[[], float]) -> None:
        self._db = db
        self._ttl_seconds = ttl_seconds
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._loading: Future[Catalog] | None = None
        self._expires_at = 0.0

    def current(self) -> Catalog:
        """The catalog, at most `ttl_seconds` old. One caller reads it, the others wait for that answer.

        Raises:
            Unavailable: Firestore is away or the catalog is empty; neither is cached.
        """
        with self._guard:
            loading = self._loading
            mine = loading is None or (loading.done() and self._monotonic() >= self._expires_at)
            if mine:
                loading = self._loading = Future()
        assert loading is not None
        if mine:
            self._load_into(loading)
        return loading.result()

    def _load_into(self, loading: "Future[Catalog]") -> None:
        try:
            catalog = _read(self._db)
        # Not handled here but handed on: those who wait get the same error, and the next caller reads anew.
        except BaseException as error:  # noqa: BLE001
            self._loading = None
            loading.set_exception(error)
        else:
            self._expires_at = self._monotonic() + self._ttl_seconds
            loading.set_result(catalog)


def _read(db: database.Database) -> Catalog:
    styles = db.query(Query(database.STYLES))
    colors = db.query(Query(database.COLORS))
    prices = {document.id: document.fields.get("credits") for document in db.query(Query(database.SIZES))}
    # A bool is an int to Python, and no price.
    size_credits = {size: price for size, price in prices.items() if type(price) is int and price > 0}
    for size in prices.keys() - size_credits.keys():
        logs.error(
            "size not offered", document=f"{database.SIZES}/{size}", problem="credits must be an integer above 0"
        )
    if not (styles and colors and size_credits):
        logs.error("catalog empty", styles=len(styles), colors=len(colors), sizes=len(size_credits))
        raise Unavailable("The catalog is empty. Try again later.")
    return Catalog([style.id for style in styles], [color.id for color in colors], size_credits)
