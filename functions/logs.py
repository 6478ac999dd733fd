"""Structured events, each with the trace of the request that caused it.

A request's fields are kept in a context variable, so no layer passes them on. Never logged: a prompt, a token, an
e-mail address, a payload, or the message of a library's exception, which may quote any of these.
"""

import contextlib
import contextvars
import json
import re
import sys
import traceback
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

_CARRIED: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("carried", default={})  # noqa: B039 - never changed
# Cloud Logging groups the lines of one request by this field:
# https://cloud.google.com/logging/docs/structured-logging#special-payload-fields
TRACE_FIELD = "logging.googleapis.com/trace"
# More than any chain that the code makes.
MAX_CAUSES = 10
_TRACE_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


def trace_id(trace_context: str | None) -> str:
    """The id in an X-Cloud-Trace-Context header ("ID/SPAN;o=1"), or a new one."""
    found = _TRACE_ID.match(trace_context or "")
    return found[0] if found else uuid.uuid4().hex


@contextlib.contextmanager
def traced(trace: str, project: str | None) -> Iterator[None]:
    """Inside it, every event carries the trace and the fields that `carry` adds."""
    token = _CARRIED.set({TRACE_FIELD: f"projects/{project}/traces/{trace}" if project else trace})
    try:
        yield
    finally:
        _CARRIED.reset(token)


def carry(**fields: Any) -> None:
    """Adds these fields to every later event of this request."""
    _CARRIED.set({**_CARRIED.get(), **fields})


def info(event: str, **fields: Any) -> None:
    """Logs a change of state."""
    _write("INFO", event, fields)


def warn(event: str, **fields: Any) -> None:
    """Logs what an operator may want to look at."""
    _write("WARNING", event, fields)


def error(event: str, **fields: Any) -> None:
    """Logs what an operator has to act on."""
    _write("ERROR", event, fields)


def places(error: BaseException | None) -> list[str]:
    """The type of an exception and of each cause, and the lines of code they passed; never a message."""
    found = []
    for each in chain(error):
        frames = traceback.extract_tb(each.__traceback__)
        found.append(f"{type(each).__name__}: " + " > ".join(f"{f.filename}:{f.lineno} {f.name}" for f in frames))
    return found


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes, at most MAX_CAUSES: `raise error from error` makes an endless chain."""
    for _ in range(MAX_CAUSES):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _write(severity: str, event: str, fields: Mapping[str, Any]) -> None:
    """Writes one line of JSON for Cloud Logging and for people: the event first, then its fields, no empty ones.

    https://cloud.google.com/run/docs/logging#writing_structured_logs
    """
    # `fields` come first for their place in the line, and last so that they win over carried ones.
    named = {"message": event, **fields, "severity": severity, **_CARRIED.get(), **fields}
    entry = {name: value for name, value in named.items() if value not in (None, "", [], {}, ())}
    # A failed log line must not turn a successful commit into an error.
    with contextlib.suppress(OSError, ValueError):
        print(json.dumps(entry, default=str), file=sys.stderr if severity == "ERROR" else sys.stdout, flush=True)
