"""Finding a user by e-mail address, against the Auth emulator."""

import pytest

from tests.support.assembly import in_process
from tests.support.calls import Function
from tests.support.contract import error_of
from tests.support.identities import Account
from tests.support.projects import Project


@pytest.fixture
def find_user(common_project: Project) -> Function:
    """findUser, which wants a token."""
    return in_process(common_project, REQUIRE_AUTH="true").of("findUser")


@pytest.fixture
def admin(common_project: Project) -> Account:
    return Account.new(common_project.id, is_admin=True)


@pytest.mark.parametrize("is_disabled", [False, True])
def test_an_admin_finds_a_user_by_address(
    common_project: Project, find_user: Function, admin: Account, is_disabled: bool
) -> None:
    """In upper or lower case, disabled or not, and whether it has a balance or not."""
    user = Account.new(common_project.id)
    if is_disabled:
        user.disable()
    email = f"{user.user_id}@example.com"
    for typed in (email, email.upper()):
        response = find_user.get(admin.headers(), email=typed)
        assert response.status_code == 200, response.text
        assert response.json() == {"userId": user.user_id, "email": email, "emailVerified": False}


def test_nobody_else_learns_whose_address_it_is(common_project: Project, find_user: Function) -> None:
    """A user gets 403, of their own address too, and a stranger 401."""
    user = Account.new(common_project.id)
    for email in (f"{user.user_id}@example.com", "nobody@example.com"):
        assert find_user.get(user.headers(), email=email).status_code == 403
        assert find_user.get(email=email).status_code == 401


def test_an_address_that_nobody_has_is_not_logged(
    find_user: Function, admin: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """404, and 400 for what is not an address; neither is in the log."""
    unknown = find_user.get(admin.headers(), email="no-such-person@example.com")
    assert (unknown.status_code, error_of(unknown)["status"]) == (404, "NOT_FOUND")
    assert error_of(unknown)["message"] == "User not found."
    wrong = find_user.get(admin.headers(), email="no-such-person")
    assert (wrong.status_code, error_of(wrong)["status"]) == (400, "INVALID_ARGUMENT")
    assert "no-such-person" not in "".join(capsys.readouterr())


def test_if_firebase_is_away_the_log_has_no_address(
    common_project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """503; the warning names what went wrong and no user."""
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", "127.0.0.1:1")
    response = in_process(common_project, TIMEOUT_SECONDS="2").of("findUser").get(email="ann@example.com")
    assert (response.status_code, error_of(response)["status"]) == (503, "UNAVAILABLE")
    logged = "".join(capsys.readouterr())
    assert "request failed" in logged
    assert "ann@" not in logged
