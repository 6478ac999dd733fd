"""model-a and model-b, simulated: an image's URL at once, or a failure at the rate that a setting gives."""

from collections.abc import Callable
from dataclasses import dataclass

from images.model import ImageModel, ImageOrder, ModelFailed
from store import Deadline

MODEL_NAMES = ("model-a", "model-b")


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """Fails `failure_rate` of the time; `uniform` draws from [0, 1)."""

    name: str
    failure_rate: float
    uniform: Callable[[], float]

    def generate(self, order: ImageOrder, deadline: Deadline) -> str:
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
