"""Finding an account of Firebase Authentication by its e-mail address."""

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from firebase_admin import auth
from firebase_admin.exceptions import (
    FirebaseError,
    InvalidArgumentError,
    PermissionDeniedError,
    UnavailableError,
)
from google.auth.exceptions import DefaultCredentialsError, TransportError

from errors import Unavailable, UserNotFound
from identity import Account, Connection, Firebase
from store import NO_DEADLINE, Deadline
from tests.support.builders import expired

EMAIL = "ann@example.com"


def firebase(answer: Callable[[str], Any], max_seconds: float = 5) -> Firebase:
    """A Firebase that answers like this."""
    client: Any = SimpleNamespace(get_user_by_email=answer)
    app: Any = None
    return Firebase(lambda: Connection(app, client), max_seconds, 4)


def failing(error: Exception) -> Firebase:
    """A Firebase that fails like this."""

    def fail(email: str) -> Any:
        raise error

    return firebase(fail)


@pytest.mark.parametrize("disabled", [False, True])
@pytest.mark.parametrize("verified", [False, True])
def test_an_account_is_found_by_its_address(disabled: bool, verified: bool) -> None:
    """Disabled or not: an admin may want to look at its books."""
    asked = []

    def answer(email: str) -> Any:
        asked.append(email)
        return SimpleNamespace(uid="ann", email=EMAIL, email_verified=verified, disabled=disabled)

    found = firebase(answer).account_with_email("Ann@example.com", NO_DEADLINE)
    assert found == Account("ann", EMAIL, verified)
    assert asked == ["Ann@example.com"]


@pytest.mark.parametrize(
    "error",
    [auth.UserNotFoundError("none"), InvalidArgumentError("Error while calling Auth service (INVALID_EMAIL).")],
)
def test_an_address_that_nobody_has_is_not_found(error: FirebaseError) -> None:
    """Nor is one that nobody can have by Firebase's own rules, which are stricter than ours."""
    with pytest.raises(UserNotFound):
        failing(error).account_with_email(EMAIL, NO_DEADLINE)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (UnavailableError("away"), None),
        (TransportError("away"), None),
        (InvalidArgumentError("Error while calling Auth service (INVALID_ID)."), None),
        (auth.ConfigurationNotFoundError("off"), "Switch on Authentication"),
        (PermissionDeniedError("no"), "Firebase Authentication Viewer"),
        (DefaultCredentialsError("none"), "credentials"),
    ],
)
def test_if_firebase_cannot_be_asked_the_answer_is_503(error: Exception, advice: str | None) -> None:
    """With advice for the operator if a retry cannot help; the message does not have the address."""
    with pytest.raises(Unavailable) as caught:
        failing(error).account_with_email(EMAIL, NO_DEADLINE)
    assert caught.value.advice is None if advice is None else advice in (caught.value.advice or "")
    assert EMAIL not in caught.value.message


def test_a_question_ends_with_its_deadline() -> None:
    """Or with the limit of each question, whichever is sooner."""
    may_answer = threading.Event()

    def slowly(email: str) -> Any:
        assert may_answer.wait(10)

    begun = time.monotonic()
    for asked, deadline in (
        (firebase(slowly), expired()),
        (firebase(slowly), Deadline.after(0.02)),
        (firebase(slowly, max_seconds=0.02), NO_DEADLINE),
    ):
        with pytest.raises(Unavailable):
            asked.account_with_email(EMAIL, deadline)
    may_answer.set()
    assert time.monotonic() - begun < 4


def test_nothing_is_connected_before_the_first_question() -> None:
    """A purchase does not pay for it, and an import of main must not look for credentials."""
    Firebase(lambda: pytest.fail("connected"), 5, 4)
