"""Tells people of a report's critical findings: one error event each in the log, and one post to a webhook."""

import html
import threading
from collections.abc import Callable, Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

import logs
from reporting.findings import Finding

TIMEOUT_SECONDS = 10.0
TOTAL_SECONDS = 45.0
# The receiver may ask for an hour's wait, which would outlast the function.
_RETRY = Retry(
    3,
    backoff_factor=0.5,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
    respect_retry_after_header=False,
)

# Sends JSON to a URL; what went wrong, if anything did.
Post = Callable[[str, Mapping[str, Any]], str | None]


def announce(report_id: str, alerts: Mapping[str, Finding], webhook_url: str, post: Post) -> bool:
    """Logs each finding under its alert's id and posts them together; whether everything arrived.

    A webhook that fails is logged and otherwise ignored. Its URL is a credential and is never logged.
    """
    anomalies = [{"id": alert_id, **finding.to_fields()} for alert_id, finding in alerts.items()]
    for anomaly in anomalies:
        logs.error("report anomaly", reportId=report_id, id=anomaly["id"], finding=anomaly)
    lines = [f"Weekly report {report_id}: {len(anomalies)} critical.", *(f"- {each['message']}" for each in anomalies)]
    # In Slack a category's name could mention people: https://api.slack.com/reference/surfaces/formatting#escaping
    text = html.escape("\n".join(lines), quote=False)
    payload = {"text": text, "reportId": report_id, "anomalies": anomalies}
    problem = _problem_of(lambda: post(webhook_url, payload)) if webhook_url else None
    if problem:
        logs.error("webhook failed", reportId=report_id, problem=problem)
    return problem is None


def post_json(url: str, payload: Mapping[str, Any]) -> str | None:
    """Posts JSON, again if the receiver is away or answers 429 or 5xx. Any status but success is a problem."""
    with requests.Session() as session:
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=_RETRY))
        options: dict[str, Any] = {"timeout": TIMEOUT_SECONDS, "allow_redirects": False, "stream": True}
        with session.post(url, json=payload, **options) as answer:
            kind = "redirect" if answer.is_redirect else "status"
            return None if 200 <= answer.status_code < 300 else f"{kind} {answer.status_code}"


def _problem_of(send: Callable[[], str | None]) -> str | None:
    """What went wrong, if anything did. The report is stored: its alert must neither fail nor block the function."""
    problem: str | None = "no answer in time"

    def attempt() -> None:
        nonlocal problem
        try:
            problem = send()
        # The boundary to somebody else's server, and to libraries whose messages quote the URL.
        except Exception as error:  # noqa: BLE001
            problem = type(error).__name__

    # A thread, since a server that sends its answer byte by byte passes every time-out between two bytes.
    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(TOTAL_SECONDS)
    return problem
