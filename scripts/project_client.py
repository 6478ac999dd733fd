"""Firestore for a script: the emulator's if FIRESTORE_EMULATOR_HOST is set, otherwise the project's."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from google.auth.exceptions import DefaultCredentialsError

from errors import Unavailable
from store import Store, StoreError, connect


def project_store(project: str, database: str) -> Store:
    """A database of this project; ends the script with one clear line if there are no credentials for it."""
    reach_emulators()
    try:
        connection = connect(project, database=database)
    except DefaultCredentialsError:
        exit_without_credentials("FIRESTORE_EMULATOR_HOST=127.0.0.1:8080")
    return Store(lambda: connection)


@contextmanager
def exit_on_store_error() -> Iterator[None]:
    """Ends the script with one line of advice if Firestore does not answer or refuses."""
    try:
        yield
    except Unavailable as error:
        sys.exit(error.message)
    except StoreError as error:
        sys.exit(error.advice or str(error.code))


def reach_emulators() -> None:
    """Sends calls to the emulators directly: the shell's proxy cannot reach them."""
    hosts = (os.environ.get(f"{name}_EMULATOR_HOST", "").rpartition(":")[0] for name in ("FIRESTORE", "FIREBASE_AUTH"))
    excepted = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if excepted != "*":
        os.environ["no_proxy"] = ",".join(filter(None, (excepted, *hosts)))


def exit_without_credentials(emulator: str) -> NoReturn:
    """Ends the script and says how to get credentials, or which variable names the emulator."""
    sys.exit(
        "There are no credentials for a real project: gcloud auth application-default login. "
        f"For the emulator, set {emulator}."
    )
