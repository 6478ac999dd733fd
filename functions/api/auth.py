"""Authorization header -> Caller, proved by Firebase's tokens."""

from collections.abc import Mapping
from typing import Any, Protocol

from calls import Caller
from credits.documents import is_user_id
from errors import PermissionDenied, Unauthenticated
from store import Deadline

ADMIN_CLAIM = "admin"
APP_CHECK_HEADER = "X-Firebase-AppCheck"
# The caller of a request without a token, if none is required (in an emulator only): may do everything.
LOCAL_CALLER = Caller(user_id=None, is_admin=True)
_NO_TOKEN = "Send a Firebase ID token: 'Authorization: Bearer <token>'."


class Tokens(Protocol):
    """Checks tokens."""

    def claims(self, id_token: str, deadline: Deadline) -> Mapping[str, Any]:
        """The claims of a valid ID token, including `uid`.

        Raises:
            Unauthenticated: the token is not valid.
            Unavailable: it could not be checked in time.
        """

    def check_app(self, app_check_token: str, deadline: Deadline) -> None:
        """Checks that the call comes from the operator's own app.

        Raises:
            Unauthenticated: the token does not prove it.
            Unavailable: it could not be checked in time.
        """


class Gate:
    """Decides from a call's headers who calls."""

    def __init__(self, tokens: Tokens, require_auth: bool, require_app_check: bool) -> None:
        self._tokens = tokens
        self._require_auth = require_auth
        self._require_app_check = require_app_check

    def caller(self, authorization: str | None, app_check_token: str | None, deadline: Deadline) -> Caller:
        """The caller that these headers prove. A token is checked even if none is required.

        Raises:
            Unauthenticated: a token that is required is missing; or one is invalid, expired, revoked, or of an account
                that is disabled or gone.
            PermissionDenied: the account's id cannot be a user id here.
            Unavailable: Firebase did not check the token in time.
        """
        if self._require_app_check:
            self._tokens.check_app(app_check_token or "", deadline)
        if authorization is None and not self._require_auth:
            return LOCAL_CALLER
        claims = self._tokens.claims(_bearer(authorization), deadline)
        user_id = claims["uid"]
        # The Admin SDK accepts any id for an account, and one with a slash would be a path in Firestore.
        if not is_user_id(user_id):
            raise PermissionDenied("This account's id cannot be used here.")
        return Caller(user_id, is_admin=is_admin(claims))


def is_admin(claims: Mapping[str, Any]) -> bool:
    """Whether the admin claim is exactly the JSON value true."""
    return claims.get(ADMIN_CLAIM) is True


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(_NO_TOKEN, "no bearer token")
    return token.strip()
