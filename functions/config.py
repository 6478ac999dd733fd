"""Every setting, declared once as a Firebase parameter, read from the environment and checked at start.

Firebase's convention: https://firebase.google.com/docs/functions/config-env. Values live in functions/.env (all
projects) and functions/.env.<project>; the README's table lists them.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from firebase_functions.params import BoolParam, IntParam, Param, StringParam

# StringParam where a fraction is allowed: the CLI does not know FloatParam.
AI_FAILURE_RATE = StringParam("AI_FAILURE_RATE", default="0.05", description="Share of generations that fail, 0 to 1")
CATALOG_TTL_SECONDS = StringParam("CATALOG_TTL_SECONDS", default="60", description="How long the catalog is cached")
RESERVATION_LEASE_SECONDS = IntParam(
    "RESERVATION_LEASE_SECONDS", default=600, description="After this long a pending reservation may be refunded"
)
REQUIRE_AUTH = BoolParam("REQUIRE_AUTH", default=True, description="Callers need a Firebase ID token")
REQUIRE_APP_CHECK = BoolParam("REQUIRE_APP_CHECK", default=False, description="Callers need an App Check token too")
SIGNUP_CREDITS = IntParam(
    "SIGNUP_CREDITS", default=0, description="Credits of a new user at the first call; 0 for none"
)
MAX_PENDING_PER_USER = IntParam(
    "MAX_PENDING_PER_USER", default=5, description="Generations of a user in flight at once"
)
ALLOWED_ORIGINS = StringParam(
    "ALLOWED_ORIGINS", default="", description="Origins whose pages may call, separated by commas; or nothing"
)
REGION = StringParam("REGION", default="us-central1", description="Region that the functions are deployed to")
MEMORY_MB = IntParam("MEMORY_MB", default=512, description="Memory of an instance, in MiB")
TIMEOUT_SECONDS = IntParam("TIMEOUT_SECONDS", default=60, description="Time-out of an HTTP function")
MIN_INSTANCES = IntParam("MIN_INSTANCES", default=0, description="Instances kept warm, per function")
MAX_INSTANCES = IntParam("MAX_INSTANCES", default=20, description="Most instances, per function")
# The server reads the same variable, so concurrency and threads cannot disagree.
THREADS = IntParam("THREADS", default=16, description="Requests that an instance serves at once, one thread each")
REPORT_WEBHOOK_URL = StringParam(
    "REPORT_WEBHOOK_URL", default="", description="Where a report's critical findings are posted, as JSON; or nothing"
)

# What makes a finding in a weekly report, by the name that anomalies.Thresholds gives it: default, form, meaning.
_THRESHOLDS = {
    "minimum_samples": ("11", "count", "fewer requests than this are not judged"),
    "significance_level": ("0.015", "share", "chance of a false finding within a family of tests"),
    "failure_rate_rise_minimum": ("0.015", "share", "a smaller rise of a failure rate is no finding"),
    "failure_rate_rise_factor": ("1.2", "factor", "nor is a rise by less than this ratio"),
    "failure_rate_floor": ("0.2", "share", "a rise beyond this rate, and by the factor below, is critical"),
    "failure_rate_factor": ("2", "factor", "see the floor above"),
    "failure_rate_alarming": ("0.5", "share", "with nothing to compare with, this failure rate is critical"),
    "success_rate_drop_factor": ("0.5", "share", "a success rate at most this share of the earlier one is critical"),
    "volume_spike_factor": ("3", "factor", "this many times the week before is a spike"),
    "volume_drop_factor": ("0.5", "share", "at most this share of the week before is a drop"),
    "volume_variation": ("0.2", "share", "a volume within this share of the usual one is ordinary"),
    "volume_change_minimum": ("0.3", "share", "a volume nearer than this share to the usual one is no finding"),
    "robust_score_limit": ("3", "factor", "a score beyond this is no chance"),
    "robust_score_weeks": ("6", "count", "with this many weeks of history, their own spread is the measure"),
    "slow_generation_factor": ("2", "factor", "this many times the usual generation time is slow"),
}
_FORMS: dict[str, tuple[type[int] | type[float], str, Callable[[float], bool]]] = {
    "count": (int, "an integer from 1 to 1000000", lambda value: 1 <= value <= 1_000_000),
    "share": (float, "a number above 0 and below 1", lambda value: 0 < value < 1),
    "factor": (float, "a number above 1, at most 1000", lambda value: 1 < value <= 1000),
}
ANOMALY_PARAMS = {
    name: StringParam(f"ANOMALY_{name.upper()}", default=default, description=meaning)
    for name, (default, _, meaning) in _THRESHOLDS.items()
}

PARAMS: tuple[Param[Any], ...] = (
    AI_FAILURE_RATE,
    CATALOG_TTL_SECONDS,
    RESERVATION_LEASE_SECONDS,
    REQUIRE_AUTH,
    REQUIRE_APP_CHECK,
    SIGNUP_CREDITS,
    MAX_PENDING_PER_USER,
    ALLOWED_ORIGINS,
    REGION,
    MEMORY_MB,
    TIMEOUT_SECONDS,
    MIN_INSTANCES,
    MAX_INSTANCES,
    THREADS,
    REPORT_WEBHOOK_URL,
    *ANOMALY_PARAMS.values(),
)
_N = TypeVar("_N", int, float)

FIRESTORE_HOST, AUTH_HOST = "FIRESTORE_EMULATOR_HOST", "FIREBASE_AUTH_EMULATOR_HOST"
# The Emulator UI's, which may call whatever runs beside it.
LOCAL_ORIGINS = ("http://127.0.0.1:4000", "http://localhost:4000")
_ORIGIN = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?"
MAX_SIGNUP_CREDITS = 1_000_000

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
    require_auth: bool
    require_app_check: bool
    signup_credits: int
    max_pending_per_user: int
    allowed_origins: Sequence[str]
    report_webhook_url: str
    anomaly_thresholds: Mapping[str, Any]


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
    require_auth, require_app_check = reader.switch(REQUIRE_AUTH), reader.switch(REQUIRE_APP_CHECK)
    signup = reader.number(
        SIGNUP_CREDITS,
        int,
        f"an integer from 0 to {MAX_SIGNUP_CREDITS}",
        lambda value: 0 <= value <= MAX_SIGNUP_CREDITS,
    )
    most_pending = reader.number(
        MAX_PENDING_PER_USER, int, "an integer from 1 to 1000", lambda value: 1 <= value <= 1000
    )
    origins = reader.matching(
        ALLOWED_ORIGINS, rf"(|{_ORIGIN}(,{_ORIGIN})*)", "empty or origins like https://example.com, separated by commas"
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
    region = reader.matching(REGION, r"\S+", "a region's name")
    webhook = reader.matching(REPORT_WEBHOOK_URL, r"(https?://\S+)?", "empty or an address that begins with https://")
    thresholds = {name: reader.number(param, *_FORMS[_THRESHOLDS[name][1]]) for name, param in ANOMALY_PARAMS.items()}
    reader.add(_identity_problems(require_auth, environ))
    reader.raise_problems()
    return Settings(
        project=environ.get("GOOGLE_CLOUD_PROJECT") or environ.get("GCLOUD_PROJECT") or None,
        region=region,
        timeout_seconds=timeout,
        ai_failure_rate=rate,
        catalog_ttl_seconds=ttl,
        reservation_lease_seconds=lease,
        require_auth=require_auth,
        require_app_check=require_app_check,
        signup_credits=signup,
        max_pending_per_user=most_pending,
        allowed_origins=[*filter(None, origins.split(",")), *(LOCAL_ORIGINS if environ.get(FIRESTORE_HOST) else ())],
        report_webhook_url=webhook,
        anomaly_thresholds=thresholds,
    )


def _identity_problems(require_auth: bool, environ: Mapping[str, str]) -> Iterator[str]:
    """What would open a real project's books to strangers; an emulator's hold nothing of value."""
    for name in (FIRESTORE_HOST, AUTH_HOST):
        if "/" in environ.get(name, ""):
            yield f"{name} must be a host and a port, like 127.0.0.1:9099, not {environ[name]!r}"
    if environ.get(FIRESTORE_HOST):
        return
    if not require_auth:
        yield (
            "REQUIRE_AUTH must be true outside the emulator: without it anybody spends anybody's credits "
            f"({FIRESTORE_HOST} is not set, so the books are real)"
        )
    if environ.get(AUTH_HOST):
        yield (
            f"{AUTH_HOST} must not be set without {FIRESTORE_HOST}: "
            "the Auth emulator's tokens are unsigned, and anybody can make one"
        )


class _Reader:
    """Reads values by parameter and remembers every problem, so that one start reports them all."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []

    def switch(self, param: BoolParam) -> bool:
        # The CLI's own words for its boolean parameters.
        return self.matching(param, "true|false", "true or false") == "true"

    def add(self, problems: Iterable[str]) -> None:
        self._problems.extend(problems)

    def matching(self, param: Param[Any], pattern: str, expected: str) -> str:
        raw = self._raw(param)
        if not re.fullmatch(pattern, raw):
            self._problems.append(f"{param.name} must be {expected}, not {raw!r}")
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
        return self._environ.get(param.name, written(param.default))


def written(default: Any) -> str:
    """A parameter's default as .env files write it."""
    return str(default).lower() if isinstance(default, bool) else str(default)
