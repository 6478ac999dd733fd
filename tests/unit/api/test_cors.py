"""Which web pages may call."""

import pytest

import config
from api import cors
from tests.support.builders import http_request

SHOP = "https://shop.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


def test_a_page_of_a_listed_origin_may_ask() -> None:
    """Only OPTIONS with the header that browsers send is a preflight."""
    asking = http_request("OPTIONS", headers={"Origin": SHOP, **PREFLIGHT})
    assert cors.is_preflight(asking, [SHOP])
    for request in (
        http_request("OPTIONS", headers={"Origin": SHOP}),
        http_request("OPTIONS", headers=PREFLIGHT),
        http_request("POST", headers={"Origin": SHOP, **PREFLIGHT}),
    ):
        assert not cors.is_preflight(request, [SHOP])


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", f"{SHOP}.evil.example", f"{SHOP}:8443", "http://shop.example"]
)
def test_another_page_may_not(origin: str) -> None:
    """An origin is compared as a whole; the answer has no header that a browser would accept."""
    asking = http_request("OPTIONS", headers={"Origin": origin, **PREFLIGHT})
    assert not cors.is_preflight(asking, [SHOP])
    assert cors.headers(asking, [SHOP]) == {"Vary": "Origin"}


def allowed_headers(asked: str | None) -> list[str]:
    """What the answer to a preflight that asks for these headers allows."""
    named = {} if asked is None else {"Access-Control-Request-Headers": asked}
    response = cors.preflight(http_request("OPTIONS", headers={"Origin": SHOP, **named}), ["POST"])
    return response.headers["Access-Control-Allow-Headers"].split(", ")


def test_the_preflight_names_methods_and_headers() -> None:
    """Empty, and good for an hour."""
    response = cors.preflight(http_request("OPTIONS", headers={"Origin": SHOP, **PREFLIGHT}), ["GET", "HEAD"])
    assert (response.status_code, response.get_data()) == (204, b"")
    assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert response.headers["Access-Control-Max-Age"] == "3600"
    assert allowed_headers(None) == [
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "Prefer",
        "X-Firebase-AppCheck",
    ]


def test_a_page_may_send_the_headers_of_its_tracing() -> None:
    """Each name that it asks for, once, beside those that are always allowed."""
    asked = "authorization,baggage,content-type,sentry-trace, traceparent, tracestate,x-datadog-trace-id"
    further = ["baggage", "sentry-trace", "traceparent", "tracestate", "x-datadog-trace-id"]
    assert allowed_headers(asked) == [*cors.KNOWN_HEADERS, *further]


@pytest.mark.parametrize("asked", ["", ",", "x\ty", "a b", "<script>", "*", "é", "x" * 65, "a:b", '"a"'])
def test_what_is_not_a_headers_name_is_not_allowed(asked: str) -> None:
    """Nothing is repeated that could be anything else than a name."""
    assert allowed_headers(asked) == list(cors.KNOWN_HEADERS)


def test_a_preflight_cannot_make_the_answer_long() -> None:
    """Only so many names are repeated."""
    names = [f"x-{number}" for number in range(1_000)]
    further = allowed_headers(",".join(names))[len(cors.KNOWN_HEADERS) :]
    assert further == names[: cors.MAX_FURTHER_HEADERS]


@pytest.mark.parametrize(
    "origin",
    ["capacitor://localhost", "ionic://localhost", "http://localhost", "https://localhost", "http://[::1]:3000"],
)
def test_the_web_view_of_an_app_may_ask(origin: str) -> None:
    """Its origin is set and compared like that of any page."""
    asking = http_request("OPTIONS", headers={"Origin": origin, **PREFLIGHT})
    allowed = config.load({"ALLOWED_ORIGINS": f"{SHOP}, {origin}"}).allowed_origins
    assert cors.is_preflight(asking, allowed)
    assert cors.headers(asking, allowed)["Access-Control-Allow-Origin"] == origin


def test_a_listed_page_may_read_the_answer_and_its_headers() -> None:
    """Each origin gets its own name back, and caches are told so."""
    headers = cors.headers(http_request(headers={"Origin": SHOP}), ["https://other.example", SHOP])
    assert headers["Access-Control-Allow-Origin"] == SHOP
    exposed = headers["Access-Control-Expose-Headers"]
    assert exposed == "Idempotent-Replayed, Preference-Applied, Location, Retry-After, Allow, WWW-Authenticate"
    assert headers["Vary"] == "Origin"


def test_without_a_listed_origin_nothing_is_said() -> None:
    """A backend without web pages answers without these headers."""
    assert cors.headers(http_request(headers={"Origin": SHOP}), []) == {}
    assert cors.headers(http_request(), [SHOP]) == {"Vary": "Origin"}
