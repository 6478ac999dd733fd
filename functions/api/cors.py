"""Lets the web pages of the configured origins call.

firebase_functions' own CORS answers any OPTIONS with 200 and does not expose the headers below.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from flask import Request, Response

from api.auth import APP_CHECK_HEADER
from schemas.fields import KEY_HEADER, PREFER_HEADER

PREFLIGHT_SECONDS = 3600
KNOWN_HEADERS = ("Authorization", "Content-Type", KEY_HEADER, PREFER_HEADER, APP_CHECK_HEADER)
# A page's tracing adds headers of its own: traceparent, baggage, sentry-trace …
MAX_FURTHER_HEADERS = 32
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
EXPOSED_HEADERS = "Idempotent-Replayed, Preference-Applied, Location, Retry-After, Allow, WWW-Authenticate"


def is_preflight(request: Request, allowed_origins: Sequence[str]) -> bool:
    """Whether a browser asks if a page of an allowed origin may call."""
    is_asking = "Access-Control-Request-Method" in request.headers
    return request.method == "OPTIONS" and is_asking and request.headers.get("Origin") in allowed_origins


def preflight(request: Request, methods: Iterable[str]) -> Response:
    """The answer to a preflight: which methods and headers the page may use.

    The page may use other headers that it asks for. That is safe: its origin is allowed, and rights come only from the
    Authorization header, never from a cookie.
    """
    asked = [name.strip() for name in request.headers.get("Access-Control-Request-Headers", "").split(",")]
    known = {name.lower() for name in KNOWN_HEADERS}
    further = [name for name in asked if _HEADER_NAME.fullmatch(name) and name.lower() not in known]
    headers = {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": ", ".join([*KNOWN_HEADERS, *further[:MAX_FURTHER_HEADERS]]),
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }
    return Response(status=204, headers=headers)


def headers(request: Request, allowed_origins: Sequence[str]) -> Mapping[str, str]:
    """The headers that let a page of an allowed origin read an answer."""
    if not allowed_origins:
        return {}
    origin = request.headers.get("Origin")
    if origin is None or origin not in allowed_origins:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": EXPOSED_HEADERS,
    }
