"""Every setting, declared once as a Firebase parameter, read from the environment and checked at start.

Firebase's convention: https://firebase.google.com/docs/functions/config-env. Values live in functions/.env (all
projects) and functions/.env.<project>; docs/operations.md lists them.
"""

import base64
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from firebase_functions.params import BoolParam, IntParam, Param, SecretParam, StringParam

from setting_reader import SettingReader

# functions/.env has these defaults too, and wins: change both.
# StringParam for fractions: the CLI does not know FloatParam.
AI_FAILURE_RATE = StringParam("AI_FAILURE_RATE", default="0.05", description="Share of generations that fail, 0 to 1")
CATALOG_TTL_SECONDS = StringParam("CATALOG_TTL_SECONDS", default="60", description="How long the catalog is cached")
RESERVATION_LEASE_SECONDS = IntParam(
    "RESERVATION_LEASE_SECONDS", default=600, description="After this long a pending reservation may be refunded"
)
REQUIRE_AUTH = BoolParam("REQUIRE_AUTH", default=True, description="Callers need a Firebase ID token")
REQUIRE_APP_CHECK = BoolParam("REQUIRE_APP_CHECK", default=False, description="Callers need an App Check token too")
REVOCATION_CHECK_SECONDS = IntParam(
    "REVOCATION_CHECK_SECONDS", default=60, description="How long an account counts as not disabled; 0 asks each time"
)
SIGNUP_CREDITS = IntParam(
    "SIGNUP_CREDITS", default=0, description="Credits of a new user at the first call; 0 for none"
)
MAX_PENDING_PER_USER = IntParam(
    "MAX_PENDING_PER_USER", default=5, description="Generations of a user in flight at once"
)
MODEL_A = StringParam(
    "MODEL_A", default="simulated", description="What runs model-a: simulated, gemini:<model> or openai:<model>"
)
MODEL_B = StringParam("MODEL_B", default="simulated", description="What runs model-b: the same choices")
STORAGE_BUCKET = StringParam(
    "STORAGE_BUCKET", default="", description="Bucket that real models' pictures are kept in; or nothing: the project's"
)
API_BASE_URL = StringParam(
    "API_BASE_URL", default="", description="Public address of the functions, if it is not Google's own; or nothing"
)
COMPLETION_WEBHOOK_URL = StringParam(
    "COMPLETION_WEBHOOK_URL", default="", description="Where events are posted, signed with WEBHOOK_SECRET; or nothing"
)
ALLOWED_ORIGINS = StringParam(
    "ALLOWED_ORIGINS", default="", description="Origins whose pages may call, separated by commas; or nothing"
)
FIRESTORE_DATABASE = StringParam(
    "FIRESTORE_DATABASE", default="(default)", description="Name of the Firestore database; firebase.json names it too"
)
REGION = StringParam("REGION", default="us-central1", description="Region that the functions are deployed to")
MEMORY_MB = IntParam("MEMORY_MB", default=512, description="Memory of an instance, in MiB")
TIMEOUT_SECONDS = IntParam("TIMEOUT_SECONDS", default=60, description="Time-out of an HTTP function")
MIN_INSTANCES = IntParam("MIN_INSTANCES", default=0, description="Instances kept warm, per function")
MAX_INSTANCES = IntParam("MAX_INSTANCES", default=20, description="Maximum instances, per function")
# The server reads the same variable, so concurrency and threads cannot disagree.
THREADS = IntParam("THREADS", default=16, description="Requests that an instance serves at once, one thread each")
# A secret: anybody with the address can post to it. "none" is for a project without one.
REPORT_WEBHOOK_URL = SecretParam(
    "REPORT_WEBHOOK_URL", description="Where a report's critical findings are posted, as JSON; or none"
)

# The names of other secrets, which model_secrets and webhook_secrets declare for who needs them.
OPENAI_API_KEY, WEBHOOK_SECRET = "OPENAI_API_KEY", "WEBHOOK_SECRET"

