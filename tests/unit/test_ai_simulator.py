"""The simulated models."""

import pytest

from ai_simulator import SimulatedModel
from images.model import ImageOrder, PictureUrl, ProviderFailed, generate_image
from store import NO_DEADLINE

ORDER = ImageOrder("r1", "secret", "anime", "neon", "512x512", None)


@pytest.mark.parametrize(
    ("rate", "drawn", "fails"), [(0.0, 0.0, False), (1.0, 0.999, True), (0.3, 0.29, True), (0.3, 0.3, False)]
)
def test_the_rate_is_the_share_of_failures(rate: float, drawn: float, fails: bool) -> None:
    """A draw below the rate fails; 0 never does and 1 always."""
    model = SimulatedModel("model-b", "https://api", rate, lambda: drawn)
    if fails:
        with pytest.raises(ProviderFailed):
            generate_image(model, ORDER, NO_DEADLINE)
    else:
        url = "https://api/simulatedImage?generationRequestId=r1&token=secret"
        assert generate_image(model, ORDER, NO_DEADLINE) == PictureUrl(url)
