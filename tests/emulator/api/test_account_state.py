"""Whether an account was disabled or its tokens were revoked: asked once in a while, for admins on every call."""

from collections.abc import Callable

import pytest

from api.auth import Gate
from api.endpoint import Endpoint
from api.firebase_tokens import FirebaseTokens
from identity import Firebase
from tests.support.assembly import assembled
from tests.support.calls import Function, InProcess
from tests.support.contract import error_of
from tests.support.identities import HOUR_SECONDS, Account
from tests.support.projects import Project

CHECK_SECONDS = 60
Change = Callable[[Account], Account]
CHANGES: dict[str, Change] = {
    "disabled": Account.disable,
    "deleted": Account.delete,
    "revoked": Account.revoke,
}


class Clock:
    """A monotonic clock that goes only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def reading(project: Project, clock: Clock, check_seconds: int) -> Function:
    """getUserCredits, which remembers for so long that an account is good."""
    tokens = FirebaseTokens(Firebase.of(project.id, 10, 16), project.id, check_seconds, monotonic=clock)
    gate = Gate(tokens, require_auth=True, require_app_check=False)
    return InProcess(Endpoint(assembled(project), gate, [], project.id, 60)).of("getUserCredits")


def account_of(project: Project, is_admin: bool = False) -> Account:
    account = Account.new(project.id, is_admin=is_admin)
    project.add_user(5, account.user_id)
    return account


@pytest.mark.parametrize("change", CHANGES)
def test_a_users_account_is_asked_about_once_in_a_while(common_project: Project, clock: Clock, change: str) -> None:
    """A good account passes without a question until the time is over; then its token is refused."""
    user = account_of(common_project)
    read = reading(common_project, clock, CHECK_SECONDS)
    # Older than the second in which it is revoked.
    headers = user.headers(age_seconds=10)
    assert read.get(headers).status_code == 200
    CHANGES[change](user)
    clock.seconds += CHECK_SECONDS - 1
    assert read.get(headers).status_code == 200
    clock.seconds += 1
    assert error_of(read.get(headers))["status"] == "UNAUTHENTICATED"
    assert error_of(read.get(headers))["status"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("change", CHANGES)
def test_an_admins_account_is_asked_about_on_every_call(common_project: Project, clock: Clock, change: str) -> None:
    """What an admin may do ends at once, however long users are remembered."""
    admin = account_of(common_project, is_admin=True)
    read = reading(common_project, clock, CHECK_SECONDS)
    headers = admin.headers(age_seconds=10)
    assert read.get(headers).status_code == 200
    CHANGES[change](admin)
    assert error_of(read.get(headers))["status"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("change", CHANGES)
def test_with_0_seconds_every_account_is_asked_about(common_project: Project, clock: Clock, change: str) -> None:
    """REVOCATION_CHECK_SECONDS=0: nothing is remembered."""
    user = account_of(common_project)
    read = reading(common_project, clock, 0)
    headers = user.headers(age_seconds=10)
    assert read.get(headers).status_code == 200
    CHANGES[change](user)
    assert error_of(read.get(headers))["status"] == "UNAUTHENTICATED"


def test_the_token_of_a_new_sign_in_is_good_after_a_revocation(common_project: Project, clock: Clock) -> None:
    """Only tokens from before it are refused; what is remembered is since when tokens are valid."""
    user = account_of(common_project)
    read = reading(common_project, clock, CHECK_SECONDS)
    old, new = user.headers(age_seconds=10), user.revoke().headers(age_seconds=-5)
    assert read.get(new).status_code == 200
    assert read.get(old).status_code == 401
    assert read.get(new).status_code == 200


@pytest.mark.parametrize(
    ("age_seconds", "status"),
    [(-120, 401), (-50, 200), (HOUR_SECONDS + 50, 200), (HOUR_SECONDS + 120, 401)],
    ids=["in two minutes", "in 50 seconds", "over for 50 seconds", "over for two minutes"],
)
def test_clocks_may_differ_by_a_minute(common_project: Project, clock: Clock, age_seconds: int, status: int) -> None:
    """A token from the near future or just expired is good; beyond a minute it is not."""
    user = account_of(common_project)
    read = reading(common_project, clock, CHECK_SECONDS)
    assert read.get(user.headers(age_seconds=age_seconds)).status_code == status


def test_a_remembered_account_helps_no_bad_token(common_project: Project, clock: Clock) -> None:
    """Signature and times are checked on every call."""
    user = account_of(common_project)
    read = reading(common_project, clock, CHECK_SECONDS)
    assert read.get(user.headers()).status_code == 200
    for headers in (
        user.headers(age_seconds=HOUR_SECONDS + 120),
        user.headers(age_seconds=-120),
        user.headers(aud="somebody-else"),
        user.headers(firebase={"tenant": "other"}),
    ):
        assert read.get(headers).status_code == 401
