"""One contract for every model: a picture or a typed failure, in time, with nothing of it in a log."""

import gzip
import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

import handlers
from ai_simulator import SimulatedModel
from api.endpoint import error_response
from calls import Call, Caller
from credits.documents import FAILED, PROVIDER_FAILED
from errors import RETRY_AFTER, GenerationFailed
from images.model import (
    ImageModel,
    ImageOrder,
    ModelFailed,
    PictureBytes,
    PictureUrl,
    ProviderFailed,
    RefusedContent,
    TimedOut,
    generate_image,
)
from schemas.requests import GenerationOrder
from store import Deadline
from tests.support.builders import ORDER, Backend, Stopwatch, expired
from tests.support.certificates import self_signed
from tests.support.providers import PROMPT, PROVIDERS, Provider
from tests.support.raw_server import HEAD, MAX_DRIPPED_BYTES, Act, Drip, hang_up, raw_server, reset
from tests.unit.images.contract.cases import CASES, NO_OBJECTS, Case, answering

IMAGE_ORDER = ImageOrder("request", "attempt", "realistic", "vibrant", "512x512", PROMPT)
each_provider = pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def asked(model: ImageModel, stopwatch: Stopwatch | None = None) -> PictureBytes | PictureUrl:
    """One picture of this model, within 50 seconds on the stopwatch."""
    return generate_image(model, IMAGE_ORDER, Deadline.after(50, stopwatch or Stopwatch()))


def says_nothing(text: str) -> bool:
    """Whether neither prompt nor key nor the provider's words are in it."""
    return "s3cret" not in text


@each_provider
@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n and more", b"garbage"])
def test_a_picture_comes_as_it_was_sent(provider: Provider, data: bytes, httpserver: HTTPServer) -> None:
    """With the media type that the provider names; garbage too, which images/pictures.py refuses."""
    body = provider.success(data)
    for answer in (answering(200, body), answering(200, gzip.compress(body), Content_Encoding="gzip")):
        httpserver.clear()
        with answer(provider, httpserver, Stopwatch()) as url:
            assert asked(provider.at(url)) == PictureBytes(data, "image/png")
        assert len(httpserver.log) == 1


@each_provider
@each_case
def test_each_failure_has_its_type(provider: Provider, case: Case, httpserver: HTTPServer) -> None:
    """And a message that says nothing of prompt, key and answer."""
    stopwatch = Stopwatch()
    with case.serve(provider, httpserver, stopwatch) as url, pytest.raises(ModelFailed) as caught:
        asked(provider.at(url), stopwatch)
    assert (caught.value.failure, caught.value.retry_after_seconds) == (case.failure, case.retry_after_seconds)
    assert says_nothing(str(caught.value))


