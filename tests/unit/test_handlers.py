"""The use cases, with time, catalog and model playing against them, on the services as they are deployed."""

from typing import Any

import pytest
from grpc import StatusCode

import handlers
from calls import Call, Caller, Ok
from errors import (
    ApiError,
    GenerationFailed,
    GenerationNotFound,
    IdempotencyInFlight,
    InsufficientCredits,
    Internal,
    InvalidRequest,
    PermissionDenied,
    Unavailable,
    UserNotFound,
)
from images.model import ImageOrder
from schemas.replies import CreditsReply, Generation, GenerationReply, GenerationsReply, GrantReply, QuoteReply
from schemas.requests import (
    CreditsQuery,
    GenerationOrder,
    GenerationQuery,
    GenerationsQuery,
    GrantOrder,
    NoQuery,
    QuoteOrder,
)
from store import Deadline
from tests.support.builders import IMAGE_URL, LEASE_SECONDS, ORDER, Backend, failing, quiet

ANN, BOB, ROOT = Caller("ann"), Caller("bob"), Caller("root", is_admin=True)
SIGNUP = "12"


@pytest.fixture(name="backend")
def make_backend() -> Backend:
    """A user, ann, with 10 credits; an image costs 1."""
    backend = Backend()
    backend.add_user()
    return backend


def call(backend: Backend, caller: Caller = ANN, seconds: float = 57.0) -> Call:
    return Call(caller, backend.deadline(seconds))


def buy(backend: Backend, key: str | None = None, by: Call | None = None, **changes: Any) -> Ok:
    order = GenerationOrder.model_validate({**ORDER, **changes, "Idempotency-Key": key})
    answer = handlers.create_generation_request(order, by or call(backend), backend.services)
    assert isinstance(answer, Ok)
    return answer


def reply(outcome: Any, kind: type[Any]) -> Any:
    assert isinstance(outcome, Ok)
    assert isinstance(outcome.reply, kind)
    return outcome.reply


def sent_by(backend: Backend) -> list[str]:
    """The names of the round trips from here on."""
    sent: list[str] = []
    backend.store.before_rpc = sent.append
    return sent


def test_an_image_is_bought(backend: Backend) -> None:
    """The reply has the price, the image and the balance after it."""
    outcome = buy(backend)
    bought: GenerationReply = reply(outcome, GenerationReply)
    assert (bought.deducted_credits, bought.image_url, bought.current_credits) == (1, IMAGE_URL, 9)
    assert not outcome.is_replay
    stored = backend.store.everything()[f"generationRequests/{bought.generation_request_id}"]
    assert (stored["status"], stored["imageUrl"]) == ("completed", IMAGE_URL)
    assert backend.balance() == 9
    assert backend.violations() == []


def test_a_purchase_makes_three_round_trips(backend: Backend) -> None:
    """Once the catalog is known."""
    buy(backend)
    sent = sent_by(backend)
    buy(backend)
    assert sent == ["BatchGetDocuments", "Commit", "Commit"]


def test_the_model_gets_the_order_without_the_user(backend: Backend) -> None:
    """It does not need to know who asked, nor what it costs."""
    orders: list[ImageOrder] = []

    def act(order: ImageOrder, deadline: Deadline) -> str:
        orders.append(order)
        return IMAGE_URL

    backend = Backend(act)
    backend.add_user()
    bought = reply(buy(backend, prompt="a lighthouse"), GenerationReply)
    expected = ImageOrder(
        bought.generation_request_id, orders[0].run_id, "realistic", "vibrant", "512x512", "a lighthouse"
    )
    assert orders == [expected]


def test_a_replay_gives_the_first_answer(backend: Backend) -> None:
    """With the balance of then, and marked as one; another key buys another image."""
    first = buy(backend, "key")
    buy(backend, "other")
    again = buy(backend, "key")
    assert (again.reply, again.is_replay) == (first.reply, True)
    assert reply(again, GenerationReply).current_credits == 9
    assert backend.balance() == 8


