"""From a provider's answer to a picture that is kept and sold, or to a refund."""

import pytest
from pytest_httpserver import HTTPServer

import handlers
from calls import Call, Caller
from credits.documents import PROVIDER_FAILED
from errors import GenerationFailed
from images.model import generate_image
from schemas.replies import GenerationReply
from schemas.requests import GenerationOrder
from store import Deadline
from tests.support.builders import ORDER, Backend, Stopwatch
from tests.support.files import MemoryFiles, picture, saved
from tests.support.providers import PROVIDERS, Provider
from tests.unit.images.contract.cases import answering

each_provider = pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)


def bought(backend: Backend) -> GenerationReply:
    call = Call(Caller("ann"), backend.deadline())
    answer = handlers.create_generation_request(GenerationOrder.model_validate(ORDER), call, backend.services)
    assert isinstance(answer.reply, GenerationReply)
    return answer.reply


def shop(provider: Provider, url: str, files: MemoryFiles) -> Backend:
    backend = Backend(lambda order, _: generate_image(provider.at(url), order, Deadline.after(50)), files)
    backend.add_user()
    return backend


@each_provider
def test_a_providers_picture_is_kept_and_sold(provider: Provider, httpserver: HTTPServer) -> None:
    """The buyer pays for it, and gets the address of the file."""
    files = MemoryFiles()
    with answering(200, provider.success(saved(picture())))(provider, httpserver, Stopwatch()) as url:
        backend = shop(provider, url, files)
        reply = bought(backend)
    assert (reply.deducted_credits, backend.balance(), backend.violations()) == (1, 9, [])
    assert len(files.kept) == 1
    assert reply.image_url


@each_provider
def test_garbage_is_neither_kept_nor_sold(provider: Provider, httpserver: HTTPServer) -> None:
    """Base64 of something that is not a picture, whatever media type it comes with."""
    files = MemoryFiles()
    with answering(200, provider.success(b"\x89PNG\r\n\x1a\n garbage"))(provider, httpserver, Stopwatch()) as url:
        backend = shop(provider, url, files)
        with pytest.raises(GenerationFailed) as caught:
            bought(backend)
    assert caught.value.details["failure"] == PROVIDER_FAILED
    assert (backend.balance(), backend.violations(), len(files.kept)) == (10, [], 0)
