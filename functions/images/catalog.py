"""Styles, colors and sizes with their prices, from Firestore: cached, and refreshed in the background."""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import logs
from credits.documents import MAX_COST_CREDITS, is_count
from errors import ApiError, FieldProblem, Internal, InvalidRequest, Unavailable
from store import NO_DEADLINE, Deadline, Document, Query, Store

# Each option is a document; those of sizes have `credits`.
STYLES, COLORS, SIZES = "styles", "colors", "sizes"
# Up to this many times its time to live, an old catalog is served while a newer one is read.
MAX_STALENESS = 2
MAX_QUOTED_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Catalog:
    """What is on offer; `size_credits` maps each size to its price in credits."""

    models: Sequence[str]
    styles: Sequence[str]
    colors: Sequence[str]
    size_credits: Mapping[str, int]

    def options(self) -> Mapping[str, Sequence[str]]:
        """The allowed values of model, style, color and size."""
        return {"model": self.models, "style": self.styles, "color": self.colors, "size": [*self.size_credits]}

    def price(self, *, model: str, style: str, color: str, size: str) -> int | InvalidRequest:
        """The price in credits, or the error that names every field that is not on offer."""
        chosen = {"model": model, "style": style, "color": color, "size": size}
        options = self.options()
        problems = [problem for name in chosen if (problem := choice_problem(name, chosen[name], options[name]))]
        if problems:
            return InvalidRequest(". ".join(problem.message for problem in problems), problems)
        return self.size_credits[size]


def choice_problem(field: str, value: object, allowed: Sequence[str]) -> FieldProblem | None:
    """What is wrong with a value that must be one of those allowed; None if it is."""
    if isinstance(value, str) and value in allowed:
        return None
    available = f"Available {field}s: {', '.join(allowed)}"
    if value is None:
        return FieldProblem(field, f"{field} is required. {available}", allowed, is_missing=True)
    if not isinstance(value, str):
        return FieldProblem(field, f"Invalid {field}: it must be a string. {available}", allowed)
    return FieldProblem(field, f"Invalid {field} '{quotable(value)}'. {available}", allowed)


def quotable(text: str) -> str:
    """The beginning of a text that a client sent, without lone surrogates, which JSON cannot carry."""
    shown = text if len(text) <= MAX_QUOTED_LENGTH else text[:MAX_QUOTED_LENGTH] + "…"
    return shown.encode("utf-8", "replace").decode("utf-8")


class CatalogCache:
    """The catalog, safe to share between threads.

    Fresh for `ttl_seconds`. After that one thread reads it again in the background while callers get the old one; a
    catalog older than MAX_STALENESS times that, left by an idle instance, is read again first. A refresh that fails is
    logged, and the old catalog stays.
    """

    def __init__(self, store: Store, models: Sequence[str], ttl_seconds: float, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._models = models
        self._ttl_seconds = ttl_seconds
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._loading = threading.Lock()
        self._catalog: Catalog | None = None
        self._read_at_seconds = 0.0
        self._is_refreshing = False
        self._failed_at_seconds = -math.inf

    def current(self, deadline: Deadline = NO_DEADLINE) -> Catalog:
        """The catalog.

        Raises:
            Unavailable: there is none yet, and Firestore is away or holds no catalog.
            Internal: there is none yet, and Firestore refuses to be read.
        """
        catalog, age_seconds = self._catalog, self._monotonic() - self._read_at_seconds
        if catalog is None or age_seconds > self._ttl_seconds * MAX_STALENESS:
            return self._read_first(deadline)
        if age_seconds > self._ttl_seconds:
            self._refresh_in_background()
        return catalog

    def _read_first(self, deadline: Deadline) -> Catalog:
        """Reads the catalog; other callers wait. If that fails, the old catalog stays."""
        asked_at_seconds = self._monotonic()
        if not self._loading.acquire(timeout=min(deadline.left_seconds, threading.TIMEOUT_MAX)):
            raise Unavailable("The catalog could not be read in time. Try again.")
        try:
            if self._catalog is None and self._failed_at_seconds > asked_at_seconds:
                # Those who waited for a read that failed do not each try again, one after the other.
                raise Unavailable("The catalog could not be read. Try again.")
            if self._catalog is None or self._read_at_seconds < asked_at_seconds:
                self._refresh(deadline)
        finally:
            self._loading.release()
        assert self._catalog is not None, "a first read that fails raises"
        return self._catalog

    def _refresh_in_background(self) -> None:
        with self._guard:
            if self._is_refreshing:
                return
            self._is_refreshing = True
        threading.Thread(target=self._run_refresh, name="catalog", daemon=True).start()

    def _run_refresh(self) -> None:
        try:
            with self._loading:
                self._refresh(NO_DEADLINE)
        finally:
            self._is_refreshing = False

    def _refresh(self, deadline: Deadline) -> None:
        try:
            self._catalog = _read(self._store, self._models, deadline)
        # The boundary: a thread of its own would print a library's exception with its message.
        except Exception as error:
            if self._catalog is None:
                self._failed_at_seconds = self._monotonic()
                if isinstance(error, ApiError):
                    raise
                raise Internal(places=logs.places(error)) from error
            logs.error("catalog not refreshed", places=logs.places(error))
        # After a failure too, so that Firestore's absence does not start one read after another.
        self._read_at_seconds = self._monotonic()


def _read(store: Store, models: Sequence[str], deadline: Deadline) -> Catalog:
    styles, colors, sizes = store.query_all([Query(name) for name in (STYLES, COLORS, SIZES)], deadline)
    prices = {size.id: price for size in sizes if (price := _credits_of(size)) is not None}
    if not (styles and colors and prices):
        advice = "Run scripts/seed.py, or add a document to each of styles, colors and sizes."
        logs.error("catalog empty", advice=advice, styles=len(styles), colors=len(colors), sizes=len(prices))
        raise Unavailable("The catalog is empty. Try again later.")
    return Catalog(models, [style.id for style in styles], [color.id for color in colors], prices)


def _credits_of(size: Document) -> int | None:
    credits = size.fields.get("credits")
    if is_count(credits, minimum=1) and credits <= MAX_COST_CREDITS:
        return credits
    problem = f"credits must be an integer from 1 to {MAX_COST_CREDITS:,}"
    logs.error("size not offered", document=size.path, problem=problem)
    return None