def test_a_failed_generation_is_refunded_and_replayed_as_such() -> None:
    """The answer says how many credits are back; the replay carries its header."""

    def act(order: ImageOrder, deadline: Deadline) -> str:
        raise RuntimeError("a prompt")

    backend = Backend(act)
    backend.add_user()
    for replayed in (False, True):
        with pytest.raises(GenerationFailed) as caught:
            buy(backend, "key")
        assert caught.value.message == "AI generation failed, credits refunded."
        assert caught.value.details["refundedCredits"] == 1
        assert ("Idempotent-Replayed" in caught.value.headers) == replayed
    assert backend.balance() == 10
    assert backend.violations() == []


def test_an_image_that_comes_too_late_is_not_sold() -> None:
    """The client may be cut off before it is stored, so it is refunded and the request fails."""

    def slowly(order: ImageOrder, deadline: Deadline) -> str:
        backend.stopwatch.forward(55)
        return IMAGE_URL

    backend = Backend(slowly)
    backend.add_user()
    with pytest.raises(GenerationFailed):
        buy(backend)
    assert backend.balance() == 10
    assert backend.violations() == []


def test_a_late_image_is_refunded_even_if_the_client_is_gone() -> None:
    """The refund has a time of its own."""

    def slowly(order: ImageOrder, deadline: Deadline) -> str:
        backend.stopwatch.forward(500)
        return IMAGE_URL

    backend = Backend(slowly)
    backend.add_user()
    by = call(backend)
    with pytest.raises(GenerationFailed):
        buy(backend, by=by)
    assert by.deadline.passed
    assert backend.balance() == 10
    assert backend.violations() == []


def test_the_image_is_due_before_the_answer() -> None:
    """By the share of the time-out that is kept for settling."""
    seen: list[Deadline] = []

    def act(order: ImageOrder, deadline: Deadline) -> str:
        seen.append(deadline)
        return IMAGE_URL

    backend = Backend(act, TIMEOUT_SECONDS="100")
    backend.add_user()
    by = call(backend, seconds=95.0)
    buy(backend, by=by)
    assert backend.services.fulfillment.settling_seconds == 15.0
    assert [deadline.at_seconds for deadline in seen] == [by.deadline.at_seconds - 15.0]


def test_every_step_ends_with_the_request(backend: Backend) -> None:
    """Reserving ends with the image's deadline, and completing with the client's."""
    backend.store.before_rpc = failing(StatusCode.UNAVAILABLE, "BatchGetDocuments", times=10_000)
    with pytest.raises(Unavailable):
        buy(backend, by=call(backend, seconds=13.0))
    assert backend.stopwatch() <= 13.0 - backend.services.fulfillment.settling_seconds
    backend.store.before_rpc = quiet
    commits = iter(range(10_000))

    def away(name: str) -> None:
        if name == "Commit" and next(commits) > 0:
            failing(StatusCode.UNAVAILABLE)(name)

    backend.store.before_rpc = away
    begun = backend.stopwatch()
    with pytest.raises(Unavailable):
        buy(backend, by=call(backend, seconds=10.0))
    assert 9.0 < backend.stopwatch() - begun <= 10.0


@pytest.mark.parametrize("url", ["https://\ud800", "x" * 3_000, "", "https://ü"])
def test_a_url_that_cannot_be_stored_is_a_failure(url: str) -> None:
    """The credits come back at once, not when the lease ends."""
    backend = Backend(lambda order, deadline: url)
    backend.add_user()
    with pytest.raises(GenerationFailed):
        buy(backend)
    assert backend.balance() == 10


def test_a_purchase_is_replayed_after_its_option_was_withdrawn(backend: Backend) -> None:
    """The catalog decides what is sold, not what was: same key and same request give the stored answer."""
    first = buy(backend, "key")
    backend.store.remove("styles/realistic")
    backend.store.put("styles/anime", {})
    backend.stopwatch.forward(1_000)
    assert buy(backend, "key").reply == first.reply
    for key in ("other", None):
        with pytest.raises(InvalidRequest):
            buy(backend, key)
    assert backend.balance() == 9


def test_a_purchase_is_replayed_while_the_catalog_is_empty() -> None:
    """A new process without a catalog gives the stored answer; a new purchase is 503 with its key."""
    backend = Backend()
    backend.add_user()
    first = buy(backend, "key")
    backend.store.remove("styles/realistic")
    restarted = Backend()
    for path, fields in backend.store.everything().items():
        restarted.store.put(path, fields)
    restarted.store.remove("styles/realistic")
    again = buy(restarted, "key")
    assert (again.reply, again.is_replay) == (first.reply, True)
    with pytest.raises(Unavailable) as caught:
        buy(restarted, "other")
    assert caught.value.details["idempotencyKey"] == "other"
    assert restarted.balance() == 9


