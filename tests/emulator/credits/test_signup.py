"""The credits with which a new user's own first call opens the account."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.support.assembly import audit_of, in_process
from tests.support.calls import InProcess
from tests.support.contract import ORDER, error_of
from tests.support.identities import Account
from tests.support.projects import Project
from tests.support.servers import EVERY_FUNCTION, FunctionServer

CALLERS = 20
SIGNUP = {"REQUIRE_AUTH": "true", "SIGNUP_CREDITS": "5"}


def signup_of(user_id: str) -> tuple[str, int, int]:
    return f"0-signup-{user_id}-grant", 5, 5


@pytest.fixture(scope="session")
def api(common_project: Project) -> InProcess:
    return in_process(common_project, **SIGNUP)


def test_the_first_purchase_opens_the_account(api: InProcess, common_project: Project) -> None:
    """The grant and the deduction come with one commit, in this order; a second purchase grants nothing."""
    newcomer = Account.new(common_project.id)
    create = api.of("createGenerationRequest")
    answer = create.post({**ORDER, "size": "1024x1024"}, newcomer.headers())
    assert (answer.status_code, answer.json()["currentCredits"]) == (200, 2)
    assert create.post(ORDER, newcomer.headers()).json()["currentCredits"] == 1
    grant, deduction, second = common_project.entries(newcomer.user_id)
    assert (grant["id"], grant["credits"], grant["balanceAfter"]) == signup_of(newcomer.user_id)
    assert (deduction["type"], deduction["credits"], deduction["balanceAfter"]) == ("deduction", 3, 2)
    assert grant["timestamp"] == deduction["timestamp"] < second["timestamp"]
    shown = api.of("getUserCredits").get(newcomer.headers()).json()["transactions"]
    assert [entry["balanceAfter"] for entry in shown] == [1, 2, 5]
    assert audit_of(common_project).of_user(newcomer.user_id).violations == []


def test_sign_up_credits_that_do_not_suffice_open_nothing(common_project: Project) -> None:
    """The refusal says what there would have been, and no account is left behind."""
    newcomer = Account.new(common_project.id)
    create = in_process(common_project, REQUIRE_AUTH="true", SIGNUP_CREDITS="2").of("createGenerationRequest")
    before = common_project.everything()
    error = error_of(create.post({**ORDER, "size": "1024x1024"}, newcomer.headers()))
    assert (error["code"], error["details"]) == (
        400,
        {"reason": "INSUFFICIENT_CREDITS", "required": 3, "available": 2},
    )
    assert common_project.everything() == before


def test_twenty_first_calls_open_one_account(api: InProcess, common_project: Project) -> None:
    """20 calls at once of a new user, buying and reading in two processes: one grant of 5, and a consistent ledger."""
    newcomer = Account.new(common_project.id)
    with FunctionServer(EVERY_FUNCTION, common_project.id, **SIGNUP) as server:

        def call(number: int) -> int:
            process = server if number % 2 else api
            if number % 4 < 2:
                return process.of("createGenerationRequest").post(ORDER, newcomer.headers()).status_code
            return process.of("getUserCredits").get(newcomer.headers()).status_code

        with ThreadPoolExecutor(CALLERS) as callers:
            statuses = list(callers.map(call, range(CALLERS)))
    # Ten readers, and ten buyers with credits for five.
    assert sorted(statuses) == [200] * 15 + [400] * 5
    entries = common_project.entries(newcomer.user_id)
    grants = [entry for entry in entries if entry["type"] == "grant"]
    assert [(entry["id"], entry["credits"], entry["balanceAfter"]) for entry in grants] == [signup_of(newcomer.user_id)]
    assert common_project.balance(newcomer.user_id) == 0
    assert audit_of(common_project).of_user(newcomer.user_id).violations == []


@pytest.mark.parametrize("function", ["getUserCredits", "listGenerationRequests"])
def test_only_a_users_own_call_opens_the_account(api: InProcess, common_project: Project, function: str) -> None:
    """An admin who looks up an unknown user gets 404 and opens nothing; the user's own call does, and only once."""
    newcomer, admin = Account.new(common_project.id), Account.new(common_project.id, is_admin=True)
    read = api.of(function)
    looked_up = read.get(admin.headers(), userId=newcomer.user_id)
    assert error_of(looked_up)["message"] == "User not found."
    assert common_project.balance(newcomer.user_id) is None
    assert read.get(newcomer.headers()).status_code == 200
    assert common_project.balance(newcomer.user_id) == 5
    [entry] = common_project.entries(newcomer.user_id)
    assert (entry["id"], entry["credits"], entry["balanceAfter"]) == signup_of(newcomer.user_id)
    common_project.remove(f"users/{newcomer.user_id}")
    assert error_of(read.get(newcomer.headers()))["message"] == "User not found."


@pytest.mark.parametrize(
    "call",
    [
        lambda api, headers: api.of("getUserCredits").get(headers),
        lambda api, headers: api.of("createGenerationRequest").post(ORDER, headers),
        lambda api, headers: api.of("quoteGeneration").post(ORDER, headers),
    ],
)
def test_without_sign_up_credits_an_unknown_user_is_not_found(
    common_project: Project, call: Callable[[InProcess, dict[str, str]], requests.Response]
) -> None:
    """SIGNUP_CREDITS=0, the default: 404, and nothing is written."""
    newcomer = Account.new(common_project.id)
    before = common_project.everything()
    answer = call(in_process(common_project, REQUIRE_AUTH="true"), newcomer.headers())
    assert error_of(answer)["message"] == "User not found."
    assert common_project.everything() == before


def test_a_deleted_account_is_not_opened_by_a_purchase(api: InProcess, common_project: Project) -> None:
    """A ledger without its balance gets no second sign-up grant: 404, and nothing is written."""
    newcomer = Account.new(common_project.id)
    create = api.of("createGenerationRequest")
    assert create.post(ORDER, newcomer.headers()).status_code == 200
    common_project.remove(f"users/{newcomer.user_id}")
    before = common_project.everything()
    for function in ("createGenerationRequest", "quoteGeneration"):
        assert error_of(api.of(function).post(ORDER, newcomer.headers()))["message"] == "User not found."
    assert common_project.everything() == before
