"""model-a and model-b, simulated: a picture's URL at once, or a failure at the rate that a setting gives.

The picture itself is drawn when somebody opens the URL (images/simulated.py), so a purchase does not wait for it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from images.model import ImageOrder, PictureUrl, ProviderFailed
from images.simulated import picture_url
from store import Deadline


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """Fails `failure_rate` of the time; `uniform` draws from [0, 1). Pictures are opened under `base_url`."""

    name: str
    base_url: str
    failure_rate: float
    uniform: Callable[[], float]

    def generate(self, order: ImageOrder, deadline: Deadline) -> PictureUrl:
        """Returns the picture's URL.

        Raises:
            ProviderFailed: the simulated failure.
        """
        if self.uniform() < self.failure_rate:
            raise ProviderFailed(f"{self.name} failed, as simulated.")
        return PictureUrl(picture_url(self.base_url, order.request_id, order.run_id))