def test_a_purchase_is_replayed_while_the_catalog_cannot_be_read() -> None:
    """A missing permission on the catalog is an internal error of new purchases, and does not hide old answers."""
    backend = Backend()
    backend.add_user()
    first = buy(backend, "key")
    restarted = Backend()
    for path, fields in backend.store.everything().items():
        restarted.store.put(path, fields)
    restarted.store.before_rpc = failing(StatusCode.PERMISSION_DENIED, "RunQuery", times=1_000)
    assert buy(restarted, "key").reply == first.reply
    with pytest.raises(Internal):
        buy(restarted, "other")
    assert restarted.balance() == 9


def test_a_request_that_was_long_in_coming_buys_nothing(backend: Backend) -> None:
    """A client that sent its body too slowly, or whose token took too long to check, is not charged."""
    by = call(backend)
    backend.stopwatch.forward(49)
    sent = sent_by(backend)
    with pytest.raises(Unavailable) as caught:
        buy(backend, "key", by=by)
    assert "Nothing was bought" in caught.value.message
    assert sent == []


def test_an_image_that_cannot_be_stored_in_time_is_refunded_with_its_lease() -> None:
    """The attempts end with the client's patience; the sweep gives the credits back."""

    def slowly(order: ImageOrder, deadline: Deadline) -> str:
        backend.stopwatch.seconds = 47.0
        backend.store.before_rpc = failing(StatusCode.UNAVAILABLE, times=10_000)
        return IMAGE_URL

    backend = Backend(slowly)
    backend.add_user()
    with pytest.raises(Unavailable):
        buy(backend)
    assert backend.stopwatch() <= 57
    backend.store.before_rpc = quiet
    backend.clock.forward(LEASE_SECONDS + 1)
    handlers.release_expired_reservations(backend.services)
    assert backend.balance() == 10
    assert backend.violations() == []


def test_a_client_without_a_key_can_ask_what_became_of_its_purchase(backend: Backend) -> None:
    """If it is unknown whether the image stands, the answer has the key with which the client learns it."""
    commits = iter(range(100))

    def silence(name: str) -> None:
        if name == "Commit" and next(commits) == 1:
            backend.store.before_rpc = failing(StatusCode.UNAVAILABLE, "BatchGetDocuments", times=10_000)
            failing(StatusCode.UNAVAILABLE)(name)

    backend.store.after_rpc = silence
    with pytest.raises(Unavailable) as caught:
        buy(backend)
    backend.store.before_rpc = quiet
    answer = buy(backend, caught.value.details["idempotencyKey"])
    assert (reply(answer, GenerationReply).image_url, answer.is_replay) == (IMAGE_URL, True)
    assert backend.balance() == 9


def test_a_key_in_flight_is_told_so() -> None:
    """A second request with the key of one whose model is at work buys nothing."""
    outcomes: list[ApiError] = []

    def act(order: ImageOrder, deadline: Deadline) -> str:
        # The same request from another process, while the model works.
        with pytest.raises(IdempotencyInFlight) as caught:
            buy(backend, "key")
        outcomes.append(caught.value)
        return IMAGE_URL

    backend = Backend(act)
    backend.add_user()
    buy(backend, "key")
    assert (len(outcomes), backend.balance()) == (1, 9)


def test_the_first_purchase_opens_the_account() -> None:
    """The reply has what is left of the sign-up credits, and so has its replay."""
    backend = Backend(SIGNUP_CREDITS=SIGNUP)
    for _ in range(2):
        assert reply(buy(backend, "key"), GenerationReply).current_credits == 11
    assert backend.balance() == 11
    assert backend.violations() == []


