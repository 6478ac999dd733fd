"""Firebase's ID tokens and App Check tokens: what is checked on every call, and what is remembered."""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import firebase_admin
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from firebase_admin import auth
from firebase_admin.exceptions import PermissionDeniedError, UnauthenticatedError, UnavailableError
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

import identity
from api import firebase_tokens
from api.firebase_tokens import CLOCK_SKEW_SECONDS, FirebaseTokens
from errors import Unauthenticated, Unavailable
from store import NO_DEADLINE, Deadline
from tests.support.builders import Stopwatch, expired

PROJECT = "demo-auth"
NOW_SECONDS = 1_900_000_000
CHECK_SECONDS = 60
HOUR_SECONDS = 3600


@dataclass
class Firebase:
    """Firebase Authentication, in place of the Admin SDK's client; an exception stands for what it raises."""

    claims: dict[str, Any] | Exception = field(default_factory=dict)
    account: Any = None
    asked: list[str] = field(default_factory=list)
    skew_seconds: int | None = None

    def verify_id_token(self, id_token: str, clock_skew_seconds: int = 0) -> Any:
        self.skew_seconds = clock_skew_seconds
        return _given(self.claims)

    def get_user(self, uid: str) -> Any:
        self.asked.append(uid)
        return _given(self.account)

    def sign_in(self, uid: str = "ann", **claims: Any) -> None:
        """From now on, tokens are of this account."""
        times = {"iat": NOW_SECONDS - 10, "exp": NOW_SECONDS + HOUR_SECONDS}
        self.claims = {"uid": uid, **times, **claims}


def _given(outcome: Any) -> Any:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def account(disabled: object = False, valid_after_ms: object = 0) -> Any:
    return SimpleNamespace(disabled=disabled, tokens_valid_after_timestamp=valid_after_ms)


@pytest.fixture
def firebase(monkeypatch: pytest.MonkeyPatch) -> Firebase:
    """A good token of ann, whose account is live."""
    fake = Firebase(account=account())
    fake.sign_in()
    monkeypatch.setattr(
        auth.Client, "verify_id_token", lambda self, *args, **named: fake.verify_id_token(*args, **named)
    )
    monkeypatch.setattr(auth.Client, "get_user", lambda self, uid: fake.get_user(uid))
    return fake


def connection(max_seconds: float = 5) -> identity.Firebase:
    return identity.Firebase.of(PROJECT, max_seconds, max_threads=4)


def tokens(check_seconds: float = CHECK_SECONDS, monotonic: Stopwatch | None = None) -> FirebaseTokens:
    return FirebaseTokens(connection(), PROJECT, check_seconds, lambda: NOW_SECONDS, monotonic or Stopwatch())


def claims(checked: FirebaseTokens) -> Mapping[str, Any]:
    return checked.claims("token", NO_DEADLINE)


def test_a_good_token_gives_its_claims(firebase: Firebase) -> None:
    """With Google's clocks a minute off at most."""
    firebase.sign_in("root", admin=True)
    found = claims(tokens())
    assert (found["uid"], found["admin"]) == ("root", True)
    assert firebase.skew_seconds == CLOCK_SKEW_SECONDS == 60


@pytest.mark.parametrize(
    "error",
    [
        auth.InvalidIdTokenError("a token"),
        auth.ExpiredIdTokenError("a token", None),
        ValueError("a token"),
        TypeError("a token"),
        KeyError("kid"),
        AttributeError(),
        RecursionError(),
        OverflowError(),
    ],
)
def test_a_token_that_proves_nothing_is_refused(firebase: Firebase, error: Exception) -> None:
    """Bad, expired, or so malformed that the library trips; the account is not asked about."""
    firebase.claims = error
    with pytest.raises(Unauthenticated) as caught:
        claims(tokens())
    assert "a token" not in caught.value.message
    assert caught.value.why == "not an ID token"
    assert firebase.asked == []


