"""HTTP clients as cheap as Python has them, since they share the machine with what they measure; and percentiles."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, TypeVar

# More than any retry budget of the server, so a client that waits this long has met a hang.
ANSWER_TIMEOUT_SECONDS = 65.0
# Below the 2 s after which gunicorn closes an idle connection: one that is closed looks like a crash.
REUSE_WITHIN_SECONDS = 1.0
LOST = (OSError, HTTPException)

T = TypeVar("T")


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and in brackets the least and the greatest."""
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; `body` is empty if it was not a JSON object."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    latency_seconds: float

    @property
    def error(self) -> Mapping[str, Any]:
        error = self.body.get("error")
        return error if isinstance(error, dict) else {}

    @property
    def details(self) -> Mapping[str, Any]:
        details = self.error.get("details")
        return details if isinstance(details, dict) else {}

    @property
    def kind(self) -> str:
        """Status and reason, as the contract's table names them."""
        name = self.details.get("reason") or self.error.get("status")
        return f"{self.status} {name}" if name else str(self.status)


class Client:
    """One client of one server, with its connection kept alive; for one thread."""

    def __init__(self, port: int) -> None:
        self._http = HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_SECONDS)
        self._used_at = 0.0

    def post(self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
        """Sends JSON; raises one of LOST if no whole answer came."""
        return self._send("POST", "/", json.dumps(body), {"Content-Type": "application/json", **(headers or {})})

    def get(self, path: str) -> Answer:
        """Raises one of LOST if no whole answer came."""
        return self._send("GET", path, None, {})

    def close(self) -> None:
        self._http.close()

    def _send(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        if time.monotonic() - self._used_at > REUSE_WITHIN_SECONDS:
            self._http.close()
        started = time.perf_counter()
        try:
            self._http.request(method, path, body, dict(headers))
            response = self._http.getresponse()
            raw = response.read()
        except LOST:
            self._http.close()
            raise
        latency_seconds = time.perf_counter() - started
        self._used_at = time.monotonic()
        return Answer(response.status, _json_object(raw), dict(response.headers), latency_seconds)


def image_order(user_id: str, size: str = "512x512") -> dict[str, str]:
    """A valid body for createGenerationRequest."""
    return {"userId": user_id, "model": "model-a", "style": "anime", "color": "neon", "size": size}


def at_once(count: int, work: Callable[[int], T]) -> list[T]:
    """Runs `work` in so many threads, with the number of each, and gives what they return."""
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(work, range(count)))


def percentile_ms(latencies_seconds: Sequence[float], percent: int) -> float:
    """Interpolated percentile from 1 to 99, in milliseconds; NaN if there are fewer than two values."""
    if len(latencies_seconds) < 2:
        return float("nan")
    return statistics.quantiles(latencies_seconds, n=100, method="inclusive")[percent - 1] * 1000


def _json_object(raw: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