# In the emulator secrets are settings like any other: the CLI would ask Secret Manager for them.
_HAS_SECRETS = os.environ.get("FUNCTIONS_EMULATOR") != "true"
# Images of asynchronous purchases that are made at once. The emulator starts a process for each.
MAX_WORKERS = 100 if _HAS_SECRETS else 8
REPORT_SECRETS = [REPORT_WEBHOOK_URL] if _HAS_SECRETS else []

PARAMS: tuple[Param[Any], ...] = (
    AI_FAILURE_RATE,
    CATALOG_TTL_SECONDS,
    RESERVATION_LEASE_SECONDS,
    REQUIRE_AUTH,
    REQUIRE_APP_CHECK,
    REVOCATION_CHECK_SECONDS,
    SIGNUP_CREDITS,
    MAX_PENDING_PER_USER,
    MODEL_A,
    MODEL_B,
    STORAGE_BUCKET,
    API_BASE_URL,
    COMPLETION_WEBHOOK_URL,
    ALLOWED_ORIGINS,
    FIRESTORE_DATABASE,
    REGION,
    MEMORY_MB,
    TIMEOUT_SECONDS,
    MIN_INSTANCES,
    MAX_INSTANCES,
    THREADS,
)
# What is on offer, and the setting of each.
MODELS = {"model-a": MODEL_A, "model-b": MODEL_B}

FIRESTORE_HOST, AUTH_HOST = "FIRESTORE_EMULATOR_HOST", "FIREBASE_AUTH_EMULATOR_HOST"
# An address, unlike the others.
STORAGE_URL = "STORAGE_EMULATOR_HOST"
TASKS_HOST = "CLOUD_TASKS_EMULATOR_HOST"
# The Emulator UI's pages may call the functions in the emulator.
LOCAL_ORIGINS = ("http://127.0.0.1:4000", "http://localhost:4000")
# https://cloud.google.com/firestore/docs/manage-databases#database_id
_DATABASE = r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]"
_MODEL_WORDS = "simulated, gemini:<model> or openai:<model>"
_MODEL = r"simulated|(gemini|openai):[a-z0-9][a-z0-9._-]{0,62}"
# https://cloud.google.com/storage/docs/buckets#naming
_BUCKET = r"([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])?"
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
MIN_WEBHOOK_SECRET_BYTES, MAX_WEBHOOK_SECRET_BYTES = 24, 64
_REGION = r"[a-z]+-[a-z]+[0-9]+"
MAX_SIGNUP_CREDITS = 1_000_000
# As many tokens are checked at once (identity.py), so that no request waits for another.
MAX_THREADS = 64
# Less leaves no room for a token, a model and a refund. An emulator may try it.
MIN_TIMEOUT_SECONDS, MIN_EMULATOR_TIMEOUT_SECONDS = 10, 2

# https://firebase.google.com/docs/functions/quotas#time_limits
MAX_WORKER_SECONDS = 1800

