"""The use cases where time, catalog and model play against them, on an in-process database."""

from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions

from ai_simulator import ImageModel, ImageOrder
from builders import Books, counter_ids
from catalog import CatalogCache
from contract import order
from database import RetryPolicy
from errors import GenerationFailed, InvalidRequest, Unavailable
from generations import Generations
from handlers import Call, Services, create_generation_request


class Model:
    """A model that runs something and gives a URL."""

    def __init__(self, act: Callable[[], str]) -> None:
        self._act = act

    def generate(self, order: ImageOrder) -> str:
        return self._act()


class Shop:
    """Services whose clock moves when told to, for a user with 10 credits."""

    def __init__(self, act: Callable[[], str] = lambda: "https://image") -> None:
        self.books = Books()
        self.books.add_user("ann", 10)
        for path in ("styles/realistic", "colors/vibrant"):
            self.books.db.put(path, {})
        self.books.db.put("sizes/512x512", {"credits": 1})
        self.seconds = 0.0
        models: dict[str, ImageModel] = {"model-a": Model(act)}
        self.services = Services(
            catalog=CatalogCache(self.books.db, 0.0, lambda: self.seconds),
            ledger=self.books.ledger,
            generations=Generations(self.books.db),
            models=models,
            new_id=counter_ids(),
            monotonic=lambda: self.seconds,
            image_within_seconds=48.0,
            answer_within_seconds=57.0,
            signup_credits=0,
        )

    def buy(self, key: str | None = None, **changes: Any) -> Any:
        return create_generation_request(Call(order("ann", **changes), idempotency_key=key), self.services)


def test_an_image_that_comes_after_the_time_out_is_not_sold() -> None:
    """The client was cut off, so the late image is refunded and the request fails."""

    def slowly() -> str:
        shop.seconds += 55
        return "https://image"

    shop = Shop(slowly)
    with pytest.raises(GenerationFailed):
        shop.buy()
    assert shop.books.balance() == 10
    assert shop.books.audits.of_user("ann") == []


@pytest.mark.parametrize("url", ["https://\ud800", "x" * 3_000, "", "https://ü"])
def test_a_url_that_cannot_be_stored_is_a_failure(url: str) -> None:
    """The credits come back at once, not when the lease ends."""
    shop = Shop(lambda: url)
    with pytest.raises(GenerationFailed):
        shop.buy()
    assert shop.books.balance() == 10


def test_a_purchase_is_replayed_after_its_option_was_withdrawn() -> None:
    """The catalog decides what is sold, not what was: same key and same request give the stored answer."""
    shop = Shop()
    first = shop.buy("key")
    shop.books.db.remove("styles/realistic")
    shop.books.db.put("styles/anime", {})
    again = shop.buy("key")
    assert (again.body, again.headers) == (first.body, {"Idempotent-Replayed": "true"})
    for key, changes in (("key", {"style": 5}), ("other", {}), (None, {})):
        with pytest.raises(InvalidRequest):
            shop.buy(key, **changes)
    assert shop.books.balance() == 9


def test_a_request_that_was_long_in_coming_buys_nothing() -> None:
    """A client that sent its body too slowly, or whose token took too long to check, gets 503 and is not charged."""
    shop = Shop()
    shop.seconds = 49.0
    with pytest.raises(Unavailable):
        shop.buy()
    assert shop.books.balance() == 10


def test_an_image_that_cannot_be_sold_in_time_is_not_waited_for() -> None:
    """The ledger's tries end with the client's patience, and what it could not sell then is refunded with the lease."""

    def away(name: str) -> None:
        if name == "Commit" and shop.seconds >= 47:
            shop.seconds += 4
            raise exceptions.ServiceUnavailable("away")

    def slowly() -> str:
        shop.seconds = 47.0
        return "https://image"

    shop = Shop(slowly)
    shop.books.db.before_rpc = away
    shop.books.db._policy = RetryPolicy(
        budget_seconds=15,
        uniform=lambda low, high: 0.0,
        sleep=lambda seconds: None,
        monotonic=lambda: shop.seconds,
    )
    with pytest.raises(Unavailable):
        shop.buy()
    assert shop.seconds <= 60
    shop.books.db.before_rpc = lambda name: None
    shop.books.clock.forward(601)
    shop.books.ledger.release_expired()
    assert shop.books.balance() == 10


def test_a_client_without_a_key_can_ask_what_became_of_its_purchase() -> None:
    """When it is unknown whether completion stands, the answer has the key with which the client learns it."""
    shop = Shop()
    commits = iter(range(100))

    def silence(name: str) -> None:
        if name == "Commit" and next(commits) == 1:
            shop.books.db.before_rpc = lost
            raise exceptions.ServiceUnavailable("lost")

    def lost(name: str) -> None:
        raise exceptions.ServiceUnavailable("lost")

    shop.books.db.after_rpc = silence
    with pytest.raises(Unavailable) as caught:
        shop.buy()
    shop.books.db.before_rpc = lambda name: None
    answer = shop.buy(caught.value.details["idempotencyKey"])
    assert answer.body["imageUrl"] == "https://image"
    assert shop.books.balance() == 9
