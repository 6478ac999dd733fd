"""Which web pages may call."""

import pytest

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


def test_the_preflight_names_methods_and_headers() -> None:
    """Empty, and good for an hour."""
    response = cors.preflight(["GET", "HEAD"])
    assert (response.status_code, response.get_data()) == (204, b"")
    assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    allowed = {name.strip() for name in response.headers["Access-Control-Allow-Headers"].split(",")}
    assert allowed == {"Authorization", "Content-Type", "Idempotency-Key", "X-Firebase-AppCheck"}
    assert response.headers["Access-Control-Max-Age"] == "3600"


def test_a_listed_page_may_read_the_answer_and_its_headers() -> None:
    """Each origin gets its own name back, and caches are told so."""
    headers = cors.headers(http_request(headers={"Origin": SHOP}), ["https://other.example", SHOP])
    assert headers["Access-Control-Allow-Origin"] == SHOP
    exposed = headers["Access-Control-Expose-Headers"]
    assert exposed == "Idempotent-Replayed, Retry-After, Allow, WWW-Authenticate"
    assert headers["Vary"] == "Origin"


def test_without_a_listed_origin_nothing_is_said() -> None:
    """A backend without web pages answers without these headers."""
    assert cors.headers(http_request(headers={"Origin": SHOP}), []) == {}
    assert cors.headers(http_request(), [SHOP]) == {"Vary": "Origin"}