@each_provider
@each_case
def test_each_failure_is_refunded(
    provider: Provider, case: Case, httpserver: HTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The client is told which it was and how long to wait; so is a replay, and the request keeps it."""
    stopwatch = Stopwatch()
    with case.serve(provider, httpserver, stopwatch) as url:
        backend = Backend(lambda order, _: generate_image(provider.at(url), order, Deadline.after(50, stopwatch)))
        backend.add_user()
        error = failed_purchase(backend)
    answer = error_response(error)
    seconds = case.retry_after_seconds
    assert answer.status_code == 500
    assert json.loads(answer.get_data())["error"]["details"] == {
        "reason": "GENERATION_FAILED",
        "failure": case.failure,
        "refundedCredits": 1,
        "generationRequestId": error.details["generationRequestId"],
    }
    assert answer.headers.get(RETRY_AFTER) == (None if seconds is None else str(seconds))
    stored = backend.store.everything()[f"generationRequests/{error.details['generationRequestId']}"]
    assert (stored["status"], stored["failure"]) == (FAILED, case.failure)
    assert (backend.balance(), backend.violations()) == (10, [])
    assert failed_purchase(backend).details == error.details
    logged = capsys.readouterr()
    assert says_nothing(logged.out + logged.err)


def failed_purchase(backend: Backend) -> GenerationFailed:
    order = GenerationOrder.model_validate({**ORDER, "prompt": PROMPT, "Idempotency-Key": "key"})
    with pytest.raises(GenerationFailed) as caught:
        handlers.create_generation_request(order, Call(Caller("ann"), backend.deadline()), backend.services)
    return caught.value


@each_provider
def test_every_refusal_is_told_from_a_fault(provider: Provider, httpserver: HTTPServer) -> None:
    """Another prompt may help, so the buyer is told."""
    for status, body in provider.refusals:
        httpserver.clear()
        with answering(status, json.dumps(body).encode())(provider, httpserver, Stopwatch()) as url:
            with pytest.raises(RefusedContent) as caught:
                asked(provider.at(url))
            assert says_nothing(str(caught.value))


@each_provider
def test_an_answer_without_a_picture_is_a_fault(provider: Provider, httpserver: HTTPServer) -> None:
    """JSON of any shape that lacks the picture is PROVIDER_FAILED."""
    for body in (*NO_OBJECTS, *(json.dumps(each).encode() for each in provider.no_pictures)):
        httpserver.clear()
        with answering(200, body)(provider, httpserver, Stopwatch()) as url:
            with pytest.raises(ProviderFailed) as caught:
                asked(provider.at(url))
            assert says_nothing(str(caught.value))
            # The model's own failure, and not an exception in it.
            assert "Error" not in str(caught.value)


@each_provider
def test_nothing_is_asked_twice(provider: Provider, httpserver: HTTPServer) -> None:
    """Each attempt may cost money; the buyer decides whether to try again."""
    for status in (429, 500, 503):
        httpserver.clear()
        with answering(status)(provider, httpserver, Stopwatch()) as url, pytest.raises(ModelFailed):
            asked(provider.at(url))
        assert len(httpserver.log) == 1
    for act in (reset, hang_up):
        counted = Counted(act)
        with raw_server(counted) as url, pytest.raises(ProviderFailed):
            asked(provider.at(url))
        assert counted.times == 1


@dataclass
class Counted:
    """An act that counts how often it was done."""

    act: Act
    times: int = 0

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        self.times += 1
        self.act(connection, request)


@each_provider
def test_a_provider_that_is_not_there_is_a_fault(provider: Provider) -> None:
    """Nothing listens at the address any more."""
    with raw_server(hang_up) as url:
        pass
    with pytest.raises(ProviderFailed):
        asked(provider.at(url))


@each_provider
@pytest.mark.parametrize("begin", [b"", HEAD + b"X: ", HEAD + b"Content-Length: 1000000\r\n\r\n"])
def test_no_drip_outlasts_the_deadline(provider: Provider, begin: bytes) -> None:
    """Wherever it begins: the time-out of a socket starts again with each byte."""
    drip = Drip(begin, b" ")
    with raw_server(drip) as url, pytest.raises(TimedOut):
        generate_image(provider.at(url), IMAGE_ORDER, Deadline.after(0.2))
    assert drip.sent_bytes < MAX_DRIPPED_BYTES / 2


@each_provider
def test_an_answer_that_is_given_up_is_not_read_on(provider: Provider) -> None:
    """Its connection is closed with the first piece after the deadline."""
    stopwatch = Stopwatch()
    drip = Drip(HEAD + b"Content-Length: 1000000\r\n\r\n", b" ", lambda count: stopwatch.forward(10))
    with raw_server(drip) as url, pytest.raises(TimedOut):
        asked(provider.at(url), stopwatch)
    assert drip.sent_bytes < MAX_DRIPPED_BYTES / 2


@each_provider
def test_a_provider_that_says_nothing_is_given_up_at_the_deadline(provider: Provider) -> None:
    """Not a byte comes."""
    with raw_server(Drip(b"", b"")) as url, pytest.raises(TimedOut):
        generate_image(provider.at(url), IMAGE_ORDER, Deadline.after(0.2))


@each_provider
def test_a_provider_without_a_trusted_certificate_gets_nothing(provider: Provider, tmp_path: Path) -> None:
    """Neither the key nor the prompt: anybody could be there."""
    with HTTPServer(ssl_context=self_signed(tmp_path)) as server:
        server.expect_request(provider.path).respond_with_data(provider.success(b"x"))
        with pytest.raises(ProviderFailed, match="SSLError"):
            asked(provider.at(server.url_for("").rstrip("/")))
        assert server.log == []


@each_provider
def test_without_time_nothing_is_asked(provider: Provider, httpserver: HTTPServer) -> None:
    """The picture could not be sold."""
    with answering(200, provider.success(b"x"))(provider, httpserver, Stopwatch()) as url, pytest.raises(TimedOut):
        generate_image(provider.at(url), IMAGE_ORDER, expired())
    # Had the first one been asked, its request would be here before this one's.
    asked(provider.at(httpserver.url_for("").rstrip("/")))
    assert len(httpserver.log) == 1


def test_the_simulated_models_keep_the_contract() -> None:
    """A picture, a failure of the same type, and nothing after the deadline."""
    model = SimulatedModel("model-a", "https://api.example", 0.5, lambda: 0.5)
    picture = asked(model)
    assert isinstance(picture, PictureUrl)
    assert re.fullmatch(r"https://api\.example/simulatedImage\?generationRequestId=request&token=attempt", picture.url)
    with pytest.raises(ModelFailed) as caught:
        asked(SimulatedModel("model-a", "https://api.example", 1.0, lambda: 0.5))
    assert (caught.value.failure, says_nothing(str(caught.value))) == (PROVIDER_FAILED, True)
    with pytest.raises(TimedOut):
        generate_image(model, IMAGE_ORDER, expired())
