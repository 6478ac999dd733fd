"""A buyer on the console's page, in Chromium, on real emulators that ask for tokens, with no way out."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from playwright.sync_api import Route, expect

from tests.support.assembly import in_process
from tests.support.browser import Visit
from tests.support.console import ATTACK, BUY, SIGNUP_CREDITS, Console, answer, kept_orders
from tests.support.contract import order
from tests.support.servers import wait_until

ANY_PICTURE = "**/api/simulatedImage?*"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
FAILURES = {
    "REFUSED_CONTENT": "Another prompt may help.",
    "PROVIDER_BUSY": "too much to do",
    "TIMED_OUT": "took too long",
    "PROVIDER_FAILED": "The model failed.",
    "LEASE_EXPIRED": "interrupted",
    "STORAGE_FAILED": "could not be kept",
}
REFUSALS = {
    400: ({"reason": "INSUFFICIENT_CREDITS", "required": 4, "available": 1}, "costs 4 credits, and you have 1."),
    429: ({"reason": "TOO_MANY_PENDING", "maxPending": 5}, "5 of your pictures are still being made."),
}


def test_one_click_to_sign_in_and_one_to_buy(
    console: Console, guest: Visit, record_property: Callable[[str, object], None]
) -> None:
    """From a fresh start to a picture on the screen; offline."""
    button = guest.open().page.get_by_role("button", name="Sign in as testUser1")
    usable_seconds = timed(lambda: expect(button).to_be_visible())
    button.click()
    guest.ready().press_buy()
    guest.shown()
    seconds = time.monotonic() - console.ready_at
    figures = f"{usable_seconds:.2f} s until one can sign in, a picture {seconds:.1f} s after the emulators were ready"
    record_property("figure", f"console: {figures}")
    assert seconds < 60
    guest.balance(99).says("Bought for 1 credit.").tiles(1)
    assert console.project.balance("testUser1") == 99


def test_a_double_click_buys_once(console: Console, guest: Visit) -> None:
    """Clicked three times, before the first click's work is done."""
    user_id = guest.sign_up("double@example.com")
    guest.page.locator("#buy").evaluate("button => [1, 2, 3].forEach(() => button.click())")
    guest.shown().balance(SIGNUP_CREDITS - 1).tiles(1)
    assert len(console.project.requests_of(user_id)) == 1


def test_two_tabs_are_one_account(console: Console, guest: Visit) -> None:
    """A purchase in each: both show the balance and the pictures of both."""
    user_id = guest.sign_up("tabs@example.com")
    other = Visit(guest.page.context.new_page(), console.base).open().ready().balance(SIGNUP_CREDITS)
    other.press_buy()
    guest.press_buy()
    for tab in (guest, other):
        tab.shown().balance(SIGNUP_CREDITS - 2).tiles(2)
    assert len(console.project.requests_of(user_id)) == 2


def test_a_lost_answer_and_a_reload_buy_once(console: Console, guest: Visit) -> None:
    """The purchase goes through and its answer is lost. Loaded again, the page asks with the same key."""
    user_id = guest.sign_up("lost@example.com")
    keys: list[str] = []

    def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
        route.abort()

    guest.page.route(BUY, lose)
    guest.press_buy()
    guest.tiles(1)
    guest.page.unroute_all(behavior="wait")
    guest.page.reload()
    guest.shown().balance(SIGNUP_CREDITS - 1)
    assert len(console.project.requests_of(user_id)) == len(set(keys)) == 1
    guest.forgive("ERR_FAILED")
    assert kept_orders(guest) == []


def test_a_token_that_is_refused_is_renewed(guest: Visit) -> None:
    """The page asks once more with a new one, and the purchase goes on."""
    tokens: list[str] = []

    def refuse(route: Route) -> None:
        tokens.append(route.request.headers["authorization"])
        if len(tokens) == 1:
            answer(401, {"error": {"status": "UNAUTHENTICATED", "message": "Expired.", "details": {}}}, route)
        else:
            route.continue_()

    guest.sign_up("expired@example.com")
    guest.page.route(BUY, refuse)
    guest.press_buy()
    guest.shown()
    assert len(tokens) == 2


@pytest.mark.parametrize("function", ["getCatalog", "getUserCredits"])
def test_what_a_new_user_needs_is_asked_for_until_it_is_there(guest: Visit, function: str) -> None:
    """The catalog, and the balance with which the first call opens the account; any message goes."""
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            answer(503, {"error": {"status": "UNAVAILABLE", "message": "Try again.", "details": {}}}, route)
        else:
            route.continue_()

    guest.page.route(f"**/api/{function}*", refuse)
    guest.sign_up(f"{function.lower()}@example.com")
    guest.balance(SIGNUP_CREDITS)
    expect(guest.page.locator("#result")).to_be_empty()
    assert len(asked) > 1


