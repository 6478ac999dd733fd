"""The part of the user's shell environment that the programs started by dev/ get."""

import os
import re
import sys
from collections.abc import Mapping

# Nothing else of the shell reaches the emulators, the functions and the tests: a project, a credential or an option of
# Python's, pip's or Node's that is set for other work must not change what happens here.
KEPT = re.compile(
    "PATH|HOME|USER|LOGNAME|SHELL|TZ|TMPDIR|TERM|COLUMNS|NO_COLOR|FORCE_COLOR|CI|LD_LIBRARY_PATH"
    "|JAVA_HOME|JAVA_TOOL_OPTIONS|FIREBASE_EMULATORS_PATH|FIRESTORE_EMULATOR_BINARY_PATH"
    "|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS|NODE_USE_SYSTEM_CA|(XDG|PYTEST|HYPOTHESIS)_.*"
)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


def clean_env(shell: Mapping[str, str] = os.environ, platform: str = sys.platform) -> dict[str, str]:
    """The environment of the emulators, the functions and the tests. Call it after the toolchain is on the PATH.

    It has no proxy: the CLI would use one even for this machine, and ignore NO_PROXY.
    """
    kept = {name: value for name, value in shell.items() if KEPT.fullmatch(name)}
    # Without a UTF-8 locale, Java finds only files with ASCII names.
    settled = {"LC_ALL": "en_US.UTF-8" if platform == "darwin" else "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    if platform == "darwin":
        # On macOS, a forked gunicorn worker dies if a library used Objective-C before (gRPC does):
        # https://github.com/grpc/grpc/issues/31240
        settled["OBJC_DISABLE_INITIALIZE_FORK_SAFETY"] = "YES"
    return kept | settled


def proxies(shell: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The user's proxies, for calls to other machines."""
    found = {name: value for name in PROXIES if (value := shell.get(name.lower()) or shell.get(name))}
    without = _without_proxy(shell)
    if not found or "*" in without:
        return {}
    return found | {"NO_PROXY": ",".join(dict.fromkeys((*without, *LOCAL_HOSTS)))}


def hides_this_machine(shell: Mapping[str, str]) -> bool:
    """Whether the shell's proxies keep a program that uses them from reaching this machine's servers."""
    return bool(proxies(shell)) and LOCAL_HOSTS[0] not in _without_proxy(shell)


def _without_proxy(shell: Mapping[str, str]) -> list[str]:
    hosts = (shell.get("no_proxy") or shell.get("NO_PROXY") or "").split(",")
    return [host.strip() for host in hosts if host.strip()]
