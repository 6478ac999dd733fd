"""Why an ID token was refused: for the operator's log, not for the client, and without quoting the token."""

from collections.abc import Mapping
from typing import Any

from google.auth import jwt

# What a library raises for a token whose parts have unexpected types or values.
MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
# https://firebase.google.com/docs/auth/admin/create-custom-tokens
_CUSTOM_TOKEN = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"


def fault(id_token: str, project: str | None, now_seconds: float, skew_seconds: float) -> str:
    """The first fault in a refused token's claims; their times are compared with this machine's clock."""
    try:
        return _fault(jwt.decode(id_token, verify=False), project, now_seconds, skew_seconds)
    except MALFORMED:
        return "not an ID token"


def _fault(claims: Mapping[str, Any], project: str | None, now_seconds: float, skew_seconds: float) -> str:
    if project is None:
        return "this server knows no project: set GOOGLE_CLOUD_PROJECT"
    if claims.get("aud") == _CUSTOM_TOKEN:
        return "a custom token, with which the client has to sign in first"
    if (claims.get("aud"), claims.get("iss")) != (project, f"https://securetoken.google.com/{project}"):
        return f"for another project than {project}"
    if claims.get("firebase", {}).get("tenant") is not None:
        return "of a tenant"
    return _fault_of_time(claims, now_seconds, skew_seconds) or "not signed by Firebase"


def _fault_of_time(claims: Mapping[str, Any], now_seconds: float, skew_seconds: float) -> str | None:
    old_seconds, early_seconds = now_seconds - float(claims["exp"]), float(claims["iat"]) - now_seconds
    if not old_seconds < skew_seconds:
        return f"expired {old_seconds:g} s ago"
    if not early_seconds < skew_seconds:
        return f"issued {early_seconds:g} s in the future: one of the clocks is wrong"
    return None
