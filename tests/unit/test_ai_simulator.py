"""The simulated models."""

import pytest

from ai_simulator import MODEL_NAMES, simulated_models
from images.model import ImageOrder, ModelFailed, generate_image
from store import NO_DEADLINE

ORDER = ImageOrder("r1", "anime", "neon", "512x512", None)


@pytest.mark.parametrize(
    ("rate", "drawn", "fails"), [(0.0, 0.0, False), (1.0, 0.999, True), (0.3, 0.29, True), (0.3, 0.3, False)]
)
def test_the_rate_is_the_share_of_failures(rate: float, drawn: float, fails: bool) -> None:
    """A draw below the rate fails; 0 never does and 1 always."""
    model = simulated_models(rate, lambda: drawn)["model-b"]
    if fails:
        with pytest.raises(ModelFailed):
            generate_image(model, ORDER, NO_DEADLINE)
    else:
        assert generate_image(model, ORDER, NO_DEADLINE) == "https://images.example.com/model-b/r1.png"


def test_two_models_are_simulated() -> None:
    """By the names of the contract."""
    assert tuple(simulated_models(0.0, lambda: 0.5)) == MODEL_NAMES == ("model-a", "model-b")
