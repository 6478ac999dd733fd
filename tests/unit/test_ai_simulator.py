"""The simulated models, and the boundary that turns any model's error into ModelFailed."""

import pytest

from ai_simulator import ImageOrder, ModelFailed, generate_image, simulated_models

ORDER = ImageOrder("r1", "anime", "neon", "512x512", None)


class Foreign:
    """A model that does what it is told: return a value or raise."""

    def __init__(self, outcome: object) -> None:
        self._outcome = outcome

    def generate(self, order: ImageOrder) -> str:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("rate", "drawn", "fails"), [(0.0, 0.0, False), (1.0, 0.999, True), (0.3, 0.29, True), (0.3, 0.3, False)]
)
def test_the_rate_is_the_share_of_failures(rate: float, drawn: float, fails: bool) -> None:
    """A draw below the rate fails; 0 never does and 1 always."""
    model = simulated_models(rate, lambda: drawn)["model-b"]
    if fails:
        with pytest.raises(ModelFailed):
            generate_image(model, ORDER)
    else:
        assert generate_image(model, ORDER) == "https://images.example.com/model-b/r1.png"


@pytest.mark.parametrize("outcome", [RuntimeError("boom"), TimeoutError(), None, "", 5])
def test_whatever_a_model_does_wrong_is_a_failure(outcome: object) -> None:
    """A foreign exception, or anything that is no URL, becomes ModelFailed."""
    with pytest.raises(ModelFailed):
        generate_image(Foreign(outcome), ORDER)
