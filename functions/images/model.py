"""The port that an image model implements, and the one place that calls it."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from credits.documents import PROVIDER_BUSY, PROVIDER_FAILED, REFUSED_CONTENT, STORAGE_FAILED, TIMED_OUT
from store import Deadline

MAX_URL_LENGTH = 2_048


@dataclass(frozen=True, slots=True)
class ImageOrder:
    """What a model needs to know of a request: not who asked, nor what it costs.

    `run_id` is random, so it can stand in a URL that nobody should guess; `request_id` can be guessed.
    """

    request_id: str
    run_id: str
    style: str
    color: str
    size: str
    prompt: str | None


@dataclass(frozen=True, slots=True)
class PictureUrl:
    """A picture that the model itself hosts."""

    url: str


@dataclass(frozen=True, slots=True)
class PictureBytes:
    """A picture as a file, not checked yet, with the media type that the model gives it."""

    data: bytes
    media_type: str


Picture = PictureUrl | PictureBytes


class ImageModel(Protocol):
    """A model that makes one image."""

    def generate(self, order: ImageOrder, deadline: Deadline) -> Picture:
        """Makes the image; a picture that comes after the deadline is refunded, not sold.

        Raises:
            ModelFailed: there is no picture. Any other exception counts as ProviderFailed.
        """


class ModelFailed(Exception):
    """There is no picture. The message goes to the log: it must not quote the prompt, the provider or a key.

    `failure` is stored with the request and told to the client. `retry_after_seconds` is what the provider asks for.
    `leaves_picture`: there may be a file that nobody will ever ask for.
    """

    failure: ClassVar[str] = PROVIDER_FAILED
    leaves_picture = False

    def __init__(self, message: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RefusedContent(ModelFailed):
    """The provider does not draw this. Another prompt may help, the same one will not."""

    failure = REFUSED_CONTENT


class ProviderBusy(ModelFailed):
    """The provider has too much to do. Later it may work."""

    failure = PROVIDER_BUSY


class TimedOut(ModelFailed):
    """The picture was not there in time."""

    failure = TIMED_OUT


class ProviderFailed(ModelFailed):
    """Anything else: the provider's fault, or what it sent is not a picture."""


class StorageFailed(ModelFailed):
    """The picture could not be kept, as far as is known. The message says what an operator has to do."""

    failure = STORAGE_FAILED

    def __init__(self, message: str, *, leaves_picture: bool = False) -> None:
        super().__init__(message)
        self.leaves_picture = leaves_picture


def generate_image(model: ImageModel, order: ImageOrder, deadline: Deadline) -> Picture:
    """Runs any model.

    Raises:
        ModelFailed: for every error in the model and for a picture that came too late, so that a paid request always
            ends with a picture or a refund.
    """
    try:
        picture = model.generate(order, deadline)
    except ModelFailed:
        raise
    # A real model is somebody else's library: this is the boundary at which each of its errors becomes ours.
    except Exception as error:
        raise ProviderFailed(f"{type(error).__name__} in the model") from error
    if isinstance(picture, PictureUrl) and not _is_storable(picture.url):
        raise ProviderFailed("The model gave no URL.")
    if not isinstance(picture, Picture):
        raise ProviderFailed("The model gave no picture.")
    if deadline.passed:
        raise TimedOut("The model took so long that the client may be gone.")
    return picture


def _is_storable(url: object) -> bool:
    if not isinstance(url, str) or not 1 <= len(url) <= MAX_URL_LENGTH:
        return False
    # Firestore refuses what UTF-8 cannot encode, and a paid request would stay pending.
    return url.isascii()
