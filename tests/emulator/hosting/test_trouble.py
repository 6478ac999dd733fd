"""What can go wrong on the console's pages: no lost, late or refused answer makes them say what is not so."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise

import pytest
from playwright.sync_api import Page, Route, expect

from tests.emulator.hosting.test_admin import look_up, move
from tests.support.browser import Visit
from tests.support.console import (
    BUY,
    SIGNUP_CREDITS,
    Console,
    answer,
    cancel_button,
    held,
    kept_orders,
    no_worker,
    reserve,
    work,
)
from tests.support.contract import order
from tests.support.servers import wait_until

FIRESTORE, CATALOG, CREDITS = "**/google.firestore.v1.Firestore/**", "**/api/getCatalog", "**/api/getUserCredits*"
NO_FIRESTORE = ("ERR_FAILED", "ERR_INTERNET_DISCONNECTED", "WebChannelConnection", "Could not reach Cloud Firestore")
NOT_FOUND_OUT = "We do not know yet whether it was bought."
INTERNAL = {"error": {"status": "INTERNAL", "message": "Internal error.", "details": {"errorId": "c0ffee"}}}
UNAUTHENTICATED = {"error": {"status": "UNAUTHENTICATED", "message": "Expired.", "details": {}}}


def forgive_lost_connections(visit: Visit) -> None:
    for problem in NO_FIRESTORE:
        visit.forgive(problem)


def says_nothing_about(visit: Visit, words: str, where: str = "#result") -> None:
    """After whatever the page has done so far."""
    assert words not in visit.page.locator(where).inner_text()


def test_a_purchase_is_not_taken_for_ended_while_firestore_cannot_be_reached(console: Console, guest: Visit) -> None:
    """Loaded without Firestore, the page says nothing that it cannot know; with it, the picture comes."""
    guest.sign_up("cut-off@example.com")
    with no_worker(console, guest.page) as ids:
        guest.press_buy()
        expect(cancel_button(guest)).to_be_visible()
    guest.page.route(FIRESTORE, lambda route: route.abort())
    guest.page.reload()
    guest.says("Connecting", "#connection").ready()
    assert guest.status_of("getCatalog") == 200
    says_nothing_about(guest, "charged")
    guest.says("Making your picture", "#stage")
    assert len(kept_orders(guest)) == 1
    expect(guest.page.locator("#no-pictures")).to_be_hidden()
    guest.page.unroute(FIRESTORE)
    guest.tiles(1)
    work(console, ids[0])
    guest.shown().says("Bought for 1 credit.")
    assert kept_orders(guest) == []
    forgive_lost_connections(guest)


def test_a_purchase_that_is_followed_hides_no_older_picture(console: Console, guest: Visit) -> None:
    """Firestore gives it first, as all that is known of the list; the older pages are there all the same."""
    user_id = guest.sign_up("many@example.com")
    batch = console.project.client.batch()
    for number in range(30):
        fields = {**order(user_id), "cost": 1, "status": "failed", "failure": "TIMED_OUT"}
        fields["createdAt"] = datetime(2026, 3, 1, 12, number, tzinfo=UTC)
        batch.set(console.project.client.document(f"generationRequests/many-{number}"), fields)
    batch.commit()
    with no_worker(console, guest.page) as ids:
        guest.press_buy()
        expect(cancel_button(guest)).to_be_visible()
    guest.page.reload()
    guest.says("Making your picture", "#stage")
    guest.page.locator("#gallery > li").nth(23).scroll_into_view_if_needed()
    guest.tiles(31)
    work(console, ids[0])
    guest.shown()


def test_older_entries_that_cannot_be_loaded_are_asked_for_again(console: Console, guest: Visit) -> None:
    """A lost connection is not the end of the list; the page says so beside it and still follows the account."""
    user_id = guest.sign_up("history@example.com")
    store_entries(console, user_id, 30)
    guest.page.get_by_role("tab", name="Credit history").click()
    rows, more = guest.page.locator("#entries tr"), guest.page.get_by_role("button", name="Show older entries")
    # The first page fills while the newer ones are written.
    guest.page.reload()
    guest.page.get_by_role("tab", name="Credit history").click()
    expect(rows).to_have_count(25)
    guest.page.context.set_offline(True)
    guest.says("Connecting", "#connection")
    more.click()
    guest.says("could not be loaded", "#history-result")
    guest.page.context.set_offline(False)
    expect(guest.page.locator("#connection")).to_be_empty()
    guest.says("could not be loaded", "#history-result")
    says_nothing_about(guest, "any more", "#lost")
    more.click()
    expect(rows).to_have_count(31)
    expect(guest.page.locator("#history-result")).to_be_empty()
    forgive_lost_connections(guest)


def store_entries(console: Console, user_id: str, count: int) -> None:
    """Older than every other entry of the user, and made by hand."""
    batch = console.project.client.batch()
    for number in range(count):
        fields = {"type": "grant", "credits": 1, "balanceAfter": number, "reason": "A gift.", "grantedBy": "admin"}
        fields["timestamp"] = datetime(2026, 3, 1, 12, number, tzinfo=UTC)
        batch.set(console.project.client.document(f"users/{user_id}/transactions/old-{number}"), fields)
    batch.commit()


def test_an_order_that_waits_for_its_user_is_not_said_to_be_over(console: Console, guest: Visit) -> None:
    """401 twice: the order is kept and says so, and the next sign-in sends it, once."""
    user_id = guest.sign_up("back@example.com")
    guest.page.route(BUY, partial(answer, 401, UNAUTHENTICATED))
    guest.press_buy()
    guest.says("The session is over. Sign in again within a few minutes, and this order goes on.")
    says_nothing_about(guest, "Nothing was charged")
    assert len(kept_orders(guest)) == 1
    guest.page.unroute(BUY)
    guest.sign_out().sign_in("back@example.com", "a good password")
    guest.shown().says("Bought for 1 credit.").balance(SIGNUP_CREDITS - 1)
    assert len(console.project.requests_of(user_id)) == 1
    assert kept_orders(guest) == []


def test_an_order_whose_answer_comes_after_its_user_has_left_is_followed_when_they_are_back(
    console: Console, guest: Visit
) -> None:
    """Nothing of it is shown to who is next, and it is not forgotten."""
    guest.sign_up("gone@example.com")
    guest.page.get_by_label("Prompt").fill("A secret")
    with held(guest.page, BUY) as taken:
        guest.press_buy()
        late = taken()
        guest.sign_out()
        request_id = reserve(console, late)
        wait_until(lambda: "requestId" in "".join(kept_orders(guest)), "the answer")
    # In the same page, which is not loaded again.
    guest.page.get_by_role("button", name="Sign in as testUser1").click()
    guest.ready().says("Your picture appears here.", "#stage")
    expect(guest.page.locator("#gallery > li, #no-pictures:visible")).not_to_have_count(0)
    assert len(kept_orders(guest)) == 1
    expect(guest.page.get_by_label("Prompt")).to_have_value("")
    guest.sign_out().sign_in("gone@example.com", "a good password")
    guest.ready().says("Making your picture", "#stage")
    work(console, request_id)
    guest.shown().says("Bought for 1 credit.")
    assert kept_orders(guest) == []


def test_what_the_server_says_of_its_own_error_is_an_answer(guest: Visit) -> None:
    """Its number is shown, and no connection is blamed; the page asks again, later each time."""
    asked: list[float] = []

    def break_down(route: Route) -> None:
        asked.append(time.monotonic())
        if len(asked) < 4:
            answer(500, INTERNAL, route)
        else:
            route.continue_()

    guest.page.route(CREDITS, break_down)
    guest.sign_in("broken-down@example.com", "a good password", "Create an account")
    guest.says("Your balance could not be read. Something went wrong on the server.", "#price").says("c0ffee", "#price")
    says_nothing_about(guest, "onnection", "#price")
    guest.balance(SIGNUP_CREDITS).says("Balance afterwards", "#price")
    pauses = [after - before for before, after in pairwise(asked)]
    assert len(pauses) == 3
    assert pauses[2] > 2 * pauses[0]


def test_an_order_that_met_an_unexpected_error_is_repeated_with_its_key(console: Console, guest: Visit) -> None:
    """The credits may be reserved: it is bought once, and the answer after that says so."""
    user_id = guest.sign_up("unforeseen@example.com")
    keys: list[str] = []

    def break_down(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            answer(500, INTERNAL, route)
        else:
            route.continue_()

    guest.page.route(BUY, break_down)
    guest.press_buy()
    guest.shown().says("Bought for 1 credit.").balance(SIGNUP_CREDITS - 1)
    assert len(keys) == 2
    assert len(console.project.requests_of(user_id)) == len(set(keys)) == 1


ONE_OF_EACH = {
    "models": ["model-a"],
    "styles": ["anime"],
    "colors": ["neon"],
    "sizes": [{"size": "512x512", "credits": 1}],
}


def test_a_picture_is_bought_again_whatever_the_catalog_has(guest: Visit) -> None:
    """One choice of each kind, and no catalog yet."""
    guest.page.route(CATALOG, partial(answer, 200, ONE_OF_EACH))
    guest.sign_up("again@example.com")
    prompt = guest.page.get_by_label("Prompt")
    prompt.fill("A lighthouse")
    guest.press_buy()
    guest.shown().tiles(1)
    again = guest.page.locator("#gallery").get_by_role("button", name="Buy again")

    def fills_the_form() -> None:
        prompt.fill("")
        again.click()
        expect(prompt).to_have_value("A lighthouse")

    fills_the_form()
    expect(guest.page.locator("#buy")).to_be_focused()
    guest.page.unroute(CATALOG)
    with held(guest.page, CATALOG) as taken:
        guest.page.reload()
        late = taken()
        fills_the_form()
        late.continue_()
        guest.ready()


@contextmanager
def price(console: Console, credits: int) -> Iterator[None]:
    """What the smallest picture costs for a while."""
    console.project.put("sizes/512x512", {"credits": credits})
    yield
    console.project.put("sizes/512x512", {"credits": 1})


def test_a_price_that_has_changed_is_said(console: Console, guest: Visit) -> None:
    """With what the purchase cost; and the page shows the new one when it is looked at again, with the same choice."""
    guest.sign_up("prices@example.com")
    guest.page.locator("#styles").get_by_text("sketch").click()
    buy = guest.page.locator("#buy")
    with price(console, 2):
        guest.press_buy()
        guest.shown().says("Bought for 2 credits, not 1: the price has changed.").balance(SIGNUP_CREDITS - 2)
        expect(buy).to_have_text("Buy for 2 credits")
    expect(guest.page.locator("#styles :checked")).to_have_value("sketch")
    guest.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(buy).to_have_text("Buy for 1 credit")
    expect(guest.page.locator("#styles :checked")).to_have_value("sketch")


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("/", "**/__/firebase/init.json"),
        ("/", "**/vendor/**/firebase-firestore.js"),
        ("/admin", "**/api.js"),
        ("/docs", "**/swagger-ui-bundle.js"),
    ],
)
def test_a_page_that_cannot_be_loaded_says_so(guest: Visit, path: str, missing: str) -> None:
    """Whatever part of it does not come."""
    guest.page.route(missing, lambda route: route.abort())
    guest.open(path).says("This page could not be loaded. Check the connection and reload it.", "main")
    for problem in ("ERR_FAILED", "Failed to fetch", "SwaggerUIBundle is not defined"):
        guest.forgive(problem)


def test_a_project_without_a_web_app_is_told_what_to_do(guest: Visit) -> None:
    """Hosting has no configuration then."""
    guest.page.route("**/__/firebase/init.json", partial(answer, 404, {}))
    guest.open().says("This project has no web app yet", "main")
    guest.forgive("no web app")


def test_live_regions_are_in_the_page_before_they_speak_and_one_tells_the_end(guest: Visit) -> None:
    """Screen readers follow a region that they know; an empty one takes no place."""
    guest.enter("testUser1").ready()
    regions = guest.page.locator("[role=status]:empty, [role=alert]:empty")
    styles = regions.evaluate_all(
        "regions => regions.map(each => [each.id, each.hidden, getComputedStyle(each).display])"
    )
    assert [name for name, is_hidden, display in styles if is_hidden or display == "none"] == []
    assert {"result", "connection", "lost", "pictures-result"} <= {name for name, *_ in styles}
    assert regions.evaluate_all("regions => Math.max(...regions.map(each => each.offsetHeight))") <= 1
    assert guest.page.locator("#stage[aria-live], #stage [aria-live], #stage [role=status]").count() == 0


def test_what_another_site_has_is_opened_and_what_this_one_has_is_saved(console: Console, guest: Visit) -> None:
    """A browser does not save a file of another site; what has no address has no link."""
    user_id = guest.sign_up("files@example.com")
    host = "https://firebasestorage.googleapis.com"
    urls = {"kept": f"{host}/v0/b/bucket/o/picture?alt=media", "broken": "http://["}
    guest.page.route(f"{host}/**", lambda route: route.fulfill(status=404))
    for name, url in urls.items():
        fields = {**order(user_id), "prompt": name, "cost": 1, "status": "completed", "imageUrl": url}
        console.project.put(f"generationRequests/files-{name}", {**fields, "createdAt": datetime.now(UTC)})
    guest.press_buy()
    guest.shown().tiles(3)
    tiles = guest.page.locator("#gallery > li")
    kept = tiles.filter(has_text="kept").get_by_role("link")
    expect(kept).to_have_text("Open")
    assert kept.get_attribute("download") is None
    expect(tiles.filter(has_text="broken").get_by_role("link")).to_have_count(0)
    saved = tiles.filter(has_text="No prompt").get_by_role("link")
    expect(saved).to_have_text("Download")
    assert str(saved.get_attribute("download")).endswith(".png")
    guest.forgive(host)


def test_a_late_answer_changes_nobody_elses_credits(console: Console, guest: Visit) -> None:
    """Older entries of the first user come after the second was found: the form is the second one's, and empty."""
    for user_id in ("first", "second"):
        console.gives(user_id, 10)
    store_entries(console, "first", 30)
    page = guest.enter("testAdmin", "/admin").page
    look_up(guest, "first")
    guest.says("first", "#found-name")
    page.locator("#move").get_by_label("Take credits back").check()
    page.get_by_label("Credits", exact=True).fill("9")
    expect(page.locator("#move-button")).to_have_text("Take credits back")
    with held(page, "**/api/getUserCredits*pageToken*") as taken:
        page.get_by_role("button", name="Show older entries").click()
        late = taken()
        look_up(guest, "second")
        guest.says("second", "#found-name")
        expect(page.locator("#move-button")).to_have_text("Give credits")
        expect(page.get_by_label("Credits", exact=True)).to_have_value("")
        let_go(page, late)
    move(guest, 5, "Give credits")
    guest.says("5 credits given. The balance of second is now 15 credits.", "#move-result").says(
        "second", "#found-name"
    )
    assert (console.project.balance("first"), console.project.balance("second")) == (10, 15)


