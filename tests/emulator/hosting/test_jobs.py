"""Pictures that take long, in the console: followed live, through a closed tab, canceled; and the webhooks' deliveries.

A purchase whose picture nobody makes is bought in this process, which has no queue: so each test chooses when a worker
comes. The others go through the Tasks emulator.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Route, expect

from tests.support.browser import Visit
from tests.support.console import ATTACK, BUY, SIGNUP_CREDITS, Console, cancel_button, kept_orders, no_worker, work
from tests.support.contract import order
from tests.support.servers import wait_until

CANCEL = "**/api/cancelGenerationRequest"


def reopened(visit: Visit) -> Visit:
    """The tab is closed, and another one opened by the same person."""
    context = visit.page.context
    visit.page.close()
    return Visit(context.new_page(), visit.base).open()


def test_a_worker_makes_the_picture_and_it_comes_by_itself(
    console: Console, guest: Visit, record_property: Callable[[str, object], None]
) -> None:
    """The order is answered with 202, the task starts the worker, and the page follows the request."""
    user_id = guest.sign_up("async@example.com")
    seconds = []
    for balance in (SIGNUP_CREDITS - 1, SIGNUP_CREDITS - 2):
        began = time.monotonic()
        with guest.page.expect_response(BUY) as answered:
            guest.press_buy()
        assert answered.value.status == 202
        assert answered.value.headers["preference-applied"] == "respond-async"
        guest.shown().says("Bought for 1 credit.").balance(balance)
        seconds.append(time.monotonic() - began)
        # For as long as a second click may belong to the first.
        expect(guest.page.locator("#buy")).not_to_have_attribute("aria-disabled", "true")
    record_property("figure", f"console: from a click to the picture {seconds[0]:.1f} s, and then {seconds[1]:.1f} s")
    guest.tiles(2)
    assert {len(request["claims"]) for request in console.project.requests_of(user_id)} == {1}
    assert kept_orders(guest) == []


def test_what_was_ordered_before_the_tab_was_closed_is_there_when_it_is_opened_again(
    console: Console, guest: Visit
) -> None:
    """Through the Tasks emulator: the tab is closed as soon as the order is answered."""
    user_id = guest.sign_up("closed@example.com")
    with guest.page.expect_response(BUY):
        guest.press_buy()
    reopened(guest).shown().tiles(1).balance(SIGNUP_CREDITS - 1).says("Bought for 1 credit.")
    assert len(console.project.requests_of(user_id)) == 1


def test_a_pending_purchase_is_shown_live_in_the_tab_that_is_opened_again(console: Console, guest: Visit) -> None:
    """Nothing is ordered a second time, and nothing asked: Firestore tells when the picture is there."""
    user_id = guest.sign_up("pending@example.com")
    with no_worker(console, guest.page) as ids:
        guest.press_buy()
        expect(cancel_button(guest)).to_be_visible()
    again = reopened(guest)
    orders: list[str] = []
    again.page.on("request", lambda request: orders.append(request.url) if "createGen" in request.url else None)
    again.says("Making your picture", "#stage").says("Making it", "#gallery").balance(SIGNUP_CREDITS - 1)
    expect(cancel_button(again)).to_be_visible()
    work(console, ids[0])
    again.shown().says("Bought for 1 credit.").tiles(1)
    expect(cancel_button(again, "main")).to_have_count(0)
    assert (orders, kept_orders(again), len(console.project.requests_of(user_id))) == ([], [], 1)


@pytest.mark.parametrize("where", ["#stage", "#gallery"])
def test_a_buyer_cancels_what_is_pending(console: Console, guest: Visit, where: str) -> None:
    """The credits come back at once, and both the stage and the gallery say so in words."""
    user_id = guest.sign_up(f"cancels-{where[1:]}@example.com")
    with no_worker(console, guest.page):
        guest.press_buy()
        guest.balance(SIGNUP_CREDITS - 1)
        cancel_button(guest, where).click()
    guest.says("Canceled. Your credits came back.").says("Canceled. Your credits came back.", "#gallery")
    guest.balance(SIGNUP_CREDITS).tiles(1)
    assert [request["status"] for request in console.project.requests_of(user_id)] == ["canceled"]
    expect(cancel_button(guest, "main")).to_have_count(0)
    assert kept_orders(guest) == []
    # The gallery's button is gone, and the keyboard goes on from what took its place.
    assert guest.page.evaluate("document.activeElement !== document.body")


def test_a_cancellation_that_comes_too_late_says_so(console: Console, guest: Visit) -> None:
    """409: the picture was made meanwhile, and it is shown."""
    guest.sign_up("late@example.com")
    with no_worker(console, guest.page) as ids:
        guest.press_buy()

    def too_late(route: Route) -> None:
        work(console, ids[0])
        route.continue_()

    expect(cancel_button(guest)).to_be_visible()
    guest.page.route(CANCEL, too_late)
    with guest.page.expect_response(CANCEL) as answered:
        cancel_button(guest).click()
    assert answered.value.status == 409
    guest.shown().says("Too late to cancel").balance(SIGNUP_CREDITS - 1)


def test_a_failure_that_comes_later_says_that_nothing_was_charged(console: Console, guest: Visit) -> None:
    """The worker refunds, after the order was answered."""
    guest.sign_up("fails-later@example.com")
    with no_worker(console, guest.page) as ids:
        guest.press_buy()
        guest.balance(SIGNUP_CREDITS - 1)
    console.project.change(f"generationRequests/{ids[0]}", model="gone")
    work(console, ids[0])
    guest.says("Nothing was charged: 1 credit came back. The model failed.").balance(SIGNUP_CREDITS)
    guest.says("Your credits came back", "#gallery")


def test_another_picture_can_be_ordered_while_one_is_made(console: Console, guest: Visit) -> None:
    """The newest has the stage; the older one appears in the gallery."""
    guest.sign_up("impatient@example.com")
    with no_worker(console, guest.page) as ids:
        for bought in (1, 2):
            guest.press_buy()
            guest.tiles(bought)
            expect(guest.page.locator("#buy")).not_to_have_attribute("aria-disabled", "true")
    work(console, ids[0])
    expect(guest.page.locator("#gallery img")).to_have_count(1)
    guest.says("Making your picture", "#stage")
    work(console, ids[1])
    guest.shown()
    expect(guest.page.locator("#gallery img")).to_have_count(2)
    assert kept_orders(guest) == []


def test_a_pending_purchase_is_followed_on_an_older_page_too(console: Console, guest: Visit) -> None:
    """Twenty-four newer ones fill the page that is followed as a whole."""
    user_id = guest.sign_up("older@example.com")
    began = datetime(2026, 3, 1, tzinfo=UTC)
    batch = console.project.client.batch()
    for number in range(25):
        fields = {**order(user_id), "cost": 1, "status": "failed" if number else "pending", "failure": "TIMED_OUT"}
        fields |= {"createdAt": began + timedelta(seconds=number)}
        batch.set(console.project.client.document(f"generationRequests/older-{number}"), fields)
    batch.commit()
    guest.page.locator("#gallery > li").last.scroll_into_view_if_needed()
    guest.tiles(25)
    oldest = guest.page.locator("#gallery > li").last
    expect(oldest).to_contain_text("Making it")
    console.project.change("generationRequests/older-0", status="canceled")
    expect(oldest).to_contain_text("Canceled. Your credits came back.")


def store_deliveries(console: Console) -> None:
    """Three, made by hand; the newest is delivered."""
    began = datetime(2026, 3, 9, tzinfo=UTC)
    answers = {"failed": (80, "status 500"), "pending": (0, None), "delivered": (2, "200")}
    for number, (status, (attempts, last_answer)) in enumerate(answers.items()):
        created_at = began + timedelta(minutes=number)
        fields = {
            "type": "generation.completed",
            "target": "events",
            "data": {"userId": ATTACK},
            "status": status,
            "attempts": attempts,
            "createdAt": created_at,
            "queuedAt": datetime.now(UTC),
            "lastAttemptAt": created_at if attempts else None,
            "lastAnswer": last_answer,
            # No sweep takes it.
            "dueAt": datetime.now(UTC) + timedelta(days=1),
        }
        console.project.put(f"webhookDeliveries/{status}-1", fields)


def test_an_admin_reads_the_deliveries_and_sends_one_again(console: Console, guest: Visit) -> None:
    """Empty in words; newest first, by status; and what is sent again has a new answer. No text becomes markup."""
    page = guest.enter("testAdmin", "/admin").page
    page.get_by_role("tab", name="Webhooks").click()
    guest.says("COMPLETION_WEBHOOK_URL", "#webhooks-result")
    store_deliveries(console)
    page.get_by_role("button", name="Refresh").click()
    rows = page.locator("#deliveries > li")
    expect(rows).to_have_count(3)
    states = [text.split(" · ")[:3] for text in page.locator("#deliveries .hint").all_inner_texts()]
    assert [state[:2] for state in states] == [
        ["Delivered", "2 attempts"],
        ["Waiting", "not tried yet"],
        ["Failed", "80 attempts"],
    ]
    assert [states[0][2], states[2][2]] == ["last answer: 200", "last answer: status 500"]
    rows.first.get_by_text("What was sent").click()
    expect(rows.first.locator("pre")).to_contain_text("delivered-1")
    assert page.locator("#deliveries pre *").count() == 0
    page.get_by_label("Deliveries", exact=True).select_option("Failed")
    expect(rows).to_have_count(1)
    rows.get_by_role("button", name="Send again").click()
    guest.says("on its way again", "#webhooks-result").says("Waiting", "#deliveries")
    page.get_by_label("Deliveries", exact=True).select_option("Waiting")
    expect(rows).to_have_count(2)
    tried = rows.filter(has_text="no address")
    refresh = page.get_by_role("button", name="Refresh")

    def is_tried() -> bool:
        refresh.click()
        expect(refresh).not_to_have_attribute("aria-disabled", "true")
        return tried.count() == 1

    wait_until(is_tried, "the answer of the attempt")
    assert page.title() == "Admin · Images by the credit"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_new_views_are_accessible_and_fit_a_phone(
    console: Console, visit: Callable[..., Visit], scheme: str
) -> None:
    """axe-core finds nothing, and nothing is wider than 360 pixels: what is pending, canceled, delivered."""
    guest = visit(width=360, height=740)
    guest.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    guest.sign_up(f"phone-{scheme}@example.com")
    with no_worker(console, guest.page):
        guest.press_buy()
        guest.says("Making it", "#gallery")
        expect(cancel_button(guest)).to_be_visible()
        found = {"pending": guest.faults()}
        cancel_button(guest, "#gallery").click()
    guest.says("Canceled.", "#gallery")
    found["canceled"] = guest.faults()
    store_deliveries(console)
    guest.sign_out().enter("testAdmin", "/admin")
    guest.page.get_by_role("tab", name="Webhooks").click()
    guest.says("Delivered", "#deliveries")
    guest.page.get_by_text("What was sent").first.click()
    found["webhooks"] = guest.faults()
    assert {view: faults for view, faults in found.items() if faults} == {}
