"""What of a user's shell the emulators, the functions and the tests get to see."""

import pytest

from dev import environment

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    "name",
    [
        *("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GCP_PROJECT", "CLOUDSDK_CORE_PROJECT", "FIREBASE_CONFIG"),
        *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_QUOTA_PROJECT", "FIREBASE_TOKEN"),
        *("FIRESTORE_EMULATOR_HOST", "FIREBASE_AUTH_EMULATOR_HOST", "STORAGE_EMULATOR_HOST", "FUNCTIONS_EMULATOR"),
        "CLOUD_TASKS_EMULATOR_HOST",
        *("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "grpc_proxy"),
        *("PYTHONPATH", "PYTHONHOME", "PYTHONOPTIMIZE", "PIP_USER", "NODE_OPTIONS", "BASH_ENV", "CDPATH"),
        *("FUNCTION_TARGET", "GUNICORN_CMD_ARGS", "REGION", "REQUIRE_AUTH"),
    ],
)
def test_what_is_set_for_other_work_stays_out(name: str) -> None:
    """Another project, credentials, emulators, proxies, options of programs; settings come in their file."""
    assert name not in environment.clean_env({name: "x"})


def test_what_programs_need_to_run_is_passed_on() -> None:
    """Where programs, homes, caches and certificates are."""
    shell = dict.fromkeys(("PATH", "HOME", "JAVA_HOME", "XDG_CACHE_HOME", "SSL_CERT_FILE", "PYTEST_ADDOPTS"), "x")
    assert shell.items() <= environment.clean_env(shell).items()


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_the_locale_is_utf_8(platform: str) -> None:
    """A file's name can be anything, whatever LANG says."""
    assert environment.clean_env({"LC_ALL": "C", "LANG": "C"}, platform)["LC_ALL"].endswith(".UTF-8")


def test_a_forked_worker_lives_on_macos() -> None:
    """Objective-C's own check would end it. Elsewhere there is none."""
    name = "OBJC_DISABLE_INITIALIZE_FORK_SAFETY"
    assert environment.clean_env({}, "darwin")[name] == "YES"
    assert name not in environment.clean_env({}, "linux")


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
@pytest.mark.parametrize("without", ["no_proxy", "NO_PROXY"])
def test_a_proxy_is_never_for_this_machine(name: str, without: str) -> None:
    """The user's exceptions stay, and this machine is one more."""
    found = environment.proxies({name: PROXY, without: "corp.example, 10.0.0.0/8"})
    assert found == {"HTTP_PROXY": PROXY, "NO_PROXY": "corp.example,10.0.0.0/8,127.0.0.1,localhost,::1"}


def test_without_a_proxy_nothing_is_said_of_one() -> None:
    """None is set, or none is to be used at all."""
    assert environment.proxies({"no_proxy": "corp.example"}) == {}
    assert environment.proxies({"http_proxy": PROXY, "no_proxy": "*"}) == {}


def test_the_user_is_told_if_curl_would_go_to_the_proxy() -> None:
    """Only if it would."""
    assert environment.hides_this_machine({"http_proxy": PROXY})
    assert not environment.hides_this_machine({"http_proxy": PROXY, "no_proxy": "localhost,127.0.0.1"})
    assert not environment.hides_this_machine({})
