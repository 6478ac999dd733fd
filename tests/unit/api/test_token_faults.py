"""Why a token was refused, as the log says it."""

import re
from typing import Any

import pytest

from api.token_faults import fault
from tests.support.identities import unsigned

PROJECT = "demo-x"
NOW_SECONDS = 1_900_000_000
CLAIMS = {
    "aud": PROJECT,
    "iss": f"https://securetoken.google.com/{PROJECT}",
    "sub": "ann",
    "iat": NOW_SECONDS - 10,
    "exp": NOW_SECONDS + 3590,
}
CUSTOM_TOKEN = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"


def fault_of(payload: Any, project: str | None = PROJECT) -> str:
    return fault(unsigned(payload), project, NOW_SECONDS, 60)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"aud": "another"}, "for another project than demo-x"),
        ({"iss": "https://securetoken.google.com/another"}, "for another project than demo-x"),
        ({"aud": CUSTOM_TOKEN}, "a custom token, with which the client has to sign in first"),
        ({"exp": NOW_SECONDS - 61}, "expired 61 s ago"),
        ({"iat": NOW_SECONDS + 3600}, "issued 3600 s in the future: one of the clocks is wrong"),
        ({"firebase": {"tenant": "shop"}}, "of a tenant"),
        ({}, "not signed by Firebase"),
        ({"exp": NOW_SECONDS - 59, "iat": NOW_SECONDS + 59}, "not signed by Firebase"),
    ],
)
def test_the_first_fault_is_named(changes: dict[str, Any], found: str) -> None:
    """A wrong project or clock, an old token, another kind of token; what is left is the signature."""
    assert fault_of({**CLAIMS, **changes}) == found


@pytest.mark.parametrize("odd", [None, [], "x", {}, float("nan"), float("inf"), -float("inf"), 10**400], ids=type)
@pytest.mark.parametrize("name", CLAIMS)
def test_an_odd_claim_makes_no_error_and_is_not_repeated(name: str, odd: object) -> None:
    """A stranger chooses what a token says, so nothing of it is in the log."""
    found = fault_of({**CLAIMS, name: odd})
    kinds = "for another project than demo-x|not an ID token|not signed by Firebase"
    times = r"expired (inf|nan) s ago|issued (inf|nan) s in the future: one of the clocks is wrong"
    assert re.fullmatch(f"{kinds}|{times}", found)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", unsigned(5), unsigned([]), unsigned(None), "." * 10_000])
def test_what_is_not_a_token_is_called_so(token: str) -> None:
    """Whatever it is."""
    assert fault(token, PROJECT, NOW_SECONDS, 60) == "not an ID token"


def test_without_a_project_no_token_passes() -> None:
    """That is the server's fault, and the line says so."""
    assert "set GOOGLE_CLOUD_PROJECT" in fault_of(CLAIMS, None)
