"""Settings -> what the handlers work with."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from grpc import StatusCode

import ai_simulator
import config
import handlers
import services
from calls import Call, Caller
from credits.ledger import Ledger
from errors import Unavailable
from images.gemini import GeminiModel
from images.model import ImageModel
from images.openai import OpenAiModel
from schemas.requests import CreditsQuery, GenerationOrder
from store import NO_DEADLINE, Connection, Deadline
from tests.support.builders import ORDER, Backend, Stopwatch, failing, impatient
from tests.support.memory import MemoryStore

SETTINGS = config.load({config.FIRESTORE_HOST: "127.0.0.1:1", "TIMEOUT_SECONDS": "100", "SIGNUP_CREDITS": "7"})


def not_now() -> Connection:
    raise AssertionError("connected")


def test_nothing_is_connected_when_the_services_are_built() -> None:
    """Discovery imports main without any Firestore."""
    services.build(SETTINGS, connect=not_now)


def test_the_settings_are_handed_on() -> None:
    """The share of the time-out for settling, and the credits of a new user."""
    built = services.build(SETTINGS, connect=not_now)
    assert (built.fulfillment.settling_seconds, built.signup_credits) == (15.0, 7)
    assert [*built.fulfillment.models] == ["model-a", "model-b"]


def test_the_parts_can_be_replaced() -> None:
    """By tests and benchmarks, which build from here too."""

    class Broken(Ledger):
        """A ledger that is broken on purpose."""

    model = ai_simulator.SimulatedModel("mine", "https://api", 0.0, lambda: 0.5)
    built = services.build(SETTINGS, connect=not_now, models={"mine": model}, ledger_type=Broken)
    assert isinstance(built.ledger, Broken)
    assert dict(built.fulfillment.models) == {"mine": model}


def test_the_failure_rate_of_the_simulated_models_is_the_settings() -> None:
    """All or none of them fail."""
    for rate in (0.0, 1.0):
        settings = config.load({config.FIRESTORE_HOST: "127.0.0.1:1", "AI_FAILURE_RATE": str(rate)})
        models = services.build(settings, connect=not_now).fulfillment.models.values()
        assert [getattr(model, "failure_rate") for model in models] == [rate, rate]  # noqa: B009


def test_each_model_is_run_by_what_its_setting_names() -> None:
    """Nobody is asked for credentials yet; a key that is missing shows at the first purchase."""

    def models_of(**environ: str) -> Mapping[str, ImageModel]:
        settings = config.load({"GCLOUD_PROJECT": "demo", "STORAGE_BUCKET": "pictures", **environ})
        return services.build(settings, connect=not_now).fulfillment.models

    assert models_of(MODEL_A="gemini:gemini-3-pro-image", MODEL_B="openai:gpt-image-2") == {
        "model-a": GeminiModel("gemini-3-pro-image", "demo"),
        "model-b": OpenAiModel("gpt-image-2", ""),
    }
    models = models_of(MODEL_B="openai:gpt-image-2", OPENAI_API_KEY="sk-x")
    assert models["model-b"] == OpenAiModel("gpt-image-2", "sk-x")
    assert isinstance(models["model-a"], ai_simulator.SimulatedModel)


def test_one_step_takes_a_quarter_of_the_time_out_at_most() -> None:
    """So that a slow Firestore leaves time to answer."""
    store, stopwatch = MemoryStore(lambda: datetime.now(UTC)), Stopwatch()
    built = services.build(
        config.load({config.FIRESTORE_HOST: "127.0.0.1:1", "TIMEOUT_SECONDS": "2"}), connect=store.connect
    )
    store.before_rpc = failing(StatusCode.UNAVAILABLE, "BatchGetDocuments", times=1_000_000)
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        built.history.balance("ann")
    assert time.monotonic() - begun < 1.5
    # The policy of a test comes first.
    patient = services.build(SETTINGS, connect=store.connect, policy=impatient(stopwatch, max_seconds=3.0))
    with pytest.raises(Unavailable):
        patient.history.balance("ann")
    assert 2.5 <= stopwatch() <= 3.0


def test_the_services_work_together() -> None:
    """A new user buys an image and reads the ledger."""
    backend = Backend(SIGNUP_CREDITS="7")
    call = Call(Caller("ann"), NO_DEADLINE)
    handlers.create_generation_request(GenerationOrder.model_validate(ORDER), call, backend.services)
    query = CreditsQuery.model_validate({"userId": "ann"})
    reply = handlers.get_user_credits(query, call, backend.services).reply
    assert reply.model_dump(by_alias=True)["currentCredits"] == 6


def test_reporting_is_made_once_and_only_when_it_is_needed() -> None:
    """Both of its functions share one."""
    backend = Backend()
    assert backend.services.reporting() is backend.services.reporting()


def test_ids_are_unique() -> None:
    """An id is a plain document id."""
    assert len({services.new_id() for _ in range(1_000)}) == 1_000
    assert services.new_id().isalnum()
    assert Deadline.after(1).left_seconds <= 1
