"""The gate: which headers make which caller."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from firebase_admin import app_check

from auth import FirebaseTokens, Gate
from errors import PermissionDenied, Unauthenticated
from handlers import ANYONE, Caller
from identities import Known

PROJECT = "demo-auth"


TOKENS = Known(ann={"uid": "ann"}, root={"uid": "root", "admin": True}, path={"uid": "ann/transactions/x"})


def test_a_token_makes_a_caller() -> None:
    """The uid is the user, and the claim makes the admin."""
    gate = Gate(TOKENS, require_auth=True, require_app_check=False)
    assert gate.caller("Bearer ann", None) == Caller("ann", is_admin=False)
    assert gate.caller("bearer  root ", None) == Caller("root", is_admin=True)


@pytest.mark.parametrize("claim", ["true", 1, "", None, [True], {"admin": True}])
def test_only_true_makes_an_admin(claim: object) -> None:
    """Whatever else the claim holds, it makes none."""
    gate = Gate(Known(ann={"uid": "ann", "admin": claim}), require_auth=True, require_app_check=False)
    assert not gate.caller("Bearer ann", None).is_admin


@pytest.mark.parametrize("authorization", [None, "", "ann", "Bearer", "Bearer ", "Basic ann", "Bearer ann x"])
def test_without_a_bearer_token_nobody_comes_in(authorization: str | None) -> None:
    """No header, no scheme, another scheme, or more than a token."""
    with pytest.raises(Unauthenticated):
        Gate(TOKENS, require_auth=True, require_app_check=False).caller(authorization, None)


def test_an_id_that_is_a_path_never_reaches_one() -> None:
    """The Admin SDK gives accounts any id; one with a slash would name another document."""
    with pytest.raises(PermissionDenied):
        Gate(TOKENS, require_auth=True, require_app_check=False).caller("Bearer path", None)


def test_where_nobody_must_say_who_they_are_a_token_still_counts() -> None:
    """Bare calls may do anything; one with a token is that user's, and a bad one is refused."""
    gate = Gate(TOKENS, require_auth=False, require_app_check=False)
    assert gate.caller(None, None) == ANYONE
    assert gate.caller("Bearer ann", None) == Caller("ann", is_admin=False)
    with pytest.raises(Unauthenticated):
        gate.caller("Bearer stranger", None)


def test_app_check_comes_before_the_token() -> None:
    """Where it is required, every call needs both."""
    gate = Gate(TOKENS, require_auth=True, require_app_check=True)
    assert gate.caller("Bearer ann", "good").user_id == "ann"
    for app_check_token in (None, "", "bad"):
        with pytest.raises(Unauthenticated, match="no app"):
            gate.caller("Bearer ann", app_check_token)


def test_threads_that_come_at_once_share_one_connection() -> None:
    """The first tokens of a cold start are checked by one client, whoever makes it."""
    tokens = FirebaseTokens(PROJECT, timeout_seconds=1)
    together = threading.Barrier(16)

    def connect(_: int) -> Any:
        together.wait()
        return tokens._connection()

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(connect, range(16)))
    assert all(connection is found[0] for connection in found)


@pytest.mark.parametrize("change", [{}, {"aud": ["projects/other"]}, {"iss": "https://evil/"}, {"exp": 1}])
def test_app_check_tokens_are_verified_by_signature_and_claims(change: dict[str, Any]) -> None:
    """A token signed with the service's key passes; another project's, issuer's or an expired one does not."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    tokens = FirebaseTokens(PROJECT, timeout_seconds=1)

    class Keys:
        """The service's keys without the network."""

        def get_signing_key_from_jwt(self, token: str) -> Any:
            return type("Key", (), {"key": key.public_key()})

    app_check._get_app_check_service(tokens._connection()[0])._jwks_client = Keys()
    claims = {
        "iss": "https://firebaseappcheck.googleapis.com/1",
        "aud": [f"projects/{PROJECT}"],
        "sub": "app",
        "exp": int(time.time()) + 60,
        **change,
    }
    token = jwt.encode(claims, key, algorithm="RS256")
    if change:
        with pytest.raises(Unauthenticated):
            tokens.check_app(token)
    else:
        tokens.check_app(token)
    other_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(Unauthenticated):
        tokens.check_app(jwt.encode(claims, other_key, algorithm="RS256"))
