"""Structured events with the trace of their request."""

import contextlib
import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import logs


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    return [json.loads(line) for line in (out + err).splitlines()]


def test_an_event_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With its severity and its fields."""
    logs.info("made", number=1)
    logs.warn("odd", number=2)
    logs.error("broken", number=3)
    found = [(line["severity"], line["message"], line["number"]) for line in logged(capsys)]
    assert found == [("INFO", "made", 1), ("WARNING", "odd", 2), ("ERROR", "broken", 3)]


def test_an_event_carries_its_trace_and_what_was_added(capsys: pytest.CaptureFixture[str]) -> None:
    """Until the request ends; then it is as before."""
    logs.info("outside")
    with logs.traced("abc", "demo-x"):
        logs.info("first")
        logs.carry(generationRequestId="r1")
        logs.info("second")
    logs.info("outside")
    before, first, second, after = logged(capsys)
    assert first[logs.TRACE_FIELD] == second[logs.TRACE_FIELD] == "projects/demo-x/traces/abc"
    assert "generationRequestId" not in first
    assert second["generationRequestId"] == "r1"
    assert after == before


def test_requests_side_by_side_do_not_share_their_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """Each thread has its own trace."""

    def work(number: int) -> None:
        with logs.traced(f"trace{number}", None):
            logs.carry(number=number)
            logs.info("worked")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(100)))
    found = logged(capsys)
    assert len(found) == 100
    assert all(line[logs.TRACE_FIELD] == f"trace{line['number']}" for line in found)


@pytest.mark.parametrize(
    ("header", "expected"), [("abc123/1;o=1", "abc123"), ("abc-123", "abc-123"), ("a" * 100, "a" * 64)]
)
def test_the_trace_is_the_headers(header: str, expected: str) -> None:
    """Up to the slash, and no longer than a trace may be."""
    assert logs.trace_id(header) == expected


@pytest.mark.parametrize("header", [None, "", "/1", "ü", '"}', "\n"])
def test_a_trace_that_is_not_one_is_replaced(header: str | None) -> None:
    """By a new one each time."""
    first, second = logs.trace_id(header), logs.trace_id(header)
    assert first != second
    assert len(first) == 32


def test_places_tell_types_and_lines_without_messages() -> None:
    """For the exception and each of its causes; what was suppressed is left out."""
    try:
        try:
            raise ValueError("a prompt")
        except ValueError as error:
            raise KeyError("a token") from error
    except KeyError as error:
        places = logs.places(error)
    assert [place.partition(":")[0] for place in places] == ["KeyError", "ValueError"]
    assert all("test_logs.py" in place for place in places)
    assert not any("prompt" in place or "token" in place for place in places)
    try:
        try:
            raise ValueError("a prompt")
        except ValueError:
            raise KeyError("a token") from None
    except KeyError as error:
        places = logs.places(error)
    assert len(places) == 1
    assert logs.places(None) == []


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("closed file")])
def test_a_log_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A commit that stands must not become an error."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise error

    monkeypatch.setattr(sys, "stdout", Gone())
    logs.info("made")


def test_every_value_can_be_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """Line breaks and odd characters stay within the one line; what is not JSON is written as a text."""
    logs.info("made", text="a\nb\ud800", moment=datetime(2026, 3, 2, tzinfo=UTC))
    [line] = logged(capsys)
    assert (line["text"], line["moment"]) == ("a\nb\ud800", "2026-03-02 00:00:00+00:00")


def test_a_chain_of_causes_without_an_end_is_cut() -> None:
    """`raise error from error` must not fill the memory of an instance."""
    error = ValueError()
    error.__cause__ = error
    assert list(logs.chain(error)) == [error] * logs.MAX_CAUSES
    assert len(logs.places(error)) == logs.MAX_CAUSES


def test_an_events_own_field_is_not_replaced_by_a_carried_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A sweep names the request that it refunds, and not the one that a caller asked for."""
    with logs.traced("t", None):
        logs.carry(generationRequestId="asked for")
        logs.info("credits refunded", generationRequestId="another")
    assert json.loads(capsys.readouterr().out)["generationRequestId"] == "another"


def test_people_read_the_event_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Then what it is about; the severity and the long trace come last."""
    with logs.traced("t", "demo-x"):
        logs.carry(generationRequestId="r1")
        logs.info("report made", reportId="report_2026-03-09", anomalies=0)
    names = [*logged(capsys)[0]]
    assert names == ["message", "reportId", "anomalies", "severity", logs.TRACE_FIELD, "generationRequestId"]


@given(
    fields=st.dictionaries(st.sampled_from("abcde"), st.sampled_from([None, "", [], {}, (), 0, 0.0, False, "x", [0]]))
)
def test_no_line_has_anything_empty(fields: dict[str, Any]) -> None:
    """Whoever logs it: no null, no empty text or list; a zero and a false are values."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), logs.traced("t", None):
        logs.carry(**fields)
        logs.info("event", **fields)
    line = json.loads(out.getvalue())
    assert all(value not in (None, "", [], {}) for value in line.values())
    assert {name: fields[name] for name in fields if fields[name] or fields[name] in (0, False)} == {
        name: value for name, value in line.items() if name in fields
    }
