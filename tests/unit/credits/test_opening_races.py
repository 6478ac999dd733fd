"""A new user's first calls in two processes at once: the other one opens the account while this one reads."""

from typing import Any

import pytest

from credits.accounts import open_account
from credits.orders import Order
from tests.support.builders import Books
from tests.support.memory import Hook


def once_before_the_query(act: Any) -> Hook:
    """A hook that acts once, between the read of the balance and the query for the history."""
    acts = [act]

    def hook(name: str) -> None:
        if name == "RunQuery" and acts:
            acts.pop()()

    return hook


@pytest.fixture
def books() -> Books:
    """During its query for ann's history, another process serves her first purchase (1 credit, 12 at sign-up)."""
    books, other = Books(), Books()
    other.store.documents = books.store.documents
    books.store.before_rpc = once_before_the_query(lambda: other.reserve("theirs", 1, signup_credits=12))
    return books


def test_a_first_purchase_is_served(books: Books) -> None:
    """The account that the other process opened is not treated as deleted."""
    assert books.reserve("mine", 1, signup_credits=12).balance_after_credits == 10
    assert books.audit.of_user("ann").violations == []


def test_a_first_read_is_served(books: Books) -> None:
    """The account that the other process opened does not change."""
    open_account(books.store, "ann", 12)
    assert books.balance() == 11


def test_a_grant_is_served(books: Books) -> None:
    """The grant adds to the balance that the other process left."""
    assert books.grants.grant(Order.with_key("k", "ann", 5, "r", "root")).balance_after_credits == 16
