"""A Firestore client for a script: the emulator's if FIRESTORE_EMULATOR_HOST is set, otherwise the project's."""

import sys
from typing import NoReturn

from google.auth.exceptions import DefaultCredentialsError
from google.cloud import firestore


def project_client(project: str) -> firestore.Client:
    """A client of this project; ends the script with one clear line if there are no credentials for it."""
    try:
        return firestore.Client(project=project)
    except DefaultCredentialsError:
        exit_without_credentials("FIRESTORE_EMULATOR_HOST=127.0.0.1:8080")


def exit_without_credentials(emulator: str) -> NoReturn:
    """Ends the script and says how to get credentials, or which variable names the emulator."""
    sys.exit(
        "There are no credentials for a real project: gcloud auth application-default login. "
        f"For the emulator, set {emulator}."
    )