def test_what_happens_while_the_connection_is_lost_shows_once_it_is_back(console: Console, guest: Visit) -> None:
    """The balance follows Firestore again by itself."""
    user_id = guest.sign_up("away@example.com")
    guest.balance(SIGNUP_CREDITS).page.context.set_offline(True)
    assert guest.status_of("getCatalog") == 0
    console.gives(user_id, 7)
    guest.page.context.set_offline(False)
    guest.balance(SIGNUP_CREDITS + 7)
    guest.forgive("ERR_INTERNET_DISCONNECTED")
    guest.forgive("WebChannelConnection RPC")
    guest.forgive("Could not reach Cloud Firestore backend")


def test_a_failure_says_that_nothing_was_charged_and_why(guest: Visit) -> None:
    """Every reason in words; no code is shown."""
    guest.enter("testUser1").ready()
    answers = [
        (500, {"reason": "GENERATION_FAILED", "failure": code, "refundedCredits": 3, "generationRequestId": "x"}, words)
        for code, words in FAILURES.items()
    ]
    answers += [(status, details, words) for status, (details, words) in REFUSALS.items()]
    for status, details, words in answers:
        body = {"error": {"code": status, "status": "X", "message": "?", "details": details}}
        guest.page.route(BUY, partial(answer, status, body))
        guest.press_buy()
        guest.says(words).says("Nothing was charged")
        assert "_" not in guest.page.locator("#result").inner_text()
        guest.page.unroute(BUY)


def test_a_buyers_day(console: Console, guest: Visit) -> None:
    """Signs up, buys, has a real failure refunded, buys again from the gallery, and runs out of credits."""
    user_id = guest.sign_up("day@example.com")
    guest.balance(SIGNUP_CREDITS).page.get_by_label("Prompt").fill(ATTACK)
    guest.press_buy()
    guest.shown().balance(3).tiles(1)

    def fails(route: Route) -> None:
        failing = in_process(console.project, AI_FAILURE_RATE="1").of("createGenerationRequest")
        key = {"Idempotency-Key": route.request.headers["idempotency-key"]}
        failed = failing.post(route.request.post_data_json, key)
        answer(failed.status_code, failed.json(), route)

    guest.page.route(BUY, fails)
    guest.press_buy()
    guest.says("Nothing was charged: 1 credit came back. The model failed.").balance(3).tiles(2)
    guest.page.unroute(BUY)
    guest.page.locator("#gallery").get_by_role("button", name="Buy again").click()
    guest.page.locator("#sizes [data-value='1024x1024']").click()
    guest.says("Balance afterwards: 0", "#price")
    guest.press_buy()
    guest.says("Bought for 3 credits.").balance(0).shown()
    guest.says("You have no credits yet.", "#price")
    expect(guest.page.locator("#buy")).to_be_disabled()
    guest.page.get_by_role("tab", name="Credit history").click()
    rows = guest.page.locator("#entries tr").all_inner_texts()
    moves = [tuple(row.split("\t")[1:]) for row in rows]
    assert [(what.split("\n")[0], *figures) for what, *figures in moves] == [
        ("Picture", "\u22123", "0"),
        ("Refund", "+1", "3"),
        ("Picture", "\u22121", "2"),
        ("Picture", "\u22121", "3"),
        ("Credits added", "+4", "4"),
    ]
    assert guest.page.title() == "Images by the credit"
    assert guest.page.locator("#gallery b").count() == 0
    assert {request["prompt"] for request in console.project.requests_of(user_id)} == {ATTACK}


def test_a_grant_and_a_refund_show_without_a_reload(
    console: Console, guest: Visit, record_property: Callable[[str, object], None]
) -> None:
    """Within three seconds of being in the ledger, on a machine that may be busy; so does the failed request itself."""
    guest.sign_in("testuser2@example.com", "testUser2")
    guest.ready().balance(10)
    began = time.monotonic()
    console.gives("testUser2", 5, ATTACK)
    guest.balance(15)
    seconds = time.monotonic() - began
    console.buys_badly("testUser2", style="sketch")
    refund_seconds = timed(lambda: guest.tiles(1).says("Your credits came back", "#gallery").balance(15))
    figures = f"console: a grant shows after {seconds * 1000:.0f} ms, a refund after {refund_seconds * 1000:.0f} ms"
    record_property("figure", figures)
    assert max(seconds, refund_seconds) < 3
    guest.page.get_by_role("tab", name="Credit history").click()
    guest.says(ATTACK, "#entries")


def timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def test_nobody_sees_what_is_somebody_elses(guest: Visit) -> None:
    """Neither after the other has signed out in the same window, nor by asking the functions."""
    guest.enter("testUser1").ready()
    expect(guest.page.locator("#gallery > li")).not_to_have_count(0)
    guest.sign_out().tiles(0).sign_up("other@example.com")
    guest.tiles(0).balance(SIGNUP_CREDITS)
    assert guest.status_of("getUserCredits", query={"userId": "testUser1"}) == 403
    assert guest.status_of("listGenerationRequests", query={"userId": "testUser1"}) == 403


def test_a_broken_document_hides_no_other(console: Console, guest: Visit) -> None:
    """Whatever somebody with the console stored as a request or an entry, the rest is shown."""
    user_id = guest.sign_up("broken@example.com")
    now = datetime.now(UTC)
    console.project.put("generationRequests/broken-1", {"userId": user_id, "createdAt": "soon"})
    url = {"status": "completed", "imageUrl": "http://["}
    console.project.put("generationRequests/broken-2", {"userId": user_id, "createdAt": now, **url})
    console.project.put(f"users/{user_id}/transactions/broken", {"timestamp": "soon", "type": 7})
    console.project.put(f"users/{user_id}/transactions/odd", {"timestamp": now, "credits": ATTACK})
    guest.press_buy()
    guest.shown().tiles(2).says("realistic", "#gallery")
    guest.page.get_by_role("tab", name="Credit history").click()
    expect(guest.page.locator("#entries tr")).to_have_count(3)


def test_three_hundred_pictures_load_while_one_scrolls(console: Console, guest: Visit) -> None:
    """Newest first, a page at a time, each once."""
    user_id = guest.sign_up("collector@example.com")
    began = datetime(2026, 3, 1, tzinfo=UTC)
    batch = console.project.client.batch()
    for number in range(300):
        url = f"{console.base}/api/simulatedImage?generationRequestId={number}&token=t"
        fields = {**order(user_id), "prompt": f"Number {number}", "cost": 1, "status": "completed", "imageUrl": url}
        fields["createdAt"] = began + timedelta(seconds=number)
        batch.set(console.project.client.document(f"generationRequests/collector-{number}"), fields)
    guest.page.route(ANY_PICTURE, lambda route: route.fulfill(body=PIXEL, content_type="image/png"))
    batch.commit()
    tiles = guest.page.locator("#gallery > li")
    expect(tiles.first).to_contain_text("Number 299")
    assert tiles.count() < 100

    def is_complete() -> bool:
        tiles.last.scroll_into_view_if_needed()
        return tiles.count() == 300

    wait_until(is_complete, "the last page")
    numbers = [int(text.removeprefix("Number ")) for text in guest.page.locator("#gallery .prompt").all_inner_texts()]
    assert numbers == list(range(299, -1, -1))


def test_the_keyboard_is_enough(guest: Visit) -> None:
    """Signs in, chooses a style and buys, and sees the whole way where the focus is."""
    guest.open()
    expect(guest.page.locator("#local-accounts")).to_be_visible()
    guest.tabs_to("Sign in as testUser1")
    guest.ready()
    guest.tabs_to("realistic", "ArrowRight")
    guest.tabs_to("Buy for")
    guest.shown().says("sketch", "#stage-caption")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible_and_fits_a_phone(visit: Callable[..., Visit], scheme: str) -> None:
    """axe-core finds nothing, and nothing is wider than 360 pixels."""
    guest = visit(width=360, height=740)
    guest.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    views = guest.open().page
    expect(views.locator("#local-accounts")).to_be_visible()
    found = {"gate": guest.faults()}
    guest.enter("testUser1").ready()
    expect(views.locator("#gallery > li")).not_to_have_count(0)
    views.locator("#gallery .thumb").first.click()
    guest.shown()
    found["create"] = guest.faults()
    views.get_by_role("tab", name="Credit history").click()
    found["history"] = guest.faults()
    guest.open("/docs")
    views.locator(".opblock-summary-control").first.click()
    expect(views.get_by_text("The image that was bought.")).to_be_visible()
    # Swagger UI's own headings, and its second main part.
    found["docs"] = [fault for fault in guest.faults() if fault not in ("heading-order", "aria-allowed-role")]
    guest.open("/nothing/here")
    found["not found"] = guest.faults()
    assert {view: faults for view, faults in found.items() if faults} == {}