# As the Firebase CLI accepts them, up to what one CPU allows:
# https://cloud.google.com/run/docs/configuring/services/memory-limits
MEMORY_SIZES_MB = (256, 512, 1024, 2048, 4096)


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings that the code itself uses; the CLI resolves the rest from the same files."""

    project: str | None
    database: str
    region: str
    timeout_seconds: int
    has_tasks: bool
    ai_failure_rate: float
    catalog_ttl_seconds: float
    lease_seconds: int
    require_auth: bool
    require_app_check: bool
    revocation_check_seconds: int
    signup_credits: int
    max_pending_per_user: int
    models: Mapping[str, str]
    bucket: str
    storage_emulator_url: str
    api_base_url: str
    allowed_origins: Sequence[str]
    report_webhook_url: str = field(repr=False)
    completion_webhook_url: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    openai_api_key: str = field(repr=False)

    @property
    def worker_timeout_seconds(self) -> int:
        """How long the worker of an asynchronous purchase may run: two runs fit into the reservation's lease."""
        return max(1, min(MAX_WORKER_SECONDS, self.lease_seconds * 2 // 5))


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Reads and checks every setting.

    Raises:
        ConfigurationError: at least one value is out of its range; names all of them.
    """
    in_emulator = bool(environ.get(FIRESTORE_HOST))
    reader = SettingReader(environ, in_emulator)
    min_timeout_seconds = MIN_EMULATOR_TIMEOUT_SECONDS if in_emulator else MIN_TIMEOUT_SECONDS
    timeout_seconds = reader.integer(TIMEOUT_SECONDS, min_timeout_seconds, 3600)
    require_auth = reader.switch(REQUIRE_AUTH)
    project = environ.get("GOOGLE_CLOUD_PROJECT") or environ.get("GCLOUD_PROJECT") or None
    region = reader.matching(REGION, _REGION, "the name of a region, like europe-west1")
    settings = Settings(
        project=project,
        database=reader.matching(FIRESTORE_DATABASE, _DATABASE, "(default) or the name of a Firestore database"),
        region=region,
        timeout_seconds=timeout_seconds,
        # An emulator's order must not reach the queues of a real project.
        has_tasks=not in_emulator or bool(environ.get(TASKS_HOST)),
        ai_failure_rate=reader.number(AI_FAILURE_RATE, float, "a number from 0 to 1", lambda value: value <= 1),
        catalog_ttl_seconds=reader.number(
            CATALOG_TTL_SECONDS, float, "a number from 0 to 86400", lambda value: value <= 86_400
        ),
        lease_seconds=_lease_seconds(reader, timeout_seconds),
        require_auth=require_auth,
        require_app_check=reader.switch(REQUIRE_APP_CHECK),
        revocation_check_seconds=reader.integer(REVOCATION_CHECK_SECONDS, 0, 3600),
        signup_credits=reader.integer(SIGNUP_CREDITS, 0, MAX_SIGNUP_CREDITS),
        max_pending_per_user=reader.integer(MAX_PENDING_PER_USER, 1, 1000),
        models={name: reader.matching(param, _MODEL, _MODEL_WORDS) for name, param in MODELS.items()},
        bucket=_bucket(reader, environ),
        storage_emulator_url=environ.get(STORAGE_URL, ""),
        api_base_url=reader.address(API_BASE_URL) or _own_address(project, region, in_emulator),
        allowed_origins=[*reader.origins(ALLOWED_ORIGINS), *(LOCAL_ORIGINS if in_emulator else ())],
        report_webhook_url=reader.secret_address(REPORT_WEBHOOK_URL),
        completion_webhook_url=reader.secret_address(COMPLETION_WEBHOOK_URL),
        webhook_secret=_webhook_secret(reader, environ, in_emulator),
        # A missing key shows at the first purchase: the other functions do not get it.
        openai_api_key=environ.get(OPENAI_API_KEY, "").strip(),
    )
    _check_instances(reader)
    reader.add(_identity_problems(require_auth, environ))
    reader.raise_problems()
    return settings


def _lease_seconds(reader: SettingReader, timeout_seconds: int) -> int:
    expected = f"an integer above TIMEOUT_SECONDS ({timeout_seconds}) and at most 86400"
    return reader.number(RESERVATION_LEASE_SECONDS, int, expected, lambda value: timeout_seconds < value <= 86_400)


def model_secrets(settings: Settings) -> list[SecretParam]:
    """The secrets that a purchase needs with these settings; to be called once.

    A secret is declared only if it is needed, since a deploy asks for every one that is declared.
    """
    if not _HAS_SECRETS or not any(choice.startswith("openai:") for choice in settings.models.values()):
        return []
    return [SecretParam(OPENAI_API_KEY, description="A key of OpenAI's API")]


def webhook_secrets(settings: Settings) -> list[SecretParam]:
    """The secrets that the sender of webhooks needs with these settings; to be called once, as model_secrets is."""
    if not _HAS_SECRETS or not settings.completion_webhook_url:
        return [*REPORT_SECRETS]
    return [*REPORT_SECRETS, SecretParam(WEBHOOK_SECRET, description="Signs webhooks: whsec_ and 24 to 64 bytes")]


def _webhook_secret(reader: SettingReader, environ: Mapping[str, str], in_emulator: bool) -> str:
    """What signs webhooks. Deployed, only their sender gets it; in an emulator every function does."""
    secret = environ.get(WEBHOOK_SECRET, "").strip()
    form = f"whsec_ and {MIN_WEBHOOK_SECRET_BYTES} to {MAX_WEBHOOK_SECRET_BYTES} bytes in base64"
    if secret:
        size = _decoded_bytes(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else 0
        if not MIN_WEBHOOK_SECRET_BYTES <= size <= MAX_WEBHOOK_SECRET_BYTES:
            reader.add([f"{WEBHOOK_SECRET} must be {form}: docs/webhooks.md"])
    elif in_emulator and reader.raw(COMPLETION_WEBHOOK_URL) not in ("", "none"):
        reader.add([f"{WEBHOOK_SECRET} must be set, since {COMPLETION_WEBHOOK_URL.name} is: {form}"])
    return secret


def _decoded_bytes(text: str) -> int:
    try:
        return len(base64.b64decode(text, validate=True))
    except ValueError:
        return 0


def _check_instances(reader: SettingReader) -> None:
    """What only the CLI uses, which would deploy it unchecked."""
    reader.number(MEMORY_MB, int, f"one of {', '.join(map(str, MEMORY_SIZES_MB))}", lambda mb: mb in MEMORY_SIZES_MB)
    low = reader.integer(MIN_INSTANCES, 0, 1000)
    reader.number(
        MAX_INSTANCES,
        int,
        f"an integer from 1 to 1000, at least MIN_INSTANCES ({low})",
        lambda value: 1 <= value <= 1000 and value >= low,
    )
    reader.integer(THREADS, 1, MAX_THREADS)


def _identity_problems(require_auth: bool, environ: Mapping[str, str]) -> Iterator[str]:
    """Settings that would let strangers use a real project's data; an emulator's data is worth nothing."""
    for name in (FIRESTORE_HOST, AUTH_HOST):
        if "/" in environ.get(name, ""):
            yield f"{name} must be a host and a port, like 127.0.0.1:9099, not {environ[name]!r}"
    if environ.get(FIRESTORE_HOST):
        return
    if not require_auth:
        yield (
            "REQUIRE_AUTH must be true outside the emulator: without it everybody can spend everybody's credits "
            f"({FIRESTORE_HOST} is not set, so the data is real)"
        )
    if environ.get(AUTH_HOST):
        yield (
            f"{AUTH_HOST} must not be set without {FIRESTORE_HOST}: "
            "the Auth emulator's tokens are unsigned, and anybody can make one"
        )
    if environ.get(TASKS_HOST):
        yield f"{TASKS_HOST} must not be set without {FIRESTORE_HOST}: orders that were paid for would be lost"
    if environ.get(STORAGE_URL):
        yield f"{STORAGE_URL} must not be set without {FIRESTORE_HOST}: pictures that were paid for would be lost"


def _own_address(project: str | None, region: str, in_emulator: bool) -> str:
    """Where the functions are by themselves: https://firebase.google.com/docs/functions/http-events."""
    if in_emulator:
        return f"http://127.0.0.1:5001/{project}/{region}"
    return f"https://{region}-{project}.cloudfunctions.net"


def _bucket(reader: SettingReader, environ: Mapping[str, str]) -> str:
    """The bucket for pictures: the one that is named; or, if real models need one, the project's default bucket."""
    bucket = reader.matching(STORAGE_BUCKET, _BUCKET, "empty or the name of a bucket, without gs://")
    if bucket or all(reader.raw(model) == "simulated" for model in MODELS.values()):
        return bucket
    # An emulator's default bucket is only a name, unless the Storage emulator runs.
    if STORAGE_URL in environ or FIRESTORE_HOST not in environ:
        bucket = _default_bucket(environ.get("FIREBASE_CONFIG", ""))
    if not bucket:
        wanted = "the bucket that real models' pictures are kept in"
        reader.add([f"{STORAGE_BUCKET.name} must name {wanted}: no default bucket was found"])
    return bucket


def _default_bucket(firebase_config: str) -> str:
    """The project's bucket, as the CLI tells the functions: https://firebase.google.com/docs/functions/config-env."""
    found = re.search(r'"storageBucket":\s*"([^"]+)"', firebase_config)
    return found[1] if found else ""
