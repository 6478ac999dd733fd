"""A new user's first calls in two processes at once: the other one opens the account while this one looks for it."""

from typing import Any

import pytest

from credits.accounts import open_account
from credits.orders import Order
from tests.support.builders import Books
from tests.support.memory import Hook


def once_before_the_query(act: Any) -> Hook:
    """A hook that acts once, after the balance was read and before the history is."""
    acts = [act]

    def hook(name: str) -> None:
        if name == "RunQuery" and acts:
            acts.pop()()

    return hook


@pytest.fixture
def books() -> Books:
    """While it looks at ann's history, another process serves her first purchase, of 1 credit, with 12 at sign-up."""
    books, other = Books(), Books()
    other.store.documents = books.store.documents
    books.store.before_rpc = once_before_the_query(lambda: other.reserve("theirs", 1, signup_credits=12))
    return books


def test_a_first_purchase_is_served(books: Books) -> None:
    """An account that is new to this process is not taken for a deleted one."""
    assert books.reserve("mine", 1, signup_credits=12).balance_after_credits == 10
    assert books.audit.of_user("ann").violations == []


def test_a_first_read_is_served(books: Books) -> None:
    """The account that the other one opened stays as it is."""
    open_account(books.store, "ann", 12)
    assert books.balance() == 11


def test_a_grant_is_served(books: Books) -> None:
    """It adds to what the other one left."""
    assert books.grants.grant(Order.with_key("k", "ann", 5, "r", "root")).balance_after_credits == 16