def let_go(page: Page, late: Route) -> None:
    """The call goes on, and the page has its answer."""
    with page.expect_response(late.request.url) as answered:
        late.continue_()
    answered.value.finished()
    # What the page does with it comes before what it is asked next.
    assert page.evaluate("new Promise(done => setTimeout(done))") is None


def test_a_late_report_is_not_shown(console: Console, guest: Visit) -> None:
    """Neither instead of the one that was chosen after it, nor after its reader has left; the open tab loads itself."""
    for day in (9, 16):
        end = datetime(2026, 3, day, tzinfo=UTC)
        times = {"windowStart": datetime(2026, 3, day - 7, tzinfo=UTC), "windowEnd": end, "generatedAt": end}
        console.project.put(f"reports/report_{end:%Y-%m-%d}", {"totalRequests": 0, "anomalies": [], **times})
    page = guest.enter("testAdmin", "/admin").page
    page.get_by_role("tab", name="Reports").click()
    chosen, frame = page.locator("#weeks"), page.locator("#report")
    title = page.frame_locator("#report").get_by_role("heading", level=1)
    chosen.select_option("report_2026-03-16")
    expect(title).to_contain_text("15 Mar 2026")
    with held(page, "**/api/getWeeklyReport?reportId=report_2026-03-09*") as taken:
        chosen.select_option("report_2026-03-09")
        late = taken()
        chosen.select_option("report_2026-03-16")
        expect(title).to_contain_text("15 Mar 2026")
        let_go(page, late)
        expect(title).to_contain_text("15 Mar 2026")
        chosen.select_option("report_2026-03-09")
        late = taken()
        guest.sign_out()
        let_go(page, late)
    assert frame.evaluate("frame => frame.hidden && !frame.srcdoc")
    page.get_by_role("button", name="Sign in as testAdmin").click()
    expect(title).to_contain_text("Weekly report")
    expect(title).not_to_contain_text("8 Mar 2026")