@pytest.mark.parametrize(
    "error", [UnavailableError("away"), auth.CertificateFetchError("away", None), TransportError("x")]
)
def test_if_firebase_is_away_nobody_can_tell(firebase: Firebase, error: Exception) -> None:
    """503, which a client may try again: neither let in nor told to sign in."""
    firebase.claims = error
    with pytest.raises(Unavailable):
        claims(tokens())
    firebase.sign_in()
    firebase.account = error
    with pytest.raises(Unavailable):
        claims(tokens())


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (auth.ConfigurationNotFoundError("off"), "Switch on Authentication"),
        (PermissionDeniedError("no"), "Firebase Authentication Viewer"),
        (UnauthenticatedError("no"), "credentials"),
        (DefaultCredentialsError("none"), "credentials"),
        (RefreshError("revoked"), "credentials"),
        (UnavailableError("away"), None),
        (TransportError("x"), None),
    ],
)
def test_what_only_the_operator_can_mend_comes_with_advice(
    firebase: Firebase, error: Exception, advice: str | None
) -> None:
    """For the log; the answer is a 503 at once, since the token may be good."""
    firebase.account = error
    with pytest.raises(Unavailable) as caught:
        claims(tokens())
    assert caught.value.advice is None if advice is None else advice in (caught.value.advice or "")
    assert len(firebase.asked) == 1


@pytest.mark.parametrize(
    ("times", "is_good"),
    [
        ({"iat": NOW_SECONDS + 59}, True),
        ({"iat": NOW_SECONDS + 60}, False),
        ({"iat": NOW_SECONDS + HOUR_SECONDS}, False),
        ({"exp": NOW_SECONDS - 59}, True),
        ({"exp": NOW_SECONDS - 60}, False),
        ({"exp": NOW_SECONDS - HOUR_SECONDS}, False),
    ],
)
def test_a_token_is_good_in_its_time_give_or_take_a_minute(
    firebase: Firebase, times: dict[str, Any], is_good: bool
) -> None:
    """Issued in the future or expired is refused here too: for the Auth emulator's tokens the library does not look."""
    firebase.sign_in(**times)
    if is_good:
        assert claims(tokens())["uid"] == "ann"
    else:
        with pytest.raises(Unauthenticated):
            claims(tokens())


@pytest.mark.parametrize("name", ["iat", "exp"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), None, "soon", [1], {}, 10**400])
def test_a_time_that_is_not_one_is_refused(firebase: Firebase, name: str, value: object) -> None:
    """NaN would pass a comparison that is written the other way round."""
    times: dict[str, Any] = {name: value}
    firebase.sign_in(**times)
    with pytest.raises(Unauthenticated):
        claims(tokens())


def test_a_tenants_token_is_refused(firebase: Firebase) -> None:
    """A tenant has accounts of its own, whose ids may be those of this project's users."""
    firebase.sign_in(firebase={"tenant": "other-shop"})
    with pytest.raises(Unauthenticated):
        claims(tokens())
    firebase.sign_in(firebase={"sign_in_provider": "password"})
    assert claims(tokens())["uid"] == "ann"


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (account(disabled=True), "of a disabled account"),
        (account(valid_after_ms=NOW_SECONDS * 1000), "revoked"),
        (auth.UserNotFoundError("gone"), "of an account that is gone"),
    ],
)
def test_a_token_of_a_dead_account_is_refused(firebase: Firebase, state: object, why: str) -> None:
    """Disabled, its tokens revoked, or deleted; asked again the next time, since nothing good was found."""
    checked = tokens()
    for _ in range(2):
        firebase.account = state
        with pytest.raises(Unauthenticated) as caught:
            claims(checked)
        assert caught.value.why == why


@pytest.mark.parametrize("state", [account(valid_after_ms="soon"), account(valid_after_ms=None), object()])
def test_an_account_that_cannot_be_read_is_nobodys_proof(firebase: Firebase, state: object) -> None:
    """The token was good, so the problem is with Firebase's answer: 503."""
    firebase.account = state
    with pytest.raises(Unavailable):
        claims(tokens())


