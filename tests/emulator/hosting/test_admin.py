"""An admin on the console's page, in Chromium, on real emulators that ask for tokens, with no way out."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Error, FrameLocator, Page, Route, expect

from tests.support.browser import Visit
from tests.support.console import ATTACK, SIGNUP_CREDITS, Console


def test_who_is_not_an_admin_gets_nothing(guest: Visit) -> None:
    """A stranger and a user open the admin's page by its address; the functions refuse the user."""
    office = guest.open("/admin").page.locator("#office")
    expect(guest.page.locator("#gate")).to_be_visible()
    expect(office).to_be_hidden()
    guest.enter("testUser1", "/admin").says("This page is for admins.", "#refused")
    expect(office).to_be_hidden()
    assert guest.page.get_by_role("link", name="Admin", exact=True).count() == 1
    body = {"userId": "testUser1", "credits": 5, "reason": "Because."}
    assert guest.status_of("grantCredits", body=body, key="theft") == 403
    assert guest.status_of("revokeCredits", body=body, key="theft") == 403
    assert guest.status_of("getWeeklyReport") == 403
    assert guest.status_of("findUser", query={"email": "testuser1@example.com"}) == 403
    guest.open().ready()
    expect(guest.page.get_by_role("link", name="Admin")).to_be_hidden()


def test_an_admins_day(console: Console, guest: Visit, visit: Callable[..., Visit]) -> None:
    """Finds a user, gives credits, which the user sees at once, takes back more than there is, reads the week."""
    buyer = visit()
    user_id = buyer.sign_up("customer@example.com")
    page = guest.enter("testAdmin", "/admin").page
    look_up(guest, user_id)
    guest.says(f"{SIGNUP_CREDITS} credits", "#found-balance")
    move(guest, 20, "Give credits")
    guest.says("20 credits given.", "#move-result").says("24 credits", "#found-balance").says(ATTACK, "#found-entries")
    buyer.balance(24)
    move(guest, 30, "Take credits back")
    guest.says("24 credits taken back. 6 credits less than asked for", "#move-result")
    buyer.balance(0)
    assert console.project.balance(user_id) == 0
    page.get_by_role("tab", name="Reports").click()
    guest.says("There is no report yet.", "#report-result")
    page.get_by_role("button", name="Make one now").click()
    report = page.frame_locator("#report")
    expect(report.get_by_role("heading", name="Weekly report")).to_be_visible()
    assert report.locator("body").evaluate("body => getComputedStyle(body).fontVariantNumeric") == "tabular-nums"
    page.get_by_role("tab", name="Catalog").click()
    guest.says("1792: 4 credits", "#offers")
    assert page.title() == "Admin · Images by the credit"


def look_up(admin: Visit, typed: str) -> None:
    admin.page.get_by_label("User id or e-mail").fill(typed)
    admin.page.get_by_role("button", name="Look up").click()


def move(admin: Visit, credits: int, direction: str) -> None:
    admin.page.locator("#move").get_by_label(direction).check()
    admin.page.get_by_label("Credits", exact=True).fill(str(credits))
    admin.page.get_by_label("Reason").fill(ATTACK)
    admin.page.locator("#move-button").click()


def test_an_admin_finds_a_user_by_address(console: Console, guest: Visit, visit: Callable[..., Visit]) -> None:
    """Nobody but Firebase knows which id belongs to it, and that nobody proved that it is theirs."""
    user_id = visit().sign_up("found@example.com")
    guest.enter("testAdmin", "/admin")
    look_up(guest, " Found@Example.com ")
    guest.says(user_id, "#found-name").says("found@example.com (not verified)", "#found-email")
    guest.says(f"{SIGNUP_CREDITS} credits", "#found-balance")
    look_up(guest, user_id)
    expect(guest.page.locator("#found-email")).to_be_hidden()
    guest.says(user_id, "#found-name")


def test_an_id_may_look_like_an_address(console: Console, guest: Visit) -> None:
    """It is found as an id; but what is neither opens no account, since a mistyped address would get the credits."""
    console.gives("old@id", 7)
    guest.enter("testAdmin", "/admin")
    look_up(guest, "old@id")
    guest.says("7 credits", "#found-balance").says("old@id", "#found-name")
    look_up(guest, "nobody@example.com")
    guest.says("Nobody has this e-mail address or this id.", "#look-up-result")
    expect(guest.page.locator("#found")).to_be_hidden()
    look_up(guest, "not-yet")
    guest.says("Giving credits opens one.", "#found-balance")


