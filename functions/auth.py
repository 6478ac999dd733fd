"""Authorization header -> Caller: who calls, as Firebase's own tokens prove it.

Whether an account was disabled or its tokens were revoked is asked of Firebase at every call, since a token alone stays
good for an hour: https://firebase.google.com/docs/auth/admin/manage-sessions#detect_id_token_revocation
"""

import concurrent.futures
import math
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar

import firebase_admin
import google.auth
import google.auth.credentials
from firebase_admin import auth, credentials
from firebase_admin.exceptions import FirebaseError
from google.auth.exceptions import GoogleAuthError

from errors import PermissionDenied, Unauthenticated, Unavailable
from handlers import ANYONE, Caller
from records import is_user_id

ADMIN_CLAIM = "admin"
APP_CHECK_HEADER = "X-Firebase-AppCheck"
# Google's clocks and ours differ; without it a token may be refused as too early right after sign-in.
CLOCK_SKEW_SECONDS = 10
_SCOPES = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/identitytoolkit",
)
_NO_TOKEN = "Send a Firebase ID token: 'Authorization: Bearer <token>'."
_BAD_TOKEN = "The ID token is invalid, expired or revoked. Sign in again."
_BAD_APP = f"Send a valid App Check token in the header {APP_CHECK_HEADER}."
_AWAY = "Firebase could not be asked about the token. Try again."
# What the libraries let through of a token that holds something else where they expect a text, a number or an object.
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
# More than an instance serves requests at once, so that no check waits for another.
CHECKS_AT_ONCE = 64

T = TypeVar("T")


class Tokens(Protocol):
    """What can tell a good token from a bad one."""

    def claims(self, id_token: str) -> Mapping[str, Any]:
        """The token's claims.

        Raises:
            Unauthenticated: it is no proof of anything.
            Unavailable: nobody could tell.
        """

    def check_app(self, app_check_token: str) -> None:
        """Checks that one of our apps calls.

        Raises:
            Unauthenticated: the token does not prove it.
            Unavailable: nobody could tell.
        """


class Gate:
    """Lets callers in, or not."""

    def __init__(self, tokens: Tokens, require_auth: bool, require_app_check: bool) -> None:
        self._tokens = tokens
        self._require_auth = require_auth
        self._require_app_check = require_app_check

    def caller(self, authorization: str | None, app_check_token: str | None) -> Caller:
        """Who calls, by these headers. A token that is sent is checked also where none is required.

        Raises:
            Unauthenticated: a token that is required is missing; or one is invalid, expired, revoked, or of an account
                that is disabled or gone.
            PermissionDenied: the account's id cannot be a user's id here.
            Unavailable: Firebase did not say whether the token is good.
        """
        if self._require_app_check:
            self._tokens.check_app(app_check_token or "")
        if authorization is None and not self._require_auth:
            return ANYONE
        claims = self._tokens.claims(_bearer(authorization))
        user_id = claims["uid"]
        # An id that the Admin SDK gave out may be a path to Firestore.
        if not is_user_id(user_id):
            raise PermissionDenied("This account's id cannot be used here.")
        return Caller(user_id, is_admin=claims.get(ADMIN_CLAIM) is True)


