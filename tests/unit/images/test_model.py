"""The one place that calls a model: every error in it becomes ModelFailed."""

import pytest

from images.model import (
    MAX_URL_LENGTH,
    ImageOrder,
    ModelFailed,
    PictureBytes,
    PictureUrl,
    ProviderFailed,
    TimedOut,
    generate_image,
)
from store import NO_DEADLINE, Deadline
from tests.support.builders import IMAGE_URL, FakeModel, Stopwatch, expired

ORDER = ImageOrder("r1", "attempt", "anime", "neon", "512x512", None)


def test_an_image_is_its_url() -> None:
    """The model gets the order and the deadline as they are."""
    seen: list[tuple[ImageOrder, Deadline]] = []

    def act(order: ImageOrder, deadline: Deadline) -> str:
        seen.append((order, deadline))
        return IMAGE_URL

    assert generate_image(FakeModel(act), ORDER, NO_DEADLINE) == PictureUrl(IMAGE_URL)
    assert seen == [(ORDER, NO_DEADLINE)]


@pytest.mark.parametrize("error", [RuntimeError("a prompt"), TimeoutError(), ValueError(), RecursionError()])
def test_every_exception_of_a_model_is_a_failure(error: Exception) -> None:
    """The cause is chained, and the message quotes nothing of it."""

    def act(order: ImageOrder, deadline: Deadline) -> str:
        raise error

    with pytest.raises(ModelFailed) as caught:
        generate_image(FakeModel(act), ORDER, NO_DEADLINE)
    assert caught.value.__cause__ is error
    assert "prompt" not in str(caught.value)


def test_a_models_own_failure_is_passed_on() -> None:
    """It is not wrapped a second time."""
    failure = ModelFailed("no")

    def act(order: ImageOrder, deadline: Deadline) -> str:
        raise failure

    with pytest.raises(ModelFailed) as caught:
        generate_image(FakeModel(act), ORDER, NO_DEADLINE)
    assert caught.value is failure


@pytest.mark.parametrize(
    "url", [None, "", 5, b"https://image", "https://\ud800", "https://ü", "x" * (MAX_URL_LENGTH + 1)]
)
def test_what_cannot_be_stored_as_a_url_is_a_failure(url: object) -> None:
    """Firestore would refuse some of these, and a paid request would stay pending."""
    with pytest.raises(ModelFailed):
        generate_image(FakeModel(lambda order, deadline: PictureUrl(url)), ORDER, NO_DEADLINE)  # type: ignore[arg-type]


@pytest.mark.parametrize("made", [None, 5, b"bytes", ["https://image"]])
def test_what_is_no_picture_is_a_failure(made: object) -> None:
    """Whatever a model of somebody else's gives."""
    with pytest.raises(ProviderFailed):
        generate_image(FakeModel(lambda order, deadline: made), ORDER, NO_DEADLINE)  # type: ignore[arg-type,return-value]


def test_bytes_are_passed_on() -> None:
    """They are checked later, where they are kept."""
    made = PictureBytes(b"?", "image/png")
    assert generate_image(FakeModel(lambda order, deadline: made), ORDER, NO_DEADLINE) is made


def test_the_longest_url_is_accepted() -> None:
    """The limit itself is within it."""
    url = "x" * MAX_URL_LENGTH
    assert generate_image(FakeModel(lambda order, deadline: url), ORDER, NO_DEADLINE) == PictureUrl(url)


def test_an_image_that_comes_after_the_deadline_is_a_failure() -> None:
    """The client may be gone, so it is not sold."""
    stopwatch = Stopwatch()

    def slowly(order: ImageOrder, deadline: Deadline) -> str:
        stopwatch.forward(11)
        return IMAGE_URL

    with pytest.raises(TimedOut):
        generate_image(FakeModel(slowly), ORDER, Deadline.after(10, stopwatch))
    with pytest.raises(TimedOut):
        generate_image(FakeModel(lambda order, deadline: IMAGE_URL), ORDER, expired())
