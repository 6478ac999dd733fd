"""From what a model gives to the URL of a picture, and the end of those pictures that nobody was sold.

A file's name follows from its request, so that any process can delete it. It may do so only after the commit that ended
the request, since until then a completion can still sell the picture; that commit marks the request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import logs
from credits import documents
from credits.documents import COMPLETED, PENDING, PICTURE_TO_DELETE
from errors import BrokenDocument, Internal
from images.marks import SourceType
from images.model import Picture, PictureBytes, PictureUrl, StorageFailed
from store import REMOVED, Answer, Commit, Deadline, Document, Query, Store, Write

PAGE_SIZE = 100
# A picture never changes.
CACHE_CONTROL = "public, max-age=31536000, immutable"
# The longest TIMEOUT_SECONDS. An instance that was frozen may go on with its upload after the request has ended.
LATEST_UPLOAD = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class PictureKey:
    """Which run's picture. The run's id is random, so nobody can guess the name."""

    user_id: str
    request_id: str
    run_id: str

    @classmethod
    def not_sold(cls, request: Document) -> list["PictureKey"]:
        """The keys of the pictures that an ended request may have left, without the one that was sold.

        Raises:
            BrokenDocument: the request is pending, so each of its pictures can still be sold; or a field is wrong.
        """
        status, claims = documents.status(request), documents.claims(request)
        if status == PENDING or (status == COMPLETED and not claims):
            raise BrokenDocument(request.path, f"{PICTURE_TO_DELETE} is set, but every picture was or can be sold")
        runs = documents.lost_claims(request) if status == COMPLETED else claims or [documents.attempt_id(request)]
        return [cls(documents.user_id(request), request.id, run) for run in runs]

    @property
    def object_name(self) -> str:
        return f"images/{self.user_id}/{self.request_id}-{self.run_id}"


class FileStore(Protocol):
    """Where files are kept: images/storage.py. Each method raises StorageFailed."""

    def keep(self, picture: PictureBytes, key: PictureKey, deadline: Deadline) -> str:
        """Keeps a picture that was checked, and gives its URL."""

    def delete(self, key: PictureKey) -> None:
        """Deletes a picture, if there is one."""


class Pictures:
    """The pictures of real models. `files` is None if every model hosts its own."""

    def __init__(self, store: Store, files: FileStore | None) -> None:
        self._store = store
        self._files = files

    def url_of(self, picture: Picture, key: PictureKey, deadline: Deadline) -> str:
        """Where the picture can be opened: at the model's own address, or where its file is kept from now on.

        Raises:
            ModelFailed: the file is not a picture, or cannot be kept.
        """
        if isinstance(picture, PictureUrl):
            return picture.url
        if self._files is None:
            raise StorageFailed("The model gives files: set STORAGE_BUCKET to where to keep them.")
        # Who is given a URL does not pay for loading Pillow.
        from images.pictures import checked  # noqa: PLC0415

        return self._files.keep(checked(picture, SourceType.TRAINED_ALGORITHMIC_MEDIA, deadline), key, deadline)

    def discard(self, key: PictureKey) -> bool:
        """Deletes the picture of a run that can no longer complete. False, and logged, if that did not work."""
        if self._files is None:
            return True
        try:
            self._files.delete(key)
        except StorageFailed as error:
            logs.error("picture not deleted", generationRequestId=key.request_id, why=str(error))
            return False
        return True

    def delete_leftovers(self) -> None:
        """Deletes the picture of each marked request. One that cannot be deleted is logged, and the others go on.

        Raises:
            Unavailable: Firestore did not give the next page in time.
        """
        if self._files is None:
            return
        marked = Query(documents.GENERATION_REQUESTS, where=((PICTURE_TO_DELETE, "==", True),), limit=PAGE_SIZE)
        self._store.for_each(marked, self._delete_leftover)

    def _delete_leftover(self, request: Document) -> None:
        try:
            # Somebody with the console can set the mark; but what was sold stays.
            is_gone = [self.discard(key) for key in PictureKey.not_sold(request)]
            if all(is_gone) and _is_settled(request):
                self._store.transact([request.path], _unmarked, known={request.path: request})
        except Internal as error:
            logs.error("picture not deleted", generationRequestId=request.id, **error.log_fields)
        # The boundary of one picture: an error in it must not keep the others.
        except Exception as error:  # noqa: BLE001
            logs.error("picture not deleted", generationRequestId=request.id, places=logs.places(error))


def _is_settled(request: Document) -> bool:
    ended_at = request.fields.get("updatedAt")
    return isinstance(ended_at, datetime) and ended_at <= request.read_at - LATEST_UPLOAD


def _unmarked(read: Mapping[str, Document]) -> Commit[None] | Answer[None]:
    [request] = read.values()
    if PICTURE_TO_DELETE not in request.fields:
        return Answer(None)
    return Commit([Write(request.path, {PICTURE_TO_DELETE: REMOVED}, request.version)], lambda versions: None)
