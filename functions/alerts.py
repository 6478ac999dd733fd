"""Tells people of a report's critical findings: one error event each in the log, and a webhook."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import logs

TIMEOUT_SECONDS = 10.0
TOTAL_SECONDS = 45.0
RETRIES = 3

Post = Callable[[str, Mapping[str, Any]], None]


def announce(report_id: str, findings: list[Mapping[str, Any]], webhook_url: str, post: Post) -> None:
    """Logs each critical finding and posts them together; a webhook that fails is logged and otherwise ignored."""
    critical = [finding for finding in findings if finding["severity"] == "critical"]
    for finding in critical:
        logs.error("report anomaly", reportId=report_id, finding=dict(finding))
    if critical and webhook_url:
        _post_softly(report_id, critical, webhook_url, post)


def post_json(url: str, payload: Mapping[str, Any]) -> None:
    """Posts JSON, trying again where the other side is away or answers 429 or 5xx; reads no more than the status.

    Raises:
        Exception: it did not arrive, or the answer was no 2xx.
    """
    # Only a report with critical findings needs them, so no other function's cold start pays for them.
    import requests  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415
    from urllib3.util.retry import Retry  # noqa: PLC0415

    retry = Retry(
        RETRIES,
        backoff_factor=0.5,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
        # An hour's wait, politely asked for, would outlast the function.
        respect_retry_after_header=False,
    )
    with requests.Session() as session:
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        options: dict[str, Any] = {"timeout": TIMEOUT_SECONDS, "allow_redirects": False, "stream": True}
        with session.post(url, json=payload, **options) as answer:
            if not answer.ok or answer.is_redirect or answer.status_code >= 300:
                raise requests.HTTPError(f"status {answer.status_code}")


def _post_softly(report_id: str, critical: list[Mapping[str, Any]], webhook_url: str, post: Post) -> None:
    """The report stands; its alert must neither fail nor hold up what would then make the scheduler repeat it."""
    problems = ["no answer in time"]

    def send() -> None:
        try:
            post(webhook_url, {"reportId": report_id, "anomalies": [dict(finding) for finding in critical]})
            problems.clear()
        # The boundary to somebody else's server, and to the libraries that parse its address.
        except Exception as error:  # noqa: BLE001
            problems[0] = type(error).__name__

    # A thread, since a server that drips its answer byte by byte passes every time-out between two bytes.
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    thread.join(TOTAL_SECONDS)
    if problems:
        logs.error("webhook failed", reportId=report_id, problem=problems[0])
