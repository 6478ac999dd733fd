"""quoteGeneration over HTTP: a price, and whether the balance covers it."""

import pytest

from tests.support.assembly import in_process
from tests.support.calls import Function
from tests.support.contract import ORDER, error_of, fields_at_fault, order
from tests.support.identities import Account
from tests.support.projects import Project
from tests.support.servers import FunctionServer


@pytest.fixture(scope="session")
def quote(server: FunctionServer) -> Function:
    return server.of("quoteGeneration")


def test_a_quote_gives_the_price_and_writes_nothing(quote: Function, common_project: Project) -> None:
    """The price, the balance, and whether it covers the price; a bad request as in createGenerationRequest."""
    user_id = common_project.add_user(3)
    before = common_project.everything()
    for size, price, covered in (("512x512", 1, True), ("1024x1024", 3, True), ("1024x1792", 4, False)):
        body = quote.post(order(user_id, size=size)).json()
        assert body == {"requiredCredits": price, "currentCredits": 3, "covered": covered}
    assert fields_at_fault(error_of(quote.post(order(user_id, size="1x1")))) == ["size"]
    assert error_of(quote.post(order(user_id, promt="x")))["message"] == "Unknown field 'promt'. Did you mean 'prompt'?"
    assert error_of(quote.post(order("nobody")))["message"] == "User not found."
    assert common_project.everything() == before


def test_a_quote_counts_the_sign_up_credits(common_project: Project) -> None:
    """A new user is quoted with what the first purchase will find, and no account is opened for it."""
    newcomer = Account.new(common_project.id)
    quote = in_process(common_project, REQUIRE_AUTH="true", SIGNUP_CREDITS="2").of("quoteGeneration")
    body = quote.post(ORDER, newcomer.headers()).json()
    assert body == {"requiredCredits": 1, "currentCredits": 2, "covered": True}
    body = quote.post({**ORDER, "size": "1024x1024"}, newcomer.headers()).json()
    assert body == {"requiredCredits": 3, "currentCredits": 2, "covered": False}
    assert common_project.balance(newcomer.user_id) is None