def test_a_live_account_is_asked_about_once_a_minute(firebase: Firebase) -> None:
    """REVOCATION_CHECK_SECONDS counts from the answer; each account has its own."""
    stopwatch = Stopwatch()
    checked = tokens(monotonic=stopwatch)
    for uid in ("ann", "bob", "ann", "bob"):
        firebase.sign_in(uid)
        claims(checked)
    assert firebase.asked == ["ann", "bob"]
    stopwatch.forward(CHECK_SECONDS - 1)
    claims(checked)
    assert firebase.asked == ["ann", "bob"]
    stopwatch.forward(1)
    claims(checked)
    assert firebase.asked == ["ann", "bob", "bob"]


def test_a_disabled_account_is_out_after_a_minute(firebase: Firebase) -> None:
    """That is what it costs to ask less often."""
    stopwatch = Stopwatch()
    checked = tokens(monotonic=stopwatch)
    claims(checked)
    firebase.account = account(disabled=True)
    assert claims(checked)["uid"] == "ann"
    stopwatch.forward(CHECK_SECONDS)
    with pytest.raises(Unauthenticated):
        claims(checked)


def test_an_admin_is_asked_about_on_every_call(firebase: Firebase) -> None:
    """A disabled admin is out at once, even if the same account called without the claim before."""
    checked = tokens()
    claims(checked)
    firebase.sign_in(admin=True)
    claims(checked)
    claims(checked)
    assert firebase.asked == ["ann"] * 3
    firebase.account = account(disabled=True)
    with pytest.raises(Unauthenticated):
        claims(checked)


def test_nothing_is_remembered_for_0_seconds(firebase: Firebase) -> None:
    """An operator may choose to ask on every call."""
    checked = tokens(check_seconds=0)
    for _ in range(3):
        claims(checked)
    assert firebase.asked == ["ann"] * 3


def test_the_time_of_a_revocation_is_remembered_too(firebase: Firebase) -> None:
    """A token that was issued before it is refused within the minute, one that was issued after it is not."""
    firebase.account = account(valid_after_ms=(NOW_SECONDS - 10) * 1000)
    checked = tokens()
    firebase.sign_in(iat=NOW_SECONDS - 10)
    claims(checked)
    firebase.sign_in(iat=NOW_SECONDS - 11)
    with pytest.raises(Unauthenticated):
        claims(checked)
    assert firebase.asked == ["ann"]


def test_the_signature_and_the_times_are_checked_on_every_call(firebase: Firebase) -> None:
    """A remembered account lets no bad token in."""
    checked = tokens()
    claims(checked)
    firebase.sign_in(exp=NOW_SECONDS - HOUR_SECONDS)
    with pytest.raises(Unauthenticated):
        claims(checked)
    firebase.claims = auth.InvalidIdTokenError("forged")
    with pytest.raises(Unauthenticated):
        claims(checked)


