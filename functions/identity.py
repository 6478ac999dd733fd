"""Firebase Authentication of one project: the connection, a time limit for each question, and looking up accounts."""

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import firebase_admin
import google.auth
import google.auth.credentials
from firebase_admin import auth, credentials
from firebase_admin.exceptions import (
    FirebaseError,
    InvalidArgumentError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError

from errors import Unavailable, UserNotFound
from store import Deadline
from waiting import Threads, TookTooLong

_SCOPES = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/identitytoolkit",
)
_AWAY = "Firebase Authentication did not answer. Try again."
# Firebase's errors that last until an operator fixes the cause.
_ADVICE: Mapping[type[Exception], str] = {
    auth.ConfigurationNotFoundError: "Switch on Authentication in the Firebase console.",
    PermissionDeniedError: (
        "Give the functions' service account the role Firebase Authentication Viewer; enable the Identity Toolkit API."
    ),
    UnauthenticatedError: "Firebase Authentication does not accept these credentials.",
    DefaultCredentialsError: "There are no credentials: gcloud auth application-default login.",
    RefreshError: "Google gives no access token for these credentials.",
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Connection:
    """The Admin SDK's view of a project."""

    app: firebase_admin.App
    client: auth.Client


def connect(project: str | None, max_seconds: float) -> Connection:
    """Connects to a project; asks nothing and needs no credentials yet. `max_seconds` is for each read."""
    options = {"projectId": project, "httpTimeout": max_seconds}
    # A name of its own, so that a second one in the same process does not clash.
    app = firebase_admin.initialize_app(_OnDemand(), options, name=uuid.uuid4().hex)
    return Connection(app, auth.Client(app))


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who can sign in."""

    user_id: str
    email: str
    email_verified: bool


class Firebase:
    """One connection for all threads, made when it is first needed. `max_seconds` bounds each question."""

    def __init__(self, connect: Callable[[], Connection], max_seconds: float, max_threads: int) -> None:
        self._connect = connect
        self._max_seconds = max_seconds
        self._guard = threading.Lock()
        self._connection: Connection | None = None
        # The libraries' own time-outs are for each read and each attempt: together they may take minutes.
        self._threads = Threads(max_threads, "firebase")

    @classmethod
    def of(cls, project: str | None, max_seconds: float, max_threads: int) -> "Firebase":
        """The connection to a project; connects to nothing yet."""
        return cls(partial(connect, project, max_seconds), max_seconds, max_threads)

    def ask(self, question: Callable[[Connection], T], deadline: Deadline) -> T:
        """The answer to a question.

        Raises:
            Unavailable: there was no answer in time.
        """
        seconds = min(self._max_seconds, deadline.left_seconds)
        try:
            return self._threads.within(seconds, partial(question, self._connected()))
        except TookTooLong as error:
            raise Unavailable(_AWAY) from error

    def account_with_email(self, email: str, deadline: Deadline) -> Account:
        """The account with this e-mail address, disabled or not. Never logs the address.

        Raises:
            UserNotFound: no account has it.
            Unavailable: Firebase did not answer in time.
        """
        return self.ask(partial(_with_email, email), deadline)

    def _connected(self) -> Connection:
        with self._guard:
            if self._connection is None:
                self._connection = self._connect()
            return self._connection


def away(error: Exception) -> Unavailable:
    """The answer if Firebase could not be asked: an operator gets advice if a retry cannot help."""
    return Unavailable(_AWAY, advice=next((text for kind, text in _ADVICE.items() if isinstance(error, kind)), None))


def _with_email(email: str, firebase: Connection) -> Account:
    try:
        found = firebase.client.get_user_by_email(email)
    except auth.UserNotFoundError as error:
        raise UserNotFound() from error
    except (FirebaseError, GoogleAuthError) as error:
        # Firebase's own rule for addresses is stricter than ours.
        if isinstance(error, InvalidArgumentError) and "INVALID_EMAIL" in str(error):
            raise UserNotFound() from error
        raise away(error) from error
    return Account(found.uid, found.email, found.email_verified)


class _OnDemand(credentials.Base):  # type: ignore[misc]
    """Application Default Credentials, loaded when first needed: a forged token is refused without them."""

    def get_credential(self) -> google.auth.credentials.Credentials:
        return _OnDemandCredentials()  # type: ignore[no-untyped-call]


class _OnDemandCredentials(google.auth.credentials.Credentials):
    def refresh(self, request: Any) -> None:
        found, _ = google.auth.default(scopes=_SCOPES)
        found.refresh(request)
        self.token, self.expiry = found.token, found.expiry
