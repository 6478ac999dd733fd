"""Every setting, declared once as a Firebase parameter, read from the environment and checked at start.

Firebase's convention: https://firebase.google.com/docs/functions/config-env. Values live in functions/.env (all
projects) and functions/.env.<project>; the README's table lists them.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from firebase_functions.params import IntParam, Param, StringParam

# StringParam where a fraction is allowed: the CLI does not know FloatParam.
AI_FAILURE_RATE = StringParam("AI_FAILURE_RATE", default="0.05", description="Share of generations that fail, 0 to 1")
CATALOG_TTL_SECONDS = StringParam("CATALOG_TTL_SECONDS", default="60", description="How long the catalog is cached")
RESERVATION_LEASE_SECONDS = IntParam(
    "RESERVATION_LEASE_SECONDS", default=600, description="After this long a pending reservation may be refunded"
)
REGION = StringParam("REGION", default="us-central1", description="Region that the functions are deployed to")
MEMORY_MB = IntParam("MEMORY_MB", default=512, description="Memory of an instance, in MiB")
TIMEOUT_SECONDS = IntParam("TIMEOUT_SECONDS", default=60, description="Time-out of an HTTP function")
MIN_INSTANCES = IntParam("MIN_INSTANCES", default=0, description="Instances kept warm, per function")
MAX_INSTANCES = IntParam("MAX_INSTANCES", default=20, description="Most instances, per function")
# The server reads the same variable, so concurrency and threads cannot disagree.
THREADS = IntParam("THREADS", default=16, description="Requests that an instance serves at once, one thread each")

PARAMS: tuple[Param[Any], ...] = (
    AI_FAILURE_RATE,
    CATALOG_TTL_SECONDS,
    RESERVATION_LEASE_SECONDS,
    REGION,
    MEMORY_MB,
    TIMEOUT_SECONDS,
    MIN_INSTANCES,
    MAX_INSTANCES,
    THREADS,
)
_N = TypeVar("_N", int, float)

# As the Firebase CLI accepts them, up to what one CPU allows:
# https://cloud.google.com/run/docs/configuring/services/memory-limits
MEMORY_SIZES_MB = (256, 512, 1024, 2048, 4096)


class ConfigurationError(ValueError):
    """A setting is unusable; the message names every one that is, and what it may be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings that the code itself uses; the CLI resolves the rest from the same files."""

    project: str | None
    region: str
    timeout_seconds: int
    ai_failure_rate: float
    catalog_ttl_seconds: float
    reservation_lease_seconds: int


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Reads and checks every setting.

    Raises:
        ConfigurationError: at least one value is out of its range; names all of them.
    """
    reader = _Reader(environ)
    rate = reader.number(AI_FAILURE_RATE, float, "a number from 0 to 1", lambda value: 0 <= value <= 1)
    ttl = reader.number(CATALOG_TTL_SECONDS, float, "a number from 0 to 86400", lambda value: 0 <= value <= 86_400)
    timeout = reader.number(TIMEOUT_SECONDS, int, "an integer from 2 to 3600", lambda value: 2 <= value <= 3600)
    lease = reader.number(
        RESERVATION_LEASE_SECONDS,
        int,
        f"an integer above TIMEOUT_SECONDS ({timeout}) and at most 86400",
        lambda value: timeout < value <= 86_400,
    )
    reader.number(MEMORY_MB, int, f"one of {', '.join(map(str, MEMORY_SIZES_MB))}", lambda mb: mb in MEMORY_SIZES_MB)
    low = reader.number(MIN_INSTANCES, int, "an integer from 0 to 1000", lambda value: 0 <= value <= 1000)
    reader.number(
        MAX_INSTANCES,
        int,
        f"an integer from 1 to 1000, at least MIN_INSTANCES ({low})",
        lambda value: 1 <= value <= 1000 and value >= low,
    )
    reader.number(THREADS, int, "an integer from 1 to 1000", lambda value: 1 <= value <= 1000)
    region = reader.text(REGION)
    reader.raise_problems()
    return Settings(
        project=environ.get("GOOGLE_CLOUD_PROJECT") or environ.get("GCLOUD_PROJECT") or None,
        region=region,
        timeout_seconds=timeout,
        ai_failure_rate=rate,
        catalog_ttl_seconds=ttl,
        reservation_lease_seconds=lease,
    )


class _Reader:
    """Reads values by parameter and remembers every problem, so that one start reports them all."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []

    def text(self, param: Param[Any]) -> str:
        raw = self._raw(param)
        if not raw.strip():
            self._problems.append(f"{param.name} must not be empty")
        return raw

    def number(self, param: Param[Any], kind: type[_N], expected: str, accepts: Callable[[_N], bool]) -> _N:
        raw = self._raw(param)
        try:
            value = kind(raw)
        except ValueError:
            value = None
        # A NaN fails every comparison, so each range check refuses it.
        if value is None or not accepts(value):
            self._problems.append(f"{param.name} must be {expected}, not {raw!r}")
            return kind(0)
        return value

    def raise_problems(self) -> None:
        if self._problems:
            raise ConfigurationError("Invalid configuration: " + "; ".join(self._problems) + ".")

    def _raw(self, param: Param[Any]) -> str:
        return self._environ.get(param.name, str(param.default))
