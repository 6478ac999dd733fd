"""The simulated image models, behind the interface that a real model implements."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

MODEL_NAMES = ("model-a", "model-b")
MAX_URL_LENGTH = 2_048


@dataclass(frozen=True, slots=True)
class ImageOrder:
    """What a model needs to know of a request; not who asked, nor what it costs."""

    request_id: str
    style: str
    color: str
    size: str
    prompt: str | None


class ImageModel(Protocol):
    """A model that makes one image."""

    def generate(self, order: ImageOrder) -> str:
        """Makes the image and returns its URL; raises whatever it will where it cannot."""


class ModelFailed(Exception):
    """The model gave no image; the cause is chained."""


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """Gives a URL at once, and fails `failure_rate` of the time; `uniform` draws from [0, 1)."""

    name: str
    failure_rate: float
    uniform: Callable[[], float]

    def generate(self, order: ImageOrder) -> str:
        """Returns the image's URL.

        Raises:
            ModelFailed: the simulated failure.
        """
        if self.uniform() < self.failure_rate:
            raise ModelFailed(f"{self.name} failed, as simulated.")
        return f"https://images.example.com/{self.name}/{order.request_id}.png"


def simulated_models(failure_rate: float, uniform: Callable[[], float]) -> dict[str, ImageModel]:
    """Every model on offer, by name."""
    return {name: SimulatedModel(name, failure_rate, uniform) for name in MODEL_NAMES}


def generate_image(model: ImageModel, order: ImageOrder) -> str:
    """Runs any model and returns the image's URL.

    Raises:
        ModelFailed: for whatever went wrong in it, so that a paid request always ends in an image or a refund.
    """
    try:
        image_url = model.generate(order)
    except ModelFailed:
        raise
    # A real model is a foreign library: this is its boundary, where each of its errors becomes ours.
    except Exception as error:
        raise ModelFailed(f"{type(error).__name__} in the model") from error
    if not _is_storable(image_url):
        raise ModelFailed("The model gave no URL.")
    return image_url


def _is_storable(image_url: object) -> bool:
    if not isinstance(image_url, str) or not 1 <= len(image_url) <= MAX_URL_LENGTH:
        return False
    # Firestore refuses what UTF-8 cannot carry, and a paid request would stay pending.
    return image_url.isascii()
