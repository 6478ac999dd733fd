"""Talking to a provider's HTTP API: one POST of JSON, and every way in which it can go wrong as a typed failure.

The messages name the provider's host and status. They never quote what it sent, nor the prompt, nor a key.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from images.model import ModelFailed, PictureBytes, ProviderBusy, ProviderFailed, TimedOut
from store import Deadline
from waiting import TookTooLong, within

# A picture of 20 MB in base64, and what is around it.
MAX_ANSWER_BYTES = 32_000_000
PIECE_BYTES = 65_536
CONNECT_SECONDS = 10.0
# Threads and sockets cannot wait for longer than some limit. No function runs for longer than this.
MAX_SECONDS = 3_600.0
MAX_RETRY_AFTER_SECONDS = 3_600
# What reading an answer can raise, besides our own failures.
BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)

# What an error's status and body mean, if this provider has a word for it.
Judge = Callable[[int, Mapping[str, Any]], ModelFailed | None]


def nothing_special(status: int, details: Mapping[str, Any]) -> None:
    """Judges every error by its status alone."""


def post_json(
    open_session: Callable[[], requests.Session],
    url: str,
    payload: Mapping[str, Any],
    deadline: Deadline,
    judge: Judge = nothing_special,
) -> Mapping[str, Any]:
    """Posts once, never again, and gives the JSON object that came back.

    Raises:
        TimedOut: the deadline passed, wherever the time went: credentials, connecting, or byte after byte.
        ProviderBusy: 429 or 503, with the wait that the provider asks for.
        ModelFailed: what `judge` makes of an error; otherwise ProviderFailed, for everything but a JSON object.
    """
    seconds = min(deadline.left_seconds, MAX_SECONDS)
    try:
        if seconds:
            # After a time-out the thread goes on until the provider answers.
            return within(seconds, lambda: _asked(open_session, url, payload, deadline, judge))
    except TookTooLong:
        pass
    raise TimedOut(f"{urlsplit(url).hostname} did not answer in time.")


def _asked(
    open_session: Callable[[], requests.Session],
    url: str,
    payload: Mapping[str, Any],
    deadline: Deadline,
    judge: Judge,
) -> Mapping[str, Any]:
    host = urlsplit(url).hostname
    try:
        # A session for each call: a connection that was kept may be dead, and the call is not repeated.
        with open_session() as session:
            seconds = max(min(deadline.left_seconds, MAX_SECONDS), 0.001)
            timeout = (min(CONNECT_SECONDS, seconds), seconds)
            with session.post(url, json=payload, timeout=timeout, allow_redirects=False, stream=True) as answer:
                if answer.status_code == 200:
                    return _object(answer, deadline)
                raise judge(answer.status_code, _details(answer, deadline)) or _by_status(answer, host)
    except BROKEN as error:
        if deadline.passed:
            raise TimedOut(f"{host} did not answer in time.") from error
        raise ProviderFailed(f"{host} could not be asked, or broke off: {type(error).__name__}.") from error


def _details(answer: requests.Response, deadline: Deadline) -> Mapping[str, Any]:
    """An error's body, empty if it cannot be read: the status counts without it."""
    try:
        return _object(answer, deadline)
    except (ProviderFailed, *BROKEN):
        return {}


def _object(answer: requests.Response, deadline: Deadline) -> Mapping[str, Any]:
    body, host = bytearray(), urlsplit(answer.url).hostname
    # read1 gives what has come, however little, so that the deadline is looked at again.
    while piece := answer.raw.read1(PIECE_BYTES, decode_content=True):
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise ProviderFailed(f"{host} sent more than {MAX_ANSWER_BYTES} bytes.")
        if deadline.passed:
            raise TimedOut(f"{host} did not finish its answer in time.")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProviderFailed(f"{host} sent something else than a JSON object.")
    return found


def _by_status(answer: requests.Response, host: str | None) -> ModelFailed:
    status = answer.status_code
    if status in (429, 503):
        return ProviderBusy(f"{host} answered {status}: it is busy.", retry_after_seconds(answer.headers))
    if 300 <= status < 400:
        return ProviderFailed(f"{host} answered {status}: a redirect, which is not followed.")
    return ProviderFailed(f"{host} answered {status}.")


def retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """What Retry-After asks for, 1 to 3600 seconds; None if it asks for nothing that can be read.

    Seconds or a date, which is compared with the provider's own clock:
    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    raw = headers.get("Retry-After", "").strip()
    try:
        if re.fullmatch("[0-9]+", raw):
            seconds = int(raw)
        else:
            wait = parsedate_to_datetime(raw) - parsedate_to_datetime(headers.get("Date", ""))
            seconds = int(wait.total_seconds())
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 1), MAX_RETRY_AFTER_SECONDS)


def at(value: Any, *path: str | int) -> Any:
    """What stands at this path of a JSON value; None if there is no such place."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def decoded(text: Any, media_type: Any) -> PictureBytes:
    """A picture that was sent as base64. Whether it is one is not looked at here.

    Raises:
        ProviderFailed: there is none, or it is not base64.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        data = b""
    if not data or not isinstance(media_type, str):
        raise ProviderFailed("The provider sent no picture in base64.")
    return PictureBytes(data, media_type)
