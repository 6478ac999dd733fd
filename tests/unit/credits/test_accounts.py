"""Opening a new user's account with sign-up credits."""

from dataclasses import replace

import pytest

from credits.accounts import open_account
from errors import Unavailable, UserNotFound
from tests.support.builders import PURCHASE, Books, expired, quiet


def test_a_passed_deadline_opens_nothing(books: Books) -> None:
    """The call is refused before anything is read or written."""
    before = books.store.everything()
    with pytest.raises(Unavailable):
        open_account(books.store, "new", 5, expired())
    assert books.store.everything() == before


def test_a_new_user_gets_sign_up_credits(books: Books) -> None:
    """The account opens once, with one entry."""
    open_account(books.store, "new", 5)
    once = books.store.everything()
    open_account(books.store, "new", 5)
    assert books.store.everything() == once
    assert books.balance("new") == 5
    entry = books.fields("users/new/transactions/0-signup-new-grant")
    assert (entry["type"], entry["credits"], entry["balanceAfter"], entry["grantedBy"]) == ("grant", 5, 5, None)
    assert books.audit.of_user("new").violations == []


def test_a_user_with_a_balance_keeps_it(books: Books) -> None:
    """Opening an open account changes nothing."""
    before = books.store.everything()
    open_account(books.store, "ann", 5)
    assert books.store.everything() == before


def test_a_deleted_account_stays_deleted(books: Books) -> None:
    """A ledger without a balance belongs to a deleted user."""
    open_account(books.store, "new", 5)
    books.store.remove("users/new")
    with pytest.raises(UserNotFound):
        open_account(books.store, "new", 5)
    assert "users/new" not in books.store.everything()


def test_an_account_that_was_deleted_with_its_ledger_gets_no_second_sign_up_credits(books: Books) -> None:
    """The record of the first ones stays: each way to open it, and a quote, find no user."""
    open_account(books.store, "new", 5)
    for path in [path for path in books.store.everything() if path.startswith("users/new")]:
        books.store.remove(path)
    with pytest.raises(UserNotFound):
        open_account(books.store, "new", 5)
    with pytest.raises(UserNotFound):
        books.reserve(user_id="new", signup_credits=5)
    with pytest.raises(UserNotFound):
        books.history.statement("new", 10, signup_credits=5)
    with pytest.raises(UserNotFound):
        books.history.balance("new", signup_credits=5)


def test_two_processes_open_an_account_once(books: Books) -> None:
    """A purchase in another process opens it between this process's read and commit."""
    rival, purchase = books.rival(), replace(PURCHASE, user_id="new")

    def interfere(name: str) -> None:
        if name == "Commit":
            books.store.before_rpc = quiet
            rival.reserve(purchase, "key", 3, 5)

    books.store.before_rpc = interfere
    open_account(books.store, "new", 5)
    assert books.balance("new") == 2
    assert books.audit.of_user("new").violations == []