def test_only_a_users_own_call_opens_the_account() -> None:
    """An admin's call, or one without a token, does not; nor does anything without sign-up credits."""
    for backend, caller in (
        (Backend(SIGNUP_CREDITS=SIGNUP), ROOT),
        (Backend(SIGNUP_CREDITS=SIGNUP), Caller(None, is_admin=True)),
        (Backend(), ANN),
    ):
        before = backend.store.everything()
        by = call(backend, caller)
        with pytest.raises(UserNotFound):
            buy(backend, by=by)
        with pytest.raises(UserNotFound):
            quoted(backend, by)
        with pytest.raises(UserNotFound):
            handlers.get_user_credits(CreditsQuery.model_validate({"userId": "ann"}), by, backend.services)
        assert backend.store.everything() == before


def quoted(backend: Backend, by: Call) -> QuoteReply:
    outcome = handlers.quote_generation(QuoteOrder.model_validate(ORDER), by, backend.services)
    found: QuoteReply = reply(outcome, QuoteReply)
    return found


@pytest.mark.parametrize(("credits", "covered"), [(0, False), (1, True), (10, True)])
def test_a_quote_tells_price_and_cover(backend: Backend, credits: int, covered: bool) -> None:
    """And writes nothing."""
    backend.store.put("users/ann", {"credits": credits})
    before = backend.store.everything()
    quote = quoted(backend, call(backend))
    assert quote == QuoteReply(required_credits=1, current_credits=credits, covered=covered)
    assert backend.store.everything() == before


def test_a_quote_for_a_new_user_counts_the_sign_up_credits() -> None:
    """What the account would hold; it is not opened. A deleted user is not new."""
    backend = Backend(SIGNUP_CREDITS=SIGNUP)
    assert quoted(backend, call(backend)).current_credits == 12
    assert "users/ann" not in backend.store.everything()
    buy(backend)
    backend.store.remove("users/ann")
    with pytest.raises(UserNotFound):
        quoted(backend, call(backend))


def test_a_quote_without_a_price_is_the_reason(backend: Backend) -> None:
    """An option that is not on offer, or no catalog."""
    order = QuoteOrder.model_validate({**ORDER, "style": "x"})
    with pytest.raises(InvalidRequest):
        handlers.quote_generation(order, call(backend), backend.services)
    backend = Backend()
    backend.store.remove("styles/realistic")
    with pytest.raises(Unavailable):
        quoted(backend, call(backend))


def test_without_cover_nothing_is_bought(backend: Backend) -> None:
    """The model is not asked."""
    backend = Backend(lambda order, deadline: pytest.fail("asked"))
    backend.add_user("ann", 0)
    with pytest.raises(InsufficientCredits):
        buy(backend)


def test_a_request_is_read_by_its_owner_and_by_admins(backend: Backend) -> None:
    """403 for another user, 404 for everybody if there is none."""
    bought = reply(buy(backend), GenerationReply)
    query = GenerationQuery.model_validate({"generationRequestId": bought.generation_request_id})
    for caller in (ANN, ROOT):
        outcome = handlers.get_generation_request(query, call(backend, caller), backend.services)
        found: Generation = reply(outcome, Generation)
        assert (found.status, found.image_url, found.cost) == ("completed", IMAGE_URL, 1)
    with pytest.raises(PermissionDenied):
        handlers.get_generation_request(query, call(backend, BOB), backend.services)
    nothing = GenerationQuery.model_validate({"generationRequestId": "nothing"})
    with pytest.raises(GenerationNotFound):
        handlers.get_generation_request(nothing, call(backend), backend.services)


def test_credits_and_requests_come_in_pages(backend: Backend) -> None:
    """Each page's token leads to the next; together they hold everything once."""
    for number in range(5):
        buy(backend, f"key {number}".replace(" ", "-"))
        backend.clock.forward(1)

    def credits_page(token: str | None) -> tuple[list[str], str | None]:
        query = CreditsQuery.model_validate(
            {"userId": "ann", "pageSize": "2", **({"pageToken": token} if token else {})}
        )
        page: CreditsReply = reply(handlers.get_user_credits(query, call(backend), backend.services), CreditsReply)
        assert page.current_credits == 5
        return [entry.id for entry in page.transactions], page.next_page_token

    def requests_page(token: str | None) -> tuple[list[str], str | None]:
        sent = {"userId": "ann", "pageSize": "2", "status": "completed", **({"pageToken": token} if token else {})}
        query = GenerationsQuery.model_validate(sent)
        outcome = handlers.list_generation_requests(query, call(backend), backend.services)
        page: GenerationsReply = reply(outcome, GenerationsReply)
        return [found.generation_request_id for found in page.generation_requests], page.next_page_token

    for one_page in (credits_page, requests_page):
        found, token = one_page(None)
        while token:
            more, token = one_page(token)
            found += more
        # The ledger has the opening grant too.
        assert len(found) == len(set(found)) == (6 if one_page is credits_page else 5)