def test_what_is_remembered_is_bounded(firebase: Firebase, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit all is forgotten, and every account is asked about again."""
    monkeypatch.setattr(firebase_tokens, "MAX_REMEMBERED_ACCOUNTS", 3)
    checked = tokens()
    for uid in ("a", "b", "c", "a", "b", "c", "d", "a"):
        firebase.sign_in(uid)
        claims(checked)
    assert firebase.asked == ["a", "b", "c", "d", "a"]


def test_a_check_ends_with_its_deadline(firebase: Firebase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or with the limit of each check, whichever is sooner: the library's own time-outs may take minutes."""
    may_answer = threading.Event()

    def slowly(self: auth.Client, *args: Any, **named: Any) -> Any:
        assert may_answer.wait(10)
        return firebase.claims

    monkeypatch.setattr(auth.Client, "verify_id_token", slowly)
    patient, impatient = tokens(), FirebaseTokens(connection(max_seconds=0.02), PROJECT, CHECK_SECONDS)
    begun = time.monotonic()
    for checked, deadline in (
        (patient, expired()),
        (patient, Deadline.after(0.02)),
        (impatient, NO_DEADLINE),
    ):
        with pytest.raises(Unavailable):
            checked.claims("token", deadline)
    may_answer.set()
    assert time.monotonic() - begun < 4


def test_threads_that_come_at_once_share_one_connection(firebase: Firebase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first tokens of a cold start are checked by one client."""
    made: list[object] = []
    original = firebase_admin.initialize_app

    def initialize_app(*args: Any, **named: Any) -> Any:
        made.append(args)
        time.sleep(0.01)
        return original(*args, **named)

    monkeypatch.setattr(firebase_admin, "initialize_app", initialize_app)
    checked, together = tokens(), threading.Barrier(16)

    def check(_: int) -> None:
        together.wait()
        claims(checked)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(check, range(16)))
    assert len(made) == 1


def test_nothing_is_connected_before_the_first_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import of main must not look for credentials."""
    monkeypatch.setattr(firebase_admin, "initialize_app", lambda *args, **named: pytest.fail("connected"))
    tokens()


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
APP_CLAIMS = {"iss": "https://firebaseappcheck.googleapis.com/1", "aud": [f"projects/{PROJECT}"], "sub": "app"}


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """App Check's keys without the network; the tokens for which they were fetched."""
    fetched: list[str] = []

    def get_signing_key_from_jwt(self: jwt.PyJWKClient, token: str) -> Any:
        fetched.append(token)
        return SimpleNamespace(key=KEY.public_key())

    monkeypatch.setattr(jwt.PyJWKClient, "get_signing_key_from_jwt", get_signing_key_from_jwt)
    return fetched


def app_token(key: Any = KEY, algorithm: str = "RS256", **changes: Any) -> str:
    return jwt.encode({**APP_CLAIMS, "exp": int(time.time()) + 60, **changes}, key, algorithm=algorithm)


def test_an_app_check_token_of_this_project_passes(keys: list[str]) -> None:
    """Its signature is checked with the service's key."""
    tokens().check_app(app_token(), NO_DEADLINE)
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"aud": ["projects/other"]}, "InvalidAudienceError"),
        ({"iss": "https://evil/"}, "ValueError"),
        ({"exp": 1}, "ExpiredSignatureError"),
    ],
)
def test_an_app_check_token_with_other_claims_is_refused(keys: list[str], change: dict[str, Any], why: str) -> None:
    """Another project's, another issuer's, or an expired one."""
    with pytest.raises(Unauthenticated) as caught:
        tokens().check_app(app_token(**change), NO_DEADLINE)
    assert caught.value.why == f"App Check token refused: {why}"


def test_a_forged_app_check_token_is_refused(keys: list[str]) -> None:
    """Another key's signature proves nothing."""
    with pytest.raises(Unauthenticated) as caught:
        tokens().check_app(app_token(OTHER_KEY), NO_DEADLINE)
    assert caught.value.why == "App Check token refused: InvalidSignatureError"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("", "no App Check token"),
        ("x", "App Check token refused: DecodeError"),
        ("a.b.c", "App Check token refused: DecodeError"),
        (app_token("0" * 32, "HS256"), "App Check token not signed by Firebase"),
        ("é", "App Check token refused: DecodeError"),
    ],
)
def test_what_is_not_signed_in_the_right_way_fetches_no_key(keys: list[str], token: str, why: str) -> None:
    """A stranger should not make this server call another."""
    with pytest.raises(Unauthenticated) as caught:
        tokens().check_app(token, NO_DEADLINE)
    assert "X-Firebase-AppCheck" in caught.value.message
    assert caught.value.why == why
    assert keys == []


def test_if_the_keys_cannot_be_fetched_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """503, which a client may try again."""

    def away(self: jwt.PyJWKClient, token: str) -> Any:
        raise jwt.PyJWKClientConnectionError("away")

    monkeypatch.setattr(jwt.PyJWKClient, "get_signing_key_from_jwt", away)
    with pytest.raises(Unavailable):
        tokens().check_app(app_token(), NO_DEADLINE)


def test_an_account_that_was_found_dead_is_not_remembered_as_live(firebase: Firebase) -> None:
    """An admin's call finds it disabled; a token of the same account without the claim is refused from then on."""
    checked = tokens()
    claims(checked)
    firebase.account = account(disabled=True)
    firebase.sign_in(admin=True)
    with pytest.raises(Unauthenticated):
        claims(checked)
    firebase.sign_in()
    with pytest.raises(Unauthenticated):
        claims(checked)
