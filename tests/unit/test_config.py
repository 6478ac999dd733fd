"""Settings: declared once, checked at start, the same in code, .env and docs."""

import base64
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import config
import origins
from setting_reader import ConfigurationError, written

ROOT = Path(__file__).resolve().parents[2]
EMULATOR = {config.FIRESTORE_HOST: "127.0.0.1:8080"}
WEBHOOK = config.REPORT_WEBHOOK_URL.name


def env_file(name: str) -> dict[str, str]:
    lines = (ROOT / "functions" / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def refused(environ: dict[str, str]) -> str:
    """The message with which these settings are refused."""
    with pytest.raises(ConfigurationError) as caught:
        config.load(environ)
    return str(caught.value)


def test_defaults_are_valid() -> None:
    """An empty environment starts, with callers that need a token."""
    settings = config.load({})
    assert (settings.ai_failure_rate, settings.revocation_check_seconds, settings.report_webhook_url) == (0.05, 60, "")
    assert (settings.require_auth, settings.signup_credits, settings.project) == (True, 0, None)


def test_there_are_at_most_twenty_two_settings() -> None:
    """Each one of them an operator would change; the rest are constants next to their rule."""
    assert len(config.PARAMS) + 1 <= 22


def test_the_env_file_names_every_parameter_with_its_default() -> None:
    """The CLI asks for what functions/.env lacks, so it lacks nothing and changes nothing. A secret is not in it."""
    assert env_file(".env") == {param.name: written(param.default) for param in config.PARAMS}
    assert env_file(".env.demo-case-study").keys() <= env_file(".env").keys()
    assert WEBHOOK not in env_file(".env")


def test_the_docs_list_every_setting_with_its_default() -> None:
    """One table row a parameter, "none" for an empty one; the secret is described below the table."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \| (?:`([^`]+)`|none) \|", text, re.MULTILINE)
    assert dict(rows) == env_file(".env")
    assert f"`{WEBHOOK}`" in text


def test_each_parameter_is_described_for_the_cli() -> None:
    """It shows the description to who deploys."""
    assert all(param.description for param in config.PARAMS)
    assert config.REPORT_WEBHOOK_URL.description


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("AI_FAILURE_RATE", ["", "x", "-0.01", "1.01", "nan", "inf", "5%", ".5", "1e-1", "+0.5", "00.5", "0.5 ", "1."]),
        ("CATALOG_TTL_SECONDS", ["", "-1", "nan", "inf", "86401", "1_000", "1e3", " 5 ", "+5", "5" * 5_000]),
        ("RESERVATION_LEASE_SECONDS", ["60", "0", "6e2", "x", "86401", "1_000", "0600"]),
        ("REVOCATION_CHECK_SECONDS", ["-1", "3601", "1.5", ""]),
        ("TIMEOUT_SECONDS", ["0", "9", "3601", "1.5", "6_0", "٦٠"]),
        ("MEMORY_MB", ["0", "300", "512MB", "512.0"]),
        ("MIN_INSTANCES", ["-1", "21", "-0"]),
        ("MAX_INSTANCES", ["0", "1001"]),
        ("THREADS", ["0", "65", "x", "016", "0x10", " 16", "16\n"]),
        ("REQUIRE_AUTH", ["", "yes", "1", "True", "TRUE", "true "]),
        ("REQUIRE_APP_CHECK", ["", "on"]),
        ("SIGNUP_CREDITS", ["-1", "1.5", "1000001"]),
        ("MAX_PENDING_PER_USER", ["0", "1001", "x"]),
        ("STORAGE_BUCKET", ["gs://pictures", "Pictures", "a", "a/b", "-ab", " pictures"]),
        ("ALLOWED_ORIGINS", ["*", "example.com", "https://a.example/", "https://a.example;https://b.example", "null"]),
        (
            "MODEL_A",
            ["", "simulator", "gemini", "gemini:", "gemini:a/b", "openai:a b", "openai:../x", "openai:A", "x:y"],
        ),
        ("MODEL_B", ["gemini:a?b", "openai:" + "a" * 64, "simulated:x", "simulated ", "openai:a\n"]),
        (
            "FIRESTORE_DATABASE",
            ["", "(default", "abc", "1abc", "Main", "a_bcd", "main-", "a" * 64, "main\n"],
        ),
        (
            "REGION",
            ["", " ", "us", "europe", "us-central", "europe-west1 # EU", "EUROPE-WEST1", "us-central1-a", "us-1"],
        ),
        (
            "REPORT_WEBHOOK_URL",
            [
                "ftp://x",
                "x",
                "http://x",
                "https://",
                "https://a b",
                "https://a:x",
                "https://a:0",
                "https://a:99999",
                "https:///x",
                "https://[::1",
            ],
        ),
        ("FIRESTORE_EMULATOR_HOST", ["http://127.0.0.1:8080"]),
        ("FIREBASE_AUTH_EMULATOR_HOST", ["http://127.0.0.1:9099"]),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, values: list[str]) -> None:
    """Each setting has a range, and the error names the setting."""
    for value in values:
        assert name in refused({name: value})


@pytest.mark.parametrize("name", ["THREADS", "TIMEOUT_SECONDS", "MAX_PENDING_PER_USER", "SIGNUP_CREDITS"])
@given(raw=st.text(st.sampled_from("0123456789_+-. eExX٣"), max_size=6) | st.integers(0, 3600).map(str))
def test_a_number_that_is_accepted_is_read_as_the_same_by_everyone(name: str, raw: str) -> None:
    """Python, the CLI and gunicorn each have forms of their own; only the one that all share is accepted."""
    try:
        config.load({name: raw, "RESERVATION_LEASE_SECONDS": "3601"})
    except ConfigurationError:
        return
    # gunicorn reads with base 0, for which a leading zero is an error and 0x a hexadecimal number.
    assert raw == str(int(raw)) == str(int(raw, 0))


PIECES = ["https://", "http://", "HTTP:", "capacitor://", "localhost", "a.example", "A", "[::1]", "[", "1.2.3.4", "ü"]
PIECES += [":80", ":443", ":0", ":8080", "/", "?", "#", "@", ".", "-", "*", "null", ",", " ", "%"]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_an_origin_that_is_accepted_is_one_that_browsers_send(raw: str) -> None:
    """Otherwise it would match no page, silently; tests/unit/test_origins.py has what browsers send."""
    try:
        allowed = config.load({"ALLOWED_ORIGINS": raw}).allowed_origins
    except ConfigurationError:
        return
    assert [origins.as_sent(origin) for origin in allowed] == allowed
    assert "".join(allowed) == raw.replace(",", "").replace(" ", "")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("https://Shop.example", "browsers send 'https://shop.example', not 'https://Shop.example'"),
        ("https://shop.example/", "browsers send 'https://shop.example', not 'https://shop.example/'"),
        ("https://a.example, http://b.example:80", "browsers send 'http://b.example', not 'http://b.example:80'"),
        ("*", "no page has the origin '*'"),
        ("https://bücher.example", "no page has the origin 'https://bücher.example'"),
        ("https://a.example:99999", "no page has the origin 'https://a.example:99999'"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused_with_the_reason(raw: str, reason: str) -> None:
    """And with what to write instead, if there is such a page."""
    assert reason in refused({"ALLOWED_ORIGINS": raw})


def test_origins_are_separated_by_commas_and_blanks() -> None:
    """People put a space after a comma, and a comma at the end."""
    listed = {"ALLOWED_ORIGINS": " https://a.example, capacitor://localhost ,http://[::1]:3000,"}
    assert config.load(listed).allowed_origins == ["https://a.example", "capacitor://localhost", "http://[::1]:3000"]
    assert config.load({"ALLOWED_ORIGINS": " , "}).allowed_origins == []


@pytest.mark.parametrize("name", ["(default)", "main", "my-db-2", "a" * 63])
def test_the_database_may_have_a_name(name: str) -> None:
    """As Firestore allows it; the first one of a project is called (default)."""
    assert config.load({"FIRESTORE_DATABASE": name}).database == name
    assert config.load({}).database == "(default)"


def test_every_bad_setting_is_named_at_once() -> None:
    """One failed start reports them all."""
    message = refused({"AI_FAILURE_RATE": "x", "THREADS": "x", WEBHOOK: "x"})
    assert re.search(rf"AI_FAILURE_RATE.*{WEBHOOK}.*THREADS", message)


def test_no_more_threads_than_tokens_can_be_checked_at_once() -> None:
    """Otherwise requests would wait for each other at the door."""
    config.load({"THREADS": "64"})
    assert "an integer from 1 to 64" in refused({"THREADS": "65"})


def test_a_time_out_leaves_room_for_a_token_a_model_and_a_refund() -> None:
    """At least 10 seconds; an emulator may try less."""
    assert config.load({"TIMEOUT_SECONDS": "10"}).timeout_seconds == 10
    assert "an integer from 10 to 3600" in refused({"TIMEOUT_SECONDS": "9"})
    assert config.load({"TIMEOUT_SECONDS": "2", **EMULATOR}).timeout_seconds == 2
    assert "TIMEOUT_SECONDS" in refused({"TIMEOUT_SECONDS": "1", **EMULATOR})


def test_a_lease_outlasts_the_request() -> None:
    """Otherwise an image that is still being made would be refunded."""
    assert "above TIMEOUT_SECONDS (120)" in refused({"TIMEOUT_SECONDS": "120", "RESERVATION_LEASE_SECONDS": "120"})
    assert config.load({"TIMEOUT_SECONDS": "120", "RESERVATION_LEASE_SECONDS": "121"}).lease_seconds == 121


@pytest.mark.parametrize("url", ["", "none", " none ", "  "])
def test_a_project_without_a_webhook_says_so(url: str) -> None:
    """A secret needs a value, so "none" is one."""
    assert config.load({WEBHOOK: url}).report_webhook_url == ""


def test_a_webhook_is_https_outside_an_emulator() -> None:
    """What is posted there would be readable on the way."""
    url = "https://hooks.example/T0/secret"
    assert config.load({WEBHOOK: url}).report_webhook_url == url
    assert config.load({WEBHOOK: f" {url}\n"}).report_webhook_url == url
    assert "https" in refused({WEBHOOK: "http://hooks.example/"})
    assert config.load({WEBHOOK: "http://127.0.0.1:9/", **EMULATOR}).report_webhook_url == "http://127.0.0.1:9/"


COMPLETION, SECRET = config.COMPLETION_WEBHOOK_URL.name, config.WEBHOOK_SECRET


def webhook_secret(size: int) -> str:
    return "whsec_" + base64.b64encode(bytes(range(size))).decode()


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_webhook_secret_has_24_to_64_bytes(size: int) -> None:
    """As Standard Webhooks want it. Its line end is not a part of it."""
    assert config.load({SECRET: f" {webhook_secret(size)}\n"}).webhook_secret == webhook_secret(size)


@pytest.mark.parametrize(
    "secret", [webhook_secret(23), webhook_secret(65), webhook_secret(32)[6:], "whsec_s3cr3t", "s3cr3t"]
)
def test_a_bad_webhook_secret_is_refused_and_not_quoted(secret: str) -> None:
    """The error lands in a log."""
    message = refused({SECRET: secret})
    assert "WEBHOOK_SECRET must be whsec_ and 24 to 64 bytes in base64" in message
    assert secret not in message


def test_events_are_posted_over_https_outside_an_emulator() -> None:
    """To an address that is not shown; deployed, only the sender gets the secret, so the others start without it."""
    url = "https://hooks.example/T0?key=s3cr3t"
    settings = config.load({COMPLETION: url})
    assert settings.completion_webhook_url == url
    assert "s3cr3t" not in repr(settings)
    assert "s3cr3t" not in refused({COMPLETION: "http://hooks.example/s3cr3t"})
    local = {COMPLETION: "http://127.0.0.1:9/", **EMULATOR}
    assert "WEBHOOK_SECRET must be set" in refused(local)
    assert config.load({**local, SECRET: webhook_secret(24)}).completion_webhook_url == "http://127.0.0.1:9/"


def test_a_missing_key_of_a_model_stops_nothing() -> None:
    """Only one function gets it, and the others have the same settings. Its line end is not a part of it."""
    for environ, key in (({}, ""), ({"OPENAI_API_KEY": " sk-x\n"}, "sk-x")):
        settings = config.load({"MODEL_A": "openai:gpt-image-2", "STORAGE_BUCKET": "pictures", **environ})
        assert (settings.models["model-a"], settings.openai_api_key) == ("openai:gpt-image-2", key)


def test_settings_do_not_show_secrets() -> None:
    """A failed assertion or a debugger's log would have them."""
    shown = repr(config.load({"OPENAI_API_KEY": "sk-s3cret", WEBHOOK: "https://hooks.example/s3cret"}))
    assert "s3cret" not in shown


@pytest.mark.parametrize("url", ["http://hooks.example/T0/s3cr3t", "s3cr3t", "ftp://s3cr3t"])
def test_a_bad_webhook_is_not_quoted(url: str) -> None:
    """Its address is a credential, and the error lands in a log."""
    assert "s3cr3t" not in refused({WEBHOOK: url, "THREADS": "x"})


def test_without_authentication_only_an_emulator_starts() -> None:
    """REQUIRE_AUTH=false is refused if the data is real, and the message says why; in the emulator it is fine."""
    assert "REQUIRE_AUTH must be true outside the emulator" in refused({"REQUIRE_AUTH": "false"})
    pretended = {"REQUIRE_AUTH": "false", "FUNCTIONS_EMULATOR": "true", config.FIRESTORE_HOST: ""}
    assert "REQUIRE_AUTH" in refused(pretended)
    assert not config.load({"REQUIRE_AUTH": "false", **EMULATOR}).require_auth


def test_unsigned_tokens_never_meet_real_data() -> None:
    """The Auth emulator's host is refused without Firestore's."""
    assert "unsigned" in refused({config.AUTH_HOST: "127.0.0.1:9099"})
    assert config.load({config.AUTH_HOST: "127.0.0.1:9099", **EMULATOR}).require_auth


def test_the_local_console_may_call_in_the_emulator_only() -> None:
    """Its origins are added if the data is an emulator's."""
    listed = {"ALLOWED_ORIGINS": "https://a.example,https://b.example"}
    assert config.load(listed).allowed_origins == ["https://a.example", "https://b.example"]
    assert config.load({}).allowed_origins == []
    assert config.load({**listed, **EMULATOR}).allowed_origins == [
        "https://a.example",
        "https://b.example",
        "http://127.0.0.1:4000",
        "http://localhost:4000",
    ]


def test_the_project_comes_from_the_environment() -> None:
    """As the CLI and Cloud Run name it."""
    assert config.load({"GCLOUD_PROJECT": "demo-x"}).project == "demo-x"
    assert config.load({"GOOGLE_CLOUD_PROJECT": "demo-y", "GCLOUD_PROJECT": "demo-x"}).project == "demo-y"


REAL_MODEL = {"MODEL_B": "gemini:gemini-2.5-flash-image"}
CLI_TELLS = {"FIREBASE_CONFIG": '{"projectId":"shop","storageBucket":"shop.firebasestorage.app","locationId":""}'}
STORAGE = {config.STORAGE_URL: "http://127.0.0.1:9199"}


@pytest.mark.parametrize(
    ("environ", "bucket"),
    [
        ({}, ""),
        (CLI_TELLS, ""),
        ({"STORAGE_BUCKET": "mine"}, "mine"),
        ({**REAL_MODEL, **CLI_TELLS}, "shop.firebasestorage.app"),
        ({**REAL_MODEL, **CLI_TELLS, "STORAGE_BUCKET": "mine"}, "mine"),
        ({**REAL_MODEL, **CLI_TELLS, **EMULATOR, **STORAGE}, "shop.firebasestorage.app"),
        ({**REAL_MODEL, **EMULATOR, "STORAGE_BUCKET": "mine"}, "mine"),
    ],
)
def test_real_models_have_a_bucket(environ: dict[str, str], bucket: str) -> None:
    """The one that is named, or the project's; simulated models need none."""
    settings = config.load(environ)
    assert settings.bucket == bucket
    assert settings.storage_emulator_url == environ.get(config.STORAGE_URL, "")


@pytest.mark.parametrize(
    "environ",
    [
        REAL_MODEL,
        {**REAL_MODEL, "FIREBASE_CONFIG": "/config.json"},
        {**REAL_MODEL, "FIREBASE_CONFIG": '{"projectId":"shop","storageBucket":""}'},
        {**REAL_MODEL, **CLI_TELLS, **EMULATOR},
    ],
)
def test_real_models_without_a_bucket_are_refused(environ: dict[str, str]) -> None:
    """An emulator's default bucket is only a name, unless the Storage emulator runs."""
    assert "STORAGE_BUCKET must name the bucket that real models' pictures are kept in" in refused(environ)


def test_pictures_that_were_paid_for_are_not_kept_in_an_emulator() -> None:
    """With real data, an address of the Storage emulator is a mistake."""
    assert config.STORAGE_URL in refused(STORAGE)
    assert config.load({**EMULATOR, **STORAGE}).storage_emulator_url