def test_reading_opens_the_account_of_a_new_user() -> None:
    """The first call of any kind does."""
    reading, listing = Backend(SIGNUP_CREDITS=SIGNUP), Backend(SIGNUP_CREDITS=SIGNUP)
    user = {"userId": "ann"}
    handlers.get_user_credits(CreditsQuery.model_validate(user), call(reading), reading.services)
    handlers.list_generation_requests(GenerationsQuery.model_validate(user), call(listing), listing.services)
    for backend in (reading, listing):
        assert backend.balance() == 12
        assert backend.violations() == []


def test_a_grant_is_given_once(backend: Backend) -> None:
    """The second answer is a replay; an admin's key is not another admin's."""
    order = GrantOrder.model_validate({"userId": "ann", "credits": 5, "reason": "Order 1", "Idempotency-Key": "key"})
    for is_replay in (False, True):
        outcome = handlers.grant_credits(order, call(backend, ROOT), backend.services)
        granted: GrantReply = reply(outcome, GrantReply)
        assert (granted.user_id, granted.granted_credits, granted.current_credits) == ("ann", 5, 15)
        assert outcome.is_replay == is_replay
    assert backend.balance() == 15


def test_every_reading_ends_with_the_request(backend: Backend) -> None:
    """A deadline that has passed reads nothing."""
    buy(backend)
    by = call(backend, seconds=0)
    sent = sent_by(backend)
    user = {"userId": "ann"}
    grant = GrantOrder.model_validate({**user, "credits": 5, "reason": "x", "Idempotency-Key": "key"})
    for act in (
        lambda: handlers.get_user_credits(CreditsQuery.model_validate(user), by, backend.services),
        lambda: handlers.list_generation_requests(GenerationsQuery.model_validate(user), by, backend.services),
        lambda: handlers.get_generation_request(
            GenerationQuery.model_validate({"generationRequestId": "r1"}), by, backend.services
        ),
        lambda: handlers.grant_credits(grant, by, backend.services),
        lambda: quoted(backend, by),
    ):
        with pytest.raises(Unavailable):
            act()
    assert sent == []


def test_the_events_of_a_purchase_carry_its_request(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    """So that an operator finds all of them, and never the prompt."""
    bought = reply(buy(backend, prompt="a secret garden"), GenerationReply)
    logged = capsys.readouterr().out.splitlines()
    assert len(logged) == 2
    assert all(bought.generation_request_id in line for line in logged)
    assert not any("secret" in line for line in logged)


def test_a_caller_acts_for_itself_and_an_admin_for_everybody() -> None:
    """The default caller is nobody."""
    assert ANN.may_act_for("ann")
    assert not ANN.may_act_for("bob")
    assert ROOT.may_act_for("bob")
    assert not Caller().may_act_for("ann")


def test_the_description_of_the_api_is_the_generated_file(backend: Backend) -> None:
    """As it lies in the repository."""
    text = handlers.describe_api(NoQuery(), call(backend), backend.services)
    assert text.media_type == "application/yaml"
    assert "\nopenapi: 3.1" in text.text


def test_a_quote_beside_another_process_that_opens_the_account() -> None:
    """It gives the balance that the other one left, and not a 404."""
    backend = Backend(SIGNUP_CREDITS=SIGNUP)
    backend.services.catalog.current()
    acts = [
        lambda: backend.store.put("users/ann", {"credits": 11}),
        lambda: backend.store.put("users/ann/transactions/0-signup-grant", {}),
    ]

    def open_it(name: str) -> None:
        while name == "RunQuery" and acts:
            acts.pop()()

    backend.store.before_rpc = open_it
    outcome = handlers.quote_generation(QuoteOrder.model_validate(ORDER), call(backend), backend.services)
    assert reply(outcome, QuoteReply).current_credits == 11