class FirebaseTokens:
    """Firebase's tokens, checked within `timeout_seconds` each; connects to nothing before the first one.

    Safe to share between threads.
    """

    def __init__(
        self, project: str | None, timeout_seconds: float, clock_seconds: Callable[[], float] = time.time
    ) -> None:
        self._options = {"projectId": project, "httpTimeout": timeout_seconds}
        self._timeout_seconds = timeout_seconds
        self._clock_seconds = clock_seconds
        self._guard = threading.Lock()
        self._connected: tuple[firebase_admin.App, auth.Client] | None = None
        # The libraries' own time-outs are per read and per attempt: together they may take minutes.
        self._threads = ThreadPoolExecutor(CHECKS_AT_ONCE, thread_name_prefix="tokens")

    def claims(self, id_token: str) -> Mapping[str, Any]:
        _, client = self._connection()
        return self._in_time(partial(self._claims, client, id_token))

    def check_app(self, app_check_token: str) -> None:
        app, _ = self._connection()
        self._in_time(partial(_check_app, app, app_check_token))

    def _claims(self, client: auth.Client, id_token: str) -> Mapping[str, Any]:
        found = _verified(client, id_token)
        # The library does not look at it where the Auth emulator, whose tokens are unsigned, is configured.
        if not found["exp"] > self._clock_seconds() - CLOCK_SKEW_SECONDS:
            raise Unauthenticated(_BAD_TOKEN)
        _must_be_live(client, found)
        return found

    def _in_time(self, check: Callable[[], T]) -> T:
        try:
            return self._threads.submit(check).result(self._timeout_seconds)
        except concurrent.futures.TimeoutError as error:
            raise Unavailable(_AWAY) from error

    def _connection(self) -> tuple[firebase_admin.App, auth.Client]:
        with self._guard:
            if self._connected is None:
                # A name of its own, so that a second one in the same process is no clash.
                app = firebase_admin.initialize_app(_OnDemand(), self._options, name=uuid.uuid4().hex)
                self._connected = app, auth.Client(app)
            return self._connected


def _verified(client: auth.Client, id_token: str) -> Mapping[str, Any]:
    """The claims of a token that Firebase signed for this project, among them numbers for exp and iat."""
    try:
        found: Mapping[str, Any] = client.verify_id_token(id_token, clock_skew_seconds=CLOCK_SKEW_SECONDS)
        times = [float(found[name]) for name in ("exp", "iat")]
        tenant = found.get("firebase", {}).get("tenant")
    except auth.InvalidIdTokenError as error:
        raise Unauthenticated(_BAD_TOKEN) from error
    except (FirebaseError, GoogleAuthError) as error:
        raise Unavailable(_AWAY) from error
    except _MALFORMED as error:
        raise Unauthenticated(_BAD_TOKEN) from error
    # A tenant has accounts of its own, whose ids may be those of this project's users.
    if tenant is not None or not all(map(math.isfinite, times)):
        raise Unauthenticated(_BAD_TOKEN)
    return {**found, "exp": times[0], "iat": times[1]}


def _must_be_live(client: auth.Client, claims: Mapping[str, Any]) -> None:
    """Asks Firebase whether the account is disabled or gone, or its tokens were revoked.

    As verify_id_token(check_revoked=True) does, which would verify the signature once more.
    """
    try:
        user = client.get_user(claims["uid"])
        is_live = not user.disabled and claims["iat"] * 1000 >= user.tokens_valid_after_timestamp
    except auth.UserNotFoundError as error:
        raise Unauthenticated(_BAD_TOKEN) from error
    # The token was good a moment ago, so whatever else is wrong is wrong with the answer.
    except (FirebaseError, GoogleAuthError, *_MALFORMED) as error:
        raise Unavailable(_AWAY) from error
    if not is_live:
        raise Unauthenticated(_BAD_TOKEN)


def _check_app(app: firebase_admin.App, app_check_token: str) -> None:
    # Only where App Check is required does a cold start pay for it.
    import jwt  # noqa: PLC0415
    from firebase_admin import app_check  # noqa: PLC0415

    try:
        # The library fetches keys before it looks at this, and a stranger should not make it do so.
        if jwt.get_unverified_header(app_check_token).get("alg") != "RS256":
            raise Unauthenticated(_BAD_APP)
        app_check.verify_token(app_check_token, app)
    except (jwt.PyJWKClientConnectionError, FirebaseError, GoogleAuthError) as error:
        raise Unavailable(_AWAY) from error
    except (jwt.PyJWTError, *_MALFORMED) as error:
        raise Unauthenticated(_BAD_APP) from error


class _OnDemand(credentials.Base):  # type: ignore[misc]
    """Application Default Credentials, looked for only when a call needs them: a forged token is refused without."""

    def get_credential(self) -> google.auth.credentials.Credentials:
        return _OnDemandCredentials()  # type: ignore[no-untyped-call]


class _OnDemandCredentials(google.auth.credentials.Credentials):
    def refresh(self, request: Any) -> None:
        found, _ = google.auth.default(scopes=_SCOPES)
        found.refresh(request)
        self.token, self.expiry = found.token, found.expiry


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(_NO_TOKEN)
    return token.strip()
