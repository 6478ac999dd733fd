"""Structured events, each with the trace of the request that caused it.

A request's fields are carried in a context variable, so that no layer passes them on. Never logged: a prompt, a token,
an e-mail address, a whole payload, or the words of a foreign exception, which may quote any of these.
"""

import contextlib
import contextvars
import re
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from firebase_functions import logger

_CARRIED: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("carried", default={})  # noqa: B039 - never changed
# Cloud Logging joins the lines of one request by this field, and any other service's:
# https://cloud.google.com/logging/docs/structured-logging#special-payload-fields
TRACE_FIELD = "logging.googleapis.com/trace"
_TRACE_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


def trace_id(trace_context: str | None) -> str:
    """The id in an X-Cloud-Trace-Context header ("ID/SPAN;o=1"); a new one where there is none."""
    found = _TRACE_ID.match(trace_context or "")
    return found[0] if found else uuid.uuid4().hex


@contextlib.contextmanager
def traced(trace: str, project: str | None) -> Iterator[None]:
    """Within it, every event carries the trace, and whatever `carry` adds."""
    token = _CARRIED.set({TRACE_FIELD: f"projects/{project}/traces/{trace}" if project else trace})
    try:
        yield
    finally:
        _CARRIED.reset(token)


def carry(**fields: Any) -> None:
    """Adds these fields to every later event of this request."""
    _CARRIED.set({**_CARRIED.get(), **fields})


def info(event: str, **fields: Any) -> None:
    _write(logger.info, event, fields)


def warn(event: str, **fields: Any) -> None:
    _write(logger.warn, event, fields)


def error(event: str, **fields: Any) -> None:
    _write(logger.error, event, fields)


def where(error: BaseException | None) -> list[str]:
    """An exception and its causes: each one's type and the places it went through, without its words."""
    places = []
    while error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        places.append(f"{type(error).__name__}: " + " > ".join(f"{f.filename}:{f.lineno} {f.name}" for f in frames))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return places


def _write(write: Callable[..., None], event: str, fields: Mapping[str, Any]) -> None:
    # A log that cannot be written must not turn a commit that stands into an error.
    with contextlib.suppress(OSError, ValueError):
        write(event, **{**_CARRIED.get(), **fields})
