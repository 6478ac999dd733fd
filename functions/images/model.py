"""The port that an image model implements, and the one place that calls it."""

from dataclasses import dataclass
from typing import Protocol

from store import Deadline

MAX_URL_LENGTH = 2_048


@dataclass(frozen=True, slots=True)
class ImageOrder:
    """What a model needs to know of a request: not who asked, nor what it costs."""

    request_id: str
    style: str
    color: str
    size: str
    prompt: str | None


class ImageModel(Protocol):
    """A model that makes one image."""

    def generate(self, order: ImageOrder, deadline: Deadline) -> str:
        """Makes the image and returns its URL; raises any exception if it cannot.

        An image that comes after the deadline is refunded, not sold.
        """


class ModelFailed(Exception):
    """The model gave no image; the cause is chained."""


def generate_image(model: ImageModel, order: ImageOrder, deadline: Deadline) -> str:
    """Runs any model and returns the image's URL.

    Raises:
        ModelFailed: for every error in the model and for an image that came too late, so that a paid request always
            ends with an image or a refund.
    """
    try:
        image_url = model.generate(order, deadline)
    except ModelFailed:
        raise
    # A real model is somebody else's library: this is the boundary at which each of its errors becomes ours.
    except Exception as error:
        raise ModelFailed(f"{type(error).__name__} in the model") from error
    if not _is_storable(image_url):
        raise ModelFailed("The model gave no URL.")
    if deadline.passed:
        raise ModelFailed("The model took so long that the client may be gone.")
    return image_url


def _is_storable(image_url: object) -> bool:
    if not isinstance(image_url, str) or not 1 <= len(image_url) <= MAX_URL_LENGTH:
        return False
    # Firestore refuses what UTF-8 cannot encode, and a paid request would stay pending.
    return image_url.isascii()
