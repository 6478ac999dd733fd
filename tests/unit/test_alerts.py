"""Alerts of critical findings: logged, and posted softly."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

import alerts

CRITICAL = {"severity": "critical", "message": "Outage."}
WARNING = {"severity": "warning", "message": "Hm."}


def test_only_what_is_critical_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    """One error event for each critical finding, one post for all, and none where there is nothing."""
    posted: list[Mapping[str, Any]] = []
    alerts.announce("r1", [CRITICAL, WARNING], "http://x", lambda url, payload: posted.append(payload))
    alerts.announce("r2", [WARNING], "http://x", lambda url, payload: posted.append(payload))
    assert posted == [{"reportId": "r1", "anomalies": [CRITICAL]}]
    assert capsys.readouterr().err.count("report anomaly") == 1


def test_a_webhook_that_never_ends_is_given_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report goes on after the time that an alert may take in all."""
    monkeypatch.setattr(alerts, "TOTAL_SECONDS", 0.01)
    ended = threading.Event()

    def post(url: str, payload: Mapping[str, Any]) -> None:
        ended.wait(10)

    alerts.announce("r1", [CRITICAL], "http://x", post)
    ended.set()
    assert "no answer in time" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://a..b/", f"http://{'a' * 300}.example/", "http://127.0.0.1:9/", "http://[/"])
def test_an_address_that_is_none_fails_softly(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the libraries raise for it is one line in the log."""
    # The first retry comes at once, the next ones after seconds.
    monkeypatch.setattr(alerts, "RETRIES", 1)
    alerts.announce("r1", [CRITICAL], url, alerts.post_json)
    assert capsys.readouterr().err.count("webhook failed") == 1


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
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "headers", "arrives"),
    [(200, {}, True), (204, {}, True), (302, {"Location": "/"}, False), (404, {}, False), (304, {}, False)],
)
def test_only_a_2xx_is_an_arrival(
    status: int, headers: Mapping[str, str], arrives: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A redirect is not followed, since it would turn the post into a get."""
    with answering(status, headers) as url:
        alerts.announce("r1", [CRITICAL], url, alerts.post_json)
    assert ("webhook failed" not in capsys.readouterr().err) == arrives


def test_a_wait_of_an_hour_is_not_waited(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry-After is the other side's wish, not ours."""
    monkeypatch.setattr(alerts, "RETRIES", 1)
    with answering(503, {"Retry-After": "3600"}) as url:
        alerts.announce("r1", [CRITICAL], url, alerts.post_json)
    assert "webhook failed" in capsys.readouterr().err
