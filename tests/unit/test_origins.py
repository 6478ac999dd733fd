"""Origins as browsers send them: what a page at an address has, and what no page has."""

import pytest

from origins import as_sent

# What `new URL(text).origin` gives in Node.js 20, which follows the URL standard; None is an address that it refuses.
BY_THE_STANDARD = {
    "https://a.example": "https://a.example",
    "https://A.example": "https://a.example",
    "HTTPS://a.example": "https://a.example",
    "https://a.example.": "https://a.example.",
    "https://-a-.example": "https://-a-.example",
    "http://my_host:3000": "http://my_host:3000",
    "http://localhost": "http://localhost",
    "https://localhost": "https://localhost",
    "https://a.example/": "https://a.example",
    "https://a.example/x": "https://a.example",
    "https://a.example?x": "https://a.example",
    "https://a.example#x": "https://a.example",
    "https://u:p@a.example": "https://a.example",
    "https://a.example:443": "https://a.example",
    "http://a.example:80": "http://a.example",
    "https://a.example:80": "https://a.example:80",
    "http://a.example:443": "http://a.example:443",
    "https://a.example:0443": "https://a.example",
    "https://a.example:": "https://a.example",
    "https://a.example:0": "https://a.example:0",
    "http://a.example:65535": "http://a.example:65535",
    "http://a.example:65536": None,
    "https://a.example:99999": None,
    "http://a.example:8\N{FULLWIDTH DIGIT ONE}": None,
    "https://a.example\t": "https://a.example",
    "https://a.exa\nmple": "https://a.example",
    "https://a b.example": None,
    "https://a%2eexample": "https://a.example",
    "https://bücher.example": "https://xn--bcher-kva.example",
    "https://xn--bcher-kva.example": "https://xn--bcher-kva.example",
    "https://xn--fa-hia.de": "https://xn--fa-hia.de",
    "https://xn--ls8h.la": "https://xn--ls8h.la",
    "https://xn--a.example": None,
    "https://xn--.example": None,
    "http://127.0.0.1:5000": "http://127.0.0.1:5000",
    "http://127.1": "http://127.0.0.1",
    "http://0x7f.1": "http://127.0.0.1",
    "http://0x": "http://0.0.0.0",
    "http://1": "http://0.0.0.1",
    "http://1.2.3": "http://1.2.0.3",
    "http://1.2.3.4": "http://1.2.3.4",
    "http://1.2.3.4.": "http://1.2.3.4",
    "http://01.2.3.4": "http://1.2.3.4",
    "http://1.2.3.09": None,
    "http://256.1.1.1": None,
    "http://a.1": None,
    "http://a.0x": None,
    "http://[::1]": "http://[::1]",
    "http://[::1]:3000": "http://[::1]:3000",
    "http://[::0001]": "http://[::1]",
    "http://[::]": "http://[::]",
    "http://[0:0:0:0:0:0:0:0]": "http://[::]",
    "https://[2001:db8::1]:8443": "https://[2001:db8::1]:8443",
    "http://[2001:DB8::1]": "http://[2001:db8::1]",
    "http://[2001:db8:0:0:1:0:0:1]": "http://[2001:db8::1:0:0:1]",
    "http://[1:2:3:4:5:6:7:8]": "http://[1:2:3:4:5:6:7:8]",
    "http://[::ffff:1.2.3.4]": "http://[::ffff:102:304]",
    "http://[fe80::1%25eth0]": None,
    "http://[::1": None,
    "http://[::1]x": None,
    "http://[v1.a]": None,
    "https://": None,
    "https://a@": None,
    "https:a.example": "https://a.example",
    "https:///a.example": "https://a.example",
    "https:\\\\a.example": "https://a.example",
    "a.example": None,
    "localhost:3000": "null",
    "*": None,
    "null": None,
    "": None,
    "file://": "null",
    "file:///x": "null",
    "data:x": "null",
    "blob:https://a.example": "https://a.example",
}
# No standard: the web views and browsers send the address as the app wrote it.
OF_APPS = ["capacitor://localhost", "ionic://localhost", "tauri://localhost", "chrome-extension://abcdefghijklmnop"]


@pytest.mark.parametrize("text", BY_THE_STANDARD)
def test_what_stands_for_itself_is_what_browsers_send(text: str) -> None:
    """An origin that is taken as it is written is one that a browser would compare equal."""
    if as_sent(text) == text:
        assert BY_THE_STANDARD[text] == text


@pytest.mark.parametrize("text", [text for text, origin in BY_THE_STANDARD.items() if text == origin])
def test_each_origin_stands_for_itself(text: str) -> None:
    """Domains in ASCII, IPv4, IPv6, with a port and without."""
    assert as_sent(text) == text


@pytest.mark.parametrize(
    "text",
    ["https://A.example", "https://a.example/", "https://a.example:443", "https://u:p@a.example", "http://[::0001]"],
)
def test_an_address_has_the_origin_that_browsers_send(text: str) -> None:
    """So an operator can be told what to write instead."""
    assert as_sent(text) == BY_THE_STANDARD[text]


@pytest.mark.parametrize("text", OF_APPS)
def test_the_web_view_of_an_app_has_an_origin(text: str) -> None:
    """In lower case, without a path."""
    assert as_sent(text) == text
    assert as_sent(text.upper()) == text
    assert as_sent(text + "/x") is None


@pytest.mark.parametrize("text", ["ftp://a.example", "ws://a.example", "javascript://a", "about://a", "1a://b", "://a"])
def test_a_page_never_has_these(text: str) -> None:
    """No browser shows a page of such an address, or it sends null for it."""
    assert as_sent(text) is None
