"""The boundary: what comes back of a handler that fails, and what the log keeps of it."""

import io
import json
import time
from typing import Any

import pytest
from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from auth import Gate
from endpoint import Boundary, Route, ScheduledRunFailed
from handlers import Call, Reply
from identities import Known

SECRET = "a prompt and a token"
BOUNDARY = Boundary(
    Gate(Known(ann={"uid": "ann"}), require_auth=True, require_app_check=False), [], "demo-x", time.monotonic
)


def request(trace: str = "") -> Request:
    headers = {"Authorization": "Bearer ann", **({"X-Cloud-Trace-Context": trace} if trace else {})}
    return Request(EnvironBuilder(method="GET", headers=Headers(headers)).get_environ())


def failing(call: Call) -> Reply:
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        raise KeyError(SECRET) from error


def test_what_was_not_foreseen_is_found_by_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, with the answer's errorId, the trace, and where it happened; the exception's words are nowhere."""
    response = BOUNDARY.serve(request("abc123/1;o=1"), Route({"GET": failing}))
    error: dict[str, Any] = json.loads(response.get_data())["error"]
    assert (response.status_code, error["message"], set(error["details"])) == (500, "Internal error.", {"errorId"})
    [line] = capsys.readouterr().err.splitlines()
    logged = json.loads(line)
    assert logged["errorId"] == error["details"]["errorId"]
    assert logged["logging.googleapis.com/trace"] == "projects/demo-x/traces/abc123"
    assert logged["places"][0].startswith("KeyError: ")
    assert logged["places"][1].startswith("ValueError: ")
    assert all("failing" in place for place in logged["places"])
    assert SECRET not in line


def test_a_body_that_nobody_reads_is_discarded() -> None:
    """A stranger's is read to its end, so that the answer arrives, and nothing of it is kept in memory."""
    body = io.BytesIO(b"x" * 1_000_000)
    stranger = Request(EnvironBuilder(method="POST", input_stream=body, content_length=1_000_000).get_environ())
    response = BOUNDARY.serve(stranger, Route({"POST": failing}, reads_body=True))
    assert response.status_code == 401
    assert body.read() == b""
    assert stranger.get_data() == b""


@pytest.mark.parametrize("trace", ["", "/1", "ü", '"}', "\n"])
def test_a_trace_that_is_none_is_replaced(trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the header holds, the line is one line of JSON with a trace in it."""
    BOUNDARY.serve(request(trace.strip()), Route({"GET": failing}))
    [line] = capsys.readouterr().err.splitlines()
    assert len(json.loads(line)["logging.googleapis.com/trace"]) == len("projects/demo-x/traces/") + 32


def test_a_scheduled_run_fails_without_the_words_of_its_cause(capsys: pytest.CaptureFixture[str]) -> None:
    """The scheduler sees the failure; the log has the place."""

    def run() -> None:
        raise KeyError(SECRET)

    with pytest.raises(ScheduledRunFailed) as caught:
        BOUNDARY.run_scheduled(request(), run)
    assert caught.value.__suppress_context__
    said = capsys.readouterr().err
    assert "KeyError" in said
    assert SECRET not in said
