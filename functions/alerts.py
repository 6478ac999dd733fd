"""Tells people of a report's critical findings: one error event each in the log, and a webhook."""

from collections.abc import Callable, Mapping
from typing import Any

from firebase_functions import logger

TIMEOUT_SECONDS = 10.0
RETRIES = 3

Post = Callable[[str, Mapping[str, Any]], None]


def announce(report_id: str, findings: list[Mapping[str, Any]], webhook_url: str, post: Post) -> None:
    """Logs each critical finding and posts them together; a webhook that fails is logged and otherwise ignored."""
    critical = [finding for finding in findings if finding["severity"] == "critical"]
    for finding in critical:
        logger.error("report anomaly", reportId=report_id, finding=dict(finding))
    if critical and webhook_url:
        _post_softly(report_id, critical, webhook_url, post)


def post_json(url: str, payload: Mapping[str, Any]) -> None:
    """Posts JSON, trying again where the other side is away or answers 429 or 5xx.

    Raises:
        requests.RequestException: it did not arrive.
    """
    # Only a report with critical findings needs them, so no other function's cold start pays for them.
    import requests  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415
    from urllib3.util.retry import Retry  # noqa: PLC0415

    retry = Retry(RETRIES, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None)
    with requests.Session() as session:
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        session.post(url, json=payload, timeout=TIMEOUT_SECONDS).raise_for_status()


def _post_softly(report_id: str, critical: list[Mapping[str, Any]], webhook_url: str, post: Post) -> None:
    try:
        post(webhook_url, {"reportId": report_id, "anomalies": [dict(finding) for finding in critical]})
    # requests' errors are OSErrors. The report stands; its alert must not make the scheduler repeat it.
    except OSError as error:
        logger.error("webhook failed", reportId=report_id, problem=type(error).__name__)
