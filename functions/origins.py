"""Origins of web pages, as browsers write them in the Origin header.

The rules: https://url.spec.whatwg.org/#host-parsing and
https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin
"""

import ipaddress
import re
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_DOMAIN = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
# Browsers read a host whose last label is a number as an IPv4 address.
_ENDS_IN_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")
# The web view of an app or an extension: capacitor://localhost, chrome-extension://… Its host is kept as it is.
_APP = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9_.-]+")
# Pages of these schemes have the origin "null", or none.
_WITHOUT_ORIGIN = {"about", "blob", "data", "file", "ftp", "javascript", "ws", "wss"}


def as_sent(text: str) -> str | None:
    """The origin of a page at this address, as browsers send it; None if there is none that can be compared."""
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
        if scheme in _DEFAULT_PORTS:
            shown = _shown(host)
            return f"{scheme}://{shown}" + ("" if port in (None, _DEFAULT_PORTS[scheme]) else f":{port}")
    except ValueError:
        return None
    found = _APP.fullmatch(text.lower())
    return found[0] if found and scheme not in _WITHOUT_ORIGIN else None


def _shown(host: str) -> str:
    """The host of an http or https address as browsers write it.

    Raises:
        ValueError: browsers refuse it, or it is not in punycode.
    """
    if ":" in host:
        address = ipaddress.IPv6Address(host)
        if address.scope_id or address.ipv4_mapped:
            raise ValueError("browsers refuse a zone, and Python's versions differ in how they write a mapped address")
        return f"[{address.compressed}]"
    if _ENDS_IN_NUMBER.fullmatch(host):
        return str(ipaddress.IPv4Address(host))
    if not _DOMAIN.fullmatch(host):
        raise ValueError("not a domain in ASCII")
    decoded = [label[4:].encode().decode("punycode") for label in host.split(".") if label.startswith("xn--")]
    if any(label.isascii() or not label.isprintable() for label in decoded):
        raise ValueError("not punycode")
    return host
