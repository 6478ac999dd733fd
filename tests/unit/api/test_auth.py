"""The gate: which headers make which caller."""

import pytest

from api.auth import LOCAL_CALLER, Gate
from calls import Caller
from errors import PermissionDenied, Unauthenticated
from store import NO_DEADLINE, Deadline
from tests.support.builders import KnownTokens

TOKENS = KnownTokens(ann={"uid": "ann"}, root={"uid": "root", "admin": True}, path={"uid": "ann/transactions/x"})


def test_a_token_makes_a_caller() -> None:
    """The uid is the user, and the claim makes the admin."""
    gate = Gate(TOKENS, require_auth=True, require_app_check=False)
    assert gate.caller("Bearer ann", None, NO_DEADLINE) == Caller("ann", is_admin=False)
    assert gate.caller("bearer  root ", None, NO_DEADLINE) == Caller("root", is_admin=True)


def test_a_caller_is_nobody_by_default() -> None:
    """Who is not told otherwise may act for nobody."""
    nobody = Caller()
    assert (nobody.user_id, nobody.is_admin) == (None, False)
    assert not nobody.may_act_for("ann")


@pytest.mark.parametrize("claim", ["true", 1, "", None, [True], {"admin": True}])
def test_only_true_makes_an_admin(claim: object) -> None:
    """Nothing else that the claim may hold does."""
    gate = Gate(KnownTokens(ann={"uid": "ann", "admin": claim}), require_auth=True, require_app_check=False)
    assert not gate.caller("Bearer ann", None, NO_DEADLINE).is_admin


@pytest.mark.parametrize("authorization", [None, "", "ann", "Bearer", "Bearer ", "Basic ann", "Bearer ann x"])
def test_without_a_bearer_token_nobody_comes_in(authorization: str | None) -> None:
    """No header, no scheme, another scheme, or more than a token."""
    with pytest.raises(Unauthenticated) as caught:
        Gate(TOKENS, require_auth=True, require_app_check=False).caller(authorization, None, NO_DEADLINE)
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("uid", ["ann/transactions/x", "..", "__ann__", "", "x" * 129, None])
def test_an_account_id_that_is_not_a_user_id_comes_not_in(uid: str | None) -> None:
    """The Admin SDK gives accounts any id; one with a slash would name another document."""
    gate = Gate(KnownTokens(odd={"uid": uid}), require_auth=True, require_app_check=False)
    with pytest.raises(PermissionDenied):
        gate.caller("Bearer odd", None, NO_DEADLINE)


def test_if_no_token_is_required_one_that_is_sent_still_counts() -> None:
    """A call without one may do anything; one with a token is that user's, and a bad one is refused."""
    gate = Gate(TOKENS, require_auth=False, require_app_check=False)
    assert gate.caller(None, None, NO_DEADLINE) == LOCAL_CALLER
    assert gate.caller("Bearer ann", None, NO_DEADLINE) == Caller("ann", is_admin=False)
    for authorization in ("Bearer stranger", ""):
        with pytest.raises(Unauthenticated):
            gate.caller(authorization, None, NO_DEADLINE)


def test_app_check_comes_before_the_token() -> None:
    """If it is required, every call needs both."""
    gate = Gate(TOKENS, require_auth=True, require_app_check=True)
    assert gate.caller("Bearer ann", "good", NO_DEADLINE).user_id == "ann"
    for app_check_token in (None, "", "bad"):
        with pytest.raises(Unauthenticated, match="no app"):
            gate.caller("Bearer ann", app_check_token, NO_DEADLINE)


def test_both_checks_get_the_callers_deadline() -> None:
    """The time that tokens take is part of the request's."""
    tokens, deadline = KnownTokens(ann={"uid": "ann"}), Deadline.after(5)
    Gate(tokens, require_auth=True, require_app_check=True).caller("Bearer ann", "good", deadline)
    assert tokens.deadlines == [deadline, deadline]
