"""Checks Firebase's ID tokens and App Check tokens.

Signature and times are checked on every call. Only Firebase knows whether the account was disabled or its tokens were
revoked, and a token alone stays valid for an hour:
https://firebase.google.com/docs/auth/admin/manage-sessions#detect_id_token_revocation
"""

import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from firebase_admin import auth
from firebase_admin.exceptions import FirebaseError
from google.auth.exceptions import GoogleAuthError

import logs
from api.auth import APP_CHECK_HEADER, is_admin
from api.token_faults import MALFORMED, fault
from errors import Unauthenticated
from identity import Connection, Firebase, away
from store import Deadline

# Google's clocks and ours differ; the most that the Admin SDK allows.
CLOCK_SKEW_SECONDS = 60
# A remembered account takes about 300 bytes.
MAX_REMEMBERED_ACCOUNTS = 10_000
_BAD_TOKEN = "The ID token is invalid, expired or revoked. Sign in again."
_BAD_APP = f"Send a valid App Check token in the header {APP_CHECK_HEADER}."


class FirebaseTokens:
    """The tokens of one project; safe to share between threads. Connects to nothing before the first token.

    A good account is not checked again for `revocation_check_seconds`, unless it is an admin's.
    """

    def __init__(
        self,
        firebase: Firebase,
        project: str | None,
        revocation_check_seconds: float = 0,
        clock_seconds: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._project = project
        self._firebase = firebase
        self._clock_seconds = clock_seconds
        self._accounts = _Accounts(revocation_check_seconds, monotonic)

    def claims(self, id_token: str, deadline: Deadline) -> Mapping[str, Any]:
        """See api.auth.Tokens."""
        return self._firebase.ask(partial(self._claims, id_token), deadline)

    def check_app(self, app_check_token: str, deadline: Deadline) -> None:
        """See api.auth.Tokens."""
        self._firebase.ask(partial(_check_app, app_check_token), deadline)

    def _claims(self, id_token: str, firebase: Connection) -> Mapping[str, Any]:
        claims = _verified(firebase.client, id_token)
        now = self._clock_seconds()
        # For the Auth emulator's unsigned tokens the library checks neither.
        in_time = claims and claims["exp"] > now - CLOCK_SKEW_SECONDS and claims["iat"] < now + CLOCK_SKEW_SECONDS
        if claims is None or not in_time:
            raise Unauthenticated(_BAD_TOKEN, fault(id_token, self._project, now, CLOCK_SKEW_SECONDS))
        self._accounts.must_be_live(firebase.client, claims)
        return claims


class _Accounts:
    """The accounts that Firebase recently found good, and since when their tokens are valid."""

    def __init__(self, check_seconds: float, monotonic: Callable[[], float]) -> None:
        self._check_seconds = check_seconds
        self._monotonic = monotonic
        # By account: the time of the check, and the milliseconds before which tokens are revoked.
        self._checked: dict[str, tuple[float, int]] = {}

    def must_be_live(self, client: auth.Client, claims: Mapping[str, Any]) -> None:
        """Refuses the token of an account that is disabled or gone, and a token that was revoked."""
        valid_after_ms = self._remembered(claims)
        if valid_after_ms is None:
            # The new check may refuse the account, so the old result must not stay.
            self._checked.pop(claims["uid"], None)
            valid_after_ms = _valid_after_ms(client, claims["uid"])
            self._remember(claims["uid"], valid_after_ms)
        if claims["iat"] * 1000 < valid_after_ms:
            raise Unauthenticated(_BAD_TOKEN, "revoked")

    def _remembered(self, claims: Mapping[str, Any]) -> int | None:
        # An admin may do much, so the account is checked each time.
        if is_admin(claims):
            return None
        checked_at_seconds, valid_after_ms = self._checked.get(claims["uid"], (-math.inf, 0))
        return valid_after_ms if self._monotonic() - checked_at_seconds < self._check_seconds else None

    def _remember(self, user_id: str, valid_after_ms: int) -> None:
        if self._check_seconds:
            if len(self._checked) >= MAX_REMEMBERED_ACCOUNTS:
                self._checked = {}
            self._checked[user_id] = self._monotonic(), valid_after_ms


def _verified(client: auth.Client, id_token: str) -> Mapping[str, Any] | None:
    """The claims of a token that Firebase signed for this project, with exp and iat as numbers; None for any other."""
    try:
        found: Mapping[str, Any] = client.verify_id_token(id_token, clock_skew_seconds=CLOCK_SKEW_SECONDS)
        times = [float(found[name]) for name in ("exp", "iat")]
        tenant = found.get("firebase", {}).get("tenant")
    except auth.InvalidIdTokenError:
        return None
    except (FirebaseError, GoogleAuthError) as error:
        raise away(error) from error
    except MALFORMED:
        return None
    # A tenant has accounts of its own, whose ids may be those of this project's users.
    if tenant is not None or not all(map(math.isfinite, times)):
        return None
    return {**found, "exp": times[0], "iat": times[1]}


def _valid_after_ms(client: auth.Client, user_id: str) -> int:
    """Asks Firebase since when the account's tokens are valid, in milliseconds.

    verify_id_token(check_revoked=True) does this too, but would verify the signature a second time.

    Raises:
        Unauthenticated: the account is disabled or gone.
        Unavailable: Firebase did not answer.
    """
    try:
        user = client.get_user(user_id)
        is_disabled, valid_after_ms = bool(user.disabled), int(user.tokens_valid_after_timestamp)
    except auth.UserNotFoundError as error:
        raise Unauthenticated(_BAD_TOKEN, "of an account that is gone") from error
    # The token was valid a moment ago, so every other problem is in Firebase's answer.
    except (FirebaseError, GoogleAuthError, *MALFORMED) as error:
        raise away(error) from error
    if is_disabled:
        raise Unauthenticated(_BAD_TOKEN, "of a disabled account")
    return valid_after_ms


def _check_app(app_check_token: str, firebase: Connection) -> None:
    # Only a project that requires App Check needs these, so others start faster.
    import jwt  # noqa: PLC0415
    from firebase_admin import app_check  # noqa: PLC0415

    try:
        # The library fetches keys before it checks this, and a forged token should not cause that.
        if jwt.get_unverified_header(app_check_token).get("alg") != "RS256":
            raise Unauthenticated(_BAD_APP, "App Check token not signed by Firebase")
        app_check.verify_token(app_check_token, firebase.app)
    except (jwt.PyJWKClientConnectionError, FirebaseError, GoogleAuthError) as error:
        raise away(error) from error
    except (jwt.PyJWTError, *MALFORMED) as error:
        # The type of the library's error says enough: ExpiredSignatureError, InvalidAudienceError …
        cause = next((each for each in logs.chain(error) if isinstance(each, jwt.PyJWTError)), error)
        why = f"App Check token refused: {type(cause).__name__}" if app_check_token else "no App Check token"
        raise Unauthenticated(_BAD_APP, why) from error
