"""Settings: declared once, checked at start, the same in code, .env and README."""

import re
from dataclasses import asdict
from pathlib import Path

import pytest

import config
from anomalies import Thresholds

ROOT = Path(__file__).resolve().parents[2]


def env_file(name: str) -> dict[str, str]:
    lines = (ROOT / "functions" / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_defaults_are_valid() -> None:
    """An empty environment starts."""
    assert config.load({}).ai_failure_rate == 0.05


def test_the_env_file_names_every_setting_with_its_default() -> None:
    """The CLI asks for whatever functions/.env lacks, so it lacks nothing and changes nothing."""
    assert env_file(".env") == {param.name: config.written(param.default) for param in config.PARAMS}
    assert env_file(".env.demo-case-study").keys() <= env_file(".env").keys()


def test_the_readme_lists_every_setting_with_its_default() -> None:
    """One table row a setting; "none" is an empty value."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \| (?:`([^`]+)`|none) \|", readme, re.MULTILINE)
    assert dict(rows) == env_file(".env")


def test_thresholds_are_the_detectors_own() -> None:
    """Each threshold of the detector is a setting with its default."""
    assert config.load({}).anomaly_thresholds == asdict(Thresholds())


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("AI_FAILURE_RATE", ["", "x", "-0.01", "1.01", "nan", "inf", "5%"]),
        ("CATALOG_TTL_SECONDS", ["", "-1", "nan", "inf"]),
        ("RESERVATION_LEASE_SECONDS", ["60", "0", "6e2", "x"]),
        ("TIMEOUT_SECONDS", ["0", "3601", "1.5"]),
        ("MEMORY_MB", ["0", "300"]),
        ("MIN_INSTANCES", ["-1", "21"]),
        ("MAX_INSTANCES", ["0"]),
        ("THREADS", ["0", "1001"]),
        ("REQUIRE_AUTH", ["", "yes", "1", "True"]),
        ("REQUIRE_APP_CHECK", ["", "on"]),
        ("SIGNUP_CREDITS", ["-1", "1.5", "1000001"]),
        ("MAX_PENDING_PER_USER", ["0", "1001", "x"]),
        ("ALLOWED_ORIGINS", ["*", "example.com", "https://a.example/", "https://a.example;https://b.example"]),
        ("REGION", ["", " "]),
        ("REPORT_WEBHOOK_URL", ["ftp://x", "x"]),
        ("ANOMALY_VOLUME_SPIKE_FACTOR", ["", "1", "nan", "inf"]),
        ("ANOMALY_VOLUME_VARIATION", ["0", "1", "nan"]),
        ("ANOMALY_MINIMUM_SAMPLES", ["0", "1.5"]),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, values: list[str]) -> None:
    """Each setting has a range, and the error names the setting."""
    for value in values:
        with pytest.raises(config.ConfigurationError, match=name):
            config.load({name: value})


def test_every_bad_setting_is_named_at_once() -> None:
    """One failed start reports them all."""
    with pytest.raises(config.ConfigurationError, match=r"AI_FAILURE_RATE.*THREADS"):
        config.load({"AI_FAILURE_RATE": "x", "THREADS": "x"})


def test_without_authentication_only_an_emulator_starts() -> None:
    """REQUIRE_AUTH=false is refused where the books are real, and the message says why; in the emulator it is fine."""
    with pytest.raises(config.ConfigurationError, match="REQUIRE_AUTH must be true outside the emulator"):
        config.load({"REQUIRE_AUTH": "false"})
    with pytest.raises(config.ConfigurationError, match="REQUIRE_AUTH"):
        config.load({"REQUIRE_AUTH": "false", "FUNCTIONS_EMULATOR": "true", config.FIRESTORE_HOST: ""})
    assert not config.load({"REQUIRE_AUTH": "false", config.FIRESTORE_HOST: "127.0.0.1:8080"}).require_auth


def test_unsigned_tokens_never_meet_real_books() -> None:
    """The Auth emulator's host is refused without Firestore's."""
    with pytest.raises(config.ConfigurationError, match="unsigned"):
        config.load({config.AUTH_HOST: "127.0.0.1:9099"})
    assert config.load({config.AUTH_HOST: "127.0.0.1:9099", config.FIRESTORE_HOST: "127.0.0.1:8080"}).require_auth


def test_the_local_console_may_call_in_the_emulator_only() -> None:
    """Its origins are added where the books are an emulator's."""
    assert config.load({"ALLOWED_ORIGINS": "https://a.example,https://b.example"}).allowed_origins == [
        "https://a.example",
        "https://b.example",
    ]
    assert "http://127.0.0.1:4000" in config.load({config.FIRESTORE_HOST: "127.0.0.1:8080"}).allowed_origins