def test_a_read_whose_answer_is_lost_is_asked_again(console: Console, guest: Visit) -> None:
    """The admin sees the user a moment later, and no error."""
    console.gives("unlucky", 7)
    asked: list[str] = []

    def lose(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.abort()
        else:
            route.continue_()

    guest.page.route("**/api/getUserCredits*", lose)
    guest.enter("testAdmin", "/admin")
    look_up(guest, "unlucky")
    guest.says("7 credits", "#found-balance")
    expect(guest.page.locator("#look-up-result")).to_be_empty()
    guest.forgive("ERR_FAILED")
    assert len(asked) == 2


@pytest.mark.parametrize("reloads", [False, True])
def test_a_grant_whose_answer_is_lost_is_given_once(console: Console, guest: Visit, reloads: bool) -> None:
    """The page asks again with the same key, and after a reload too."""
    user_id = f"lucky-{reloads}"
    console.gives(user_id, 1)
    keys: list[str] = []

    def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            assert route.fetch().status == 200
        if len(keys) == 1 or reloads:
            route.abort()
        else:
            route.continue_()

    guest.page.route("**/api/grantCredits", lose)
    guest.enter("testAdmin", "/admin")
    look_up(guest, user_id)
    guest.says("1 credit", "#found-balance")
    with guest.page.expect_event("requestfailed"):
        move(guest, 20, "Give credits")
    assert console.project.balance(user_id) == 21
    if reloads:
        guest.page.unroute_all(behavior="wait")
        guest.page.reload()
        guest.says("20 credits given.", "#look-up-result")
    else:
        guest.says("20 credits given.", "#move-result").says("21 credits", "#found-balance")
    guest.forgive("ERR_FAILED")
    assert console.project.balance(user_id) == 21
    assert len(set(keys)) == 1
    assert guest.page.evaluate("Object.keys(localStorage).filter(name => name.startsWith('grant'))") == []


WEEKS = [datetime(2026, 3, day, tzinfo=UTC) for day in (2, 9, 16)]


@pytest.fixture
def weeks(console: Console) -> list[str]:
    """The ids of three weekly reports, oldest first."""
    for number, end in enumerate(WEEKS, start=1):
        fields = {"totalRequests": number, "totalCompleted": number, "totalFailed": 0, "anomalies": []}
        times = {"windowStart": end - timedelta(days=7), "windowEnd": end, "generatedAt": end}
        console.project.put(f"reports/report_{end:%Y-%m-%d}", fields | times)
    return [f"report_{end:%Y-%m-%d}" for end in WEEKS]


def test_one_goes_from_week_to_week(guest: Visit, weeks: list[str]) -> None:
    """The report's own links open the week before and after in the page, and the list shows which it is."""
    page = guest.enter("testAdmin", "/admin").page
    page.get_by_role("tab", name="Reports").click()
    chosen, report = page.locator("#weeks"), page.frame_locator("#report")
    title = report.get_by_role("heading", level=1)
    expect(report.locator("footer")).to_be_visible()
    chosen.select_option(weeks[1])
    expect(title).to_contain_text("8 Mar 2026")
    assert re.match("Mar 2\\W+8, 2026$", chosen.locator("option:checked").inner_text())
    for rel, week, dates in (("prev", weeks[0], "1 Mar 2026"), ("next", weeks[1], "8 Mar 2026")):
        report.locator(f"a[rel={rel}]").click()
        expect(title).to_contain_text(dates)
        expect(chosen).to_have_value(week)
    assert page.url.endswith("/admin")


def test_a_report_at_its_own_address_has_its_styles_and_no_others(
    console: Console, guest: Visit, weeks: list[str]
) -> None:
    """As a browser gets it from the function, with its headers: a style that is not the page's own is refused."""
    expect(guest.enter("testAdmin", "/admin").page.locator("#office")).to_be_visible()
    token = guest.page.evaluate("import('/firebase.js').then(({ auth }) => auth.currentUser.getIdToken())")
    guest.page.set_extra_http_headers({"Authorization": f"Bearer {token}"})
    guest.page.goto(f"{console.functions}/getWeeklyReport?reportId={weeks[1]}&format=html")
    body = guest.page.locator("body")
    expect(body).to_have_css("font-variant-numeric", "tabular-nums")
    with pytest.raises(Error):
        guest.page.add_style_tag(content="body { zoom: 3 }")
    body.evaluate("body => body.setAttribute('style', 'zoom: 3')")
    expect(body).to_have_css("zoom", "1")
    # Each by the policy in the headers, and by the page's own.
    assert sum("violates" in problem for problem in guest.problems) == 2 * 2
    guest.forgive("violates")


# A document's id has no slash.
NAMES = {kind: f"<img src=x onerror=\"document.title='{kind}'\">" for kind in ("styles", "colors")}
MARKUP = "img[src=x], b:text-is('bold')"


@pytest.fixture
def hostile_catalog(console: Console) -> Iterator[None]:
    for kind, name in NAMES.items():
        console.project.put(f"{kind}/{name}", {})
    yield
    for kind, name in NAMES.items():
        console.project.client.document(f"{kind}/{name}").delete()


def shows(place: Page | FrameLocator, text: str) -> None:
    """As text, and no markup of it."""
    expect(place.get_by_text(text).first).to_be_visible()
    assert place.locator(MARKUP).count() == 0


@pytest.mark.usefixtures("hostile_catalog")
def test_the_name_of_a_style_is_text(console: Console, guest: Visit, visit: Callable[..., Visit]) -> None:
    """In the form, below the picture, in the gallery, in the admin's catalog and in the report."""
    guest.sign_up("hostile@example.com")
    for kind, name in NAMES.items():
        guest.page.locator(f"#{kind}").get_by_text(name).click()
        shows(guest.page, name)
    guest.press_buy()
    guest.shown().tiles(1)
    for where in ("#stage-caption", "#gallery"):
        for name in NAMES.values():
            guest.says(name, where)
    assert guest.page.locator(MARKUP).count() == 0
    admin = visit()
    page = admin.enter("testAdmin", "/admin").page
    page.get_by_role("tab", name="Catalog").click()
    for name in NAMES.values():
        shows(page, name)
    page.get_by_role("tab", name="Reports").click()
    page.get_by_role("button", name="Make one now").click()
    for name in NAMES.values():
        shows(page.frame_locator("#report"), name)
    assert guest.page.title() == "Images by the credit"
    assert page.title() == "Admin · Images by the credit"


def test_what_somebody_wrote_in_a_report_is_text(console: Console, guest: Visit) -> None:
    """Its findings, its tables and the reasons of failures; a field of another type is left out."""
    end = datetime(2026, 3, 2, tzinfo=UTC)
    tally = {"total": 9, "completed": 6, "failed": 3, "creditsSpent": 9}
    names = {f"by{kind}": {f"{ATTACK}{kind}": tally} for kind in ("Model", "Style", "Color", "Size")}
    fields = {
        "totalRequests": 9,
        "totalCompleted": 6,
        "totalFailed": 3,
        "topUser": ATTACK,
        "totalCreditsSpent": ATTACK,
        "windowStart": end - timedelta(days=7),
        "windowEnd": end,
        "generatedAt": ATTACK,
        "previous": ATTACK,
        "anomalies": [{"severity": "critical", "message": f"{ATTACK}finding"}, {"severity": ATTACK, "message": ATTACK}],
        "failureReasons": {f"{ATTACK}reason": 3},
        "previousReportId": ATTACK,
    }
    console.project.put("reports/report_2026-03-02", fields | names)
    page = guest.enter("testAdmin", "/admin").page
    page.get_by_role("tab", name="Reports").click()
    page.locator("#weeks").select_option("report_2026-03-02")
    report = page.frame_locator("#report")
    expect(report.get_by_role("heading", level=1)).to_contain_text("1 Mar 2026")
    for kind in ("finding", "reason", "Model", "Style", "Color", "Size"):
        shows(report, f"{ATTACK}{kind}")
    assert page.title() == "Admin · Images by the credit"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible_and_fits_a_phone(visit: Callable[..., Visit], scheme: str) -> None:
    """axe-core finds nothing, and nothing is wider than 360 pixels."""
    guest = visit(width=360, height=740)
    guest.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    views = guest.enter("testAdmin", "/admin").page
    look_up(guest, "testuser1@example.com")
    guest.says("credits", "#found-balance")
    found = {"users": guest.faults()}
    views.get_by_role("tab", name="Reports").click()
    views.get_by_role("button", name="Make one now").click()
    expect(views.locator("#report")).to_be_visible()
    found["reports"] = guest.faults()
    views.get_by_role("tab", name="Catalog").click()
    guest.says("anime", "#offers")
    found["catalog"] = guest.faults()
    assert {view: faults for view, faults in found.items() if faults} == {}
