"""Alerts of critical findings: logged, and posted to a webhook that must not do harm."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from reporting import alerts
from reporting.findings import Finding

ALERTS = {"r1-x": Finding("outage", "No requests at all.", "critical")}


def test_the_payload_has_the_findings_and_a_text() -> None:
    """For receivers that show nothing else; a name in it cannot mention anybody."""
    posted: list[tuple[str, Mapping[str, Any]]] = []
    finding = Finding("new", "Style '<!channel>' & more.", "critical", "style", "<!channel>")

    def post(url: str, payload: Mapping[str, Any]) -> None:
        posted.append((url, payload))

    assert alerts.announce("r1", {**ALERTS, "r1-y": finding}, "https://x", post)
    ((url, payload),) = posted
    assert (url, payload["reportId"]) == ("https://x", "r1")
    assert payload["anomalies"] == [
        {"id": "r1-x", **ALERTS["r1-x"].to_fields()},
        {"id": "r1-y", **finding.to_fields()},
    ]
    assert payload["text"] == (
        "Weekly report r1: 2 critical.\n- No requests at all.\n- Style '&lt;!channel&gt;' &amp; more."
    )


def test_without_a_webhook_nothing_is_posted(capsys: pytest.CaptureFixture[str]) -> None:
    """The log has the findings."""

    def post(url: str, payload: Mapping[str, Any]) -> None:
        raise AssertionError

    assert alerts.announce("r1", ALERTS, "", post)
    assert capsys.readouterr().err.count("report anomaly") == 1


def test_a_webhook_that_never_ends_is_given_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report goes on after the time that an alert may take in all."""
    monkeypatch.setattr(alerts, "TOTAL_SECONDS", 0.01)
    ended = threading.Event()

    def post(url: str, payload: Mapping[str, Any]) -> None:
        ended.wait(10)

    assert not alerts.announce("r1", ALERTS, "https://x", post)
    ended.set()
    assert "no answer in time" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url", ["http://a..b/s3cret", f"http://{'a' * 300}.example/s3cret", "http://127.0.0.1:9/s3cret", "http://[/s3cret"]
)
def test_an_address_that_cannot_be_reached_fails_softly(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line in the log, which does not quote the address: it is a credential."""
    monkeypatch.setattr(alerts, "_RETRY", alerts._RETRY.new(total=0))
    assert not alerts.announce("r1", ALERTS, url, alerts.post_json)
    log = capsys.readouterr()
    assert log.err.count("webhook failed") == 1
    assert "s3cret" not in log.err + log.out


@contextmanager
def answering(status: int, headers: Mapping[str, str]) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/s3cret"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "headers", "problem"),
    [
        (200, {}, None),
        (204, {}, None),
        (302, {"Location": "/"}, "redirect 302"),
        (404, {}, "status 404"),
        (304, {}, "status 304"),
        (503, {"Retry-After": "3600"}, "status 503"),
    ],
)
def test_only_success_is_an_arrival(
    status: int,
    headers: Mapping[str, str],
    problem: str | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The log names the status. A redirect is not followed, and no hour is waited because the receiver asks for it."""
    monkeypatch.setattr(alerts, "_RETRY", alerts._RETRY.new(backoff_factor=0))
    with answering(status, headers) as url:
        assert alerts.announce("r1", ALERTS, url, alerts.post_json) == (problem is None)
    log = capsys.readouterr().err
    assert ("webhook failed" in log) == (problem is not None)
    assert problem is None or f'"problem": "{problem}"' in log
    assert "s3cret" not in log
