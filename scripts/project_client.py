"""Firestore for a script: the emulator's if FIRESTORE_EMULATOR_HOST is set, otherwise the project's."""

import sys
from typing import NoReturn

from google.auth.exceptions import DefaultCredentialsError

from store import Store, connect


def project_store(project: str) -> Store:
    """The Firestore of this project; ends the script with one clear line if there are no credentials for it."""
    try:
        connection = connect(project)
    except DefaultCredentialsError:
        exit_without_credentials("FIRESTORE_EMULATOR_HOST=127.0.0.1:8080")
    return Store(lambda: connection)


def exit_without_credentials(emulator: str) -> NoReturn:
    """Ends the script and says how to get credentials, or which variable names the emulator."""
    sys.exit(
        "There are no credentials for a real project: gcloud auth application-default login. "
        f"For the emulator, set {emulator}."
    )
