"""Keeps pictures in the project's Cloud Storage bucket, each under a URL that nobody can guess.

Loads Google's client, so import it only where pictures are kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import quote

from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, PreconditionFailed, Unauthorized
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud.storage import Bucket, Client
from google.cloud.storage.retry import DEFAULT_RETRY
from requests import RequestException

from images.keeping import CACHE_CONTROL, PictureKey
from images.model import PictureBytes, StorageFailed
from store import Deadline

# Firebase gives a file to everybody who has one of its tokens, whatever its rules say. An upload past Firebase's own
# SDKs sets the token itself: https://github.com/firebase/firebase-admin-node/issues/1244 (a maintainer's answer) and
# https://github.com/firebase/firebase-admin-java/pull/51 (what the console does).
TOKEN_METADATA = "firebaseStorageDownloadTokens"
DOWNLOADS_URL = "https://firebasestorage.googleapis.com"
MAX_SECONDS = 60.0
DELETE_SECONDS = 10.0
# Of the time that is left: for connecting and sending, and as much again for the answer. Three silent calls fit in.
WAIT_SHARE = 1 / 6
# What an operator has to do. Each of these is a refusal, so that nothing was stored.
ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (NotFound, "There is no such bucket. Create it in the Firebase console, or set STORAGE_BUCKET to one that exists."),
    (Forbidden, "Give the functions' service account the role Storage Object User on the bucket."),
    (Unauthorized, "Cloud Storage does not know the functions' credentials."),
    (DefaultCredentialsError, "There are no credentials with which to write to the bucket."),
)
ERRORS = (GoogleAPIError, GoogleAuthError, RequestException, OSError)


@dataclass(frozen=True, slots=True)
class StoredAt:
    """The bucket that pictures are kept in; `emulator_url` is empty for the real Cloud Storage."""

    project: str | None
    bucket: str
    emulator_url: str = ""


class PictureStore:
    """Keeps and deletes pictures. Connects at the first call; safe to share between threads.

    `new_id` gives unique ids that nobody can guess.
    """

    def __init__(self, place: StoredAt, new_id: Callable[[], str]) -> None:
        self._place = place
        self._new_id = new_id
        self._guard = Lock()
        self._connected: Bucket | None = None

    def keep(self, picture: PictureBytes, key: PictureKey, deadline: Deadline) -> str:
        """Stores a picture that was checked, once, and gives the URL under which everybody who has it can open it.

        Raises:
            StorageFailed: it is not kept, or nobody knows.
        """
        seconds = min(deadline.left_seconds, MAX_SECONDS)
        if not seconds:
            raise StorageFailed("There was no time to keep the picture.")
        token = self._new_id()
        try:
            blob = self._bucket().blob(key.object_name)
            blob.metadata = {TOKEN_METADATA: token}
            blob.cache_control = CACHE_CONTROL
            blob.upload_from_string(
                picture.data,
                content_type=picture.media_type,
                # Must not exist: https://cloud.google.com/storage/docs/request-preconditions
                if_generation_match=0,
                **_limits(seconds),
            )
        except PreconditionFailed:
            # Only this attempt knows the name, so an earlier try of the same call was stored, and its answer was lost.
            pass
        except ERRORS as error:
            raise _storage_failed(error) from error
        return self.url(key, token)

    def url(self, key: PictureKey, token: str) -> str:
        """The download URL, as Firebase's own SDK makes it: https://github.com/firebase/firebase-admin-node/pull/2036."""
        host = self._place.emulator_url or DOWNLOADS_URL
        return f"{host}/v0/b/{self._place.bucket}/o/{quote(key.object_name, safe='')}?alt=media&token={token}"

    def delete(self, key: PictureKey) -> None:
        """Deletes a picture, if there is one.

        Raises:
            StorageFailed: it may still be there.
        """
        try:
            self._bucket().blob(key.object_name).delete(**_limits(DELETE_SECONDS))
        except NotFound:
            pass
        except ERRORS as error:
            raise _storage_failed(error) from error

    def _bucket(self) -> Bucket:
        with self._guard:
            if self._connected is None:
                url = self._place.emulator_url
                options = {"client_options": {"api_endpoint": url}, "use_auth_w_custom_endpoint": False} if url else {}
                self._connected = Client(project=self._place.project, **options).bucket(self._place.bucket)
            return self._connected


def _limits(seconds: float) -> dict[str, Any]:
    """Options of a call with which it ends in this time, even if its last try begins just before the tries end."""
    wait_seconds = seconds * WAIT_SHARE
    return {"timeout": wait_seconds, "retry": DEFAULT_RETRY.with_timeout(seconds - 2 * wait_seconds)}


def _storage_failed(error: Exception) -> StorageFailed:
    """What happened, in words that quote nobody."""
    advice = next((advice for kind, advice in ADVICE if isinstance(error, kind)), None)
    why = f"{advice or 'Cloud Storage did not answer in time, or not clearly.'} ({type(error).__name__})"
    return StorageFailed(why, leaves_picture=advice is None)
