"""The files of real models: sold only if they are pictures that are kept, and gone if they were not sold."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from grpc import StatusCode

import handlers
from calls import Call, Caller
from credits import documents
from errors import GenerationFailed, Internal, Unavailable
from images.keeping import LATEST_UPLOAD, PictureKey
from images.model import ImageOrder, PictureBytes, StorageFailed
from schemas.replies import GenerationReply
from schemas.requests import GenerationOrder, GenerationQuery
from store import Deadline
from tests.support.builders import IMAGE_URL, LEASE_SECONDS, ORDER, Backend, failing, quiet
from tests.support.files import TRAINED_MARK, Bucket, MemoryFiles, bad_files, bucket_server, picture, saved

GOOD = PictureBytes(saved(picture()), "image/png")
Act = Callable[[ImageOrder, Deadline], PictureBytes]


def gives(made: PictureBytes) -> Act:
    return lambda order, deadline: made


def opened(files: Any, act: Act = lambda order, deadline: GOOD) -> Backend:
    """A backend whose model gives files, and a user, ann, with 10 credits; an image costs 1."""
    backend = Backend(act, files)
    backend.add_user()
    return backend


def buy(backend: Backend, key: str | None = None) -> str:
    """Buys an image and gives its URL."""
    order = GenerationOrder.model_validate({**ORDER, "Idempotency-Key": key})
    answer = handlers.create_generation_request(order, call(backend), backend.services)
    assert isinstance(answer.reply, GenerationReply)
    return answer.reply.image_url


def call(backend: Backend) -> Call:
    return Call(Caller("ann"), backend.deadline())


def refused(backend: Backend) -> GenerationFailed:
    with pytest.raises(GenerationFailed) as failed:
        buy(backend)
    assert backend.balance() == 10
    assert backend.violations() == []
    return failed.value


def sweep(backend: Backend) -> None:
    handlers.release_expired_reservations(backend.services)


def stored(backend: Backend) -> dict[str, Any]:
    """The one request that there is."""
    [found] = [each for path, each in backend.store.everything().items() if path.startswith("generationRequests/")]
    return found


def is_marked(backend: Backend) -> bool:
    return documents.PICTURE_TO_DELETE in stored(backend)


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with bucket_server() as started:
        yield started


def test_what_was_sold_is_kept_and_marked(bucket: Bucket) -> None:
    """In each format: the answer's URL has the token of a file with the mark of pictures made by trained models."""
    for number, kind in enumerate(("PNG", "JPEG", "WEBP")):
        made = PictureBytes(saved(picture(64, 48), kind), f"image/{kind.lower()}")
        backend = opened(bucket.store(), gives(made))
        url = buy(backend)
        request = stored(backend)
        [name] = [each for each in bucket.names() if request["attemptId"] in each]
        assert name.startswith("images/ann/")
        assert request["imageUrl"] == url
        assert url.endswith(bucket.about(name)["metadata"]["firebaseStorageDownloadTokens"])
        assert bucket.about(name)["contentType"] == made.media_type
        assert TRAINED_MARK in bucket.data(name)
        assert len(bucket.names()) == number + 1


@pytest.mark.parametrize("wrong", bad_files())
def test_what_is_not_a_picture_is_refunded_and_not_kept(bucket: Bucket, wrong: str) -> None:
    """The client learns that the provider failed."""
    before = bucket.names()
    backend = opened(bucket.store(), gives(bad_files()[wrong]))
    assert refused(backend).details["failure"] == "PROVIDER_FAILED"
    assert bucket.names() == before
    assert not is_marked(backend)


def test_without_a_bucket_a_file_is_refunded(capsys: pytest.CaptureFixture[str]) -> None:
    """The log tells an operator what to set."""
    failed = refused(opened(None))
    assert failed.details["failure"] == "STORAGE_FAILED"
    assert "STORAGE_BUCKET" in capsys.readouterr().out


def test_a_picture_that_cannot_be_kept_is_refunded(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was stored, so there is nothing to delete later. Sending the key again gives the same answer."""
    backend = opened(bucket.store("no-such-bucket"))
    failed = refused(backend)
    assert failed.details["failure"] == stored(backend)["failure"] == "STORAGE_FAILED"
    assert "There is no such bucket." in capsys.readouterr().out
    assert not is_marked(backend)
    query = GenerationQuery.model_validate({"generationRequestId": failed.details["generationRequestId"]})
    reply = handlers.get_generation_request(query, call(backend), backend.services).reply
    assert reply.model_dump(by_alias=True)["failure"] == "STORAGE_FAILED"


class KeepsWithoutAnswer(MemoryFiles):
    """The upload is applied, and its answer is lost."""

    def keep(self, picture: PictureBytes, key: PictureKey, deadline: Deadline) -> str:
        super().keep(picture, key, deadline)
        raise StorageFailed("no answer", leaves_picture=True)


def test_a_picture_that_may_be_there_is_deleted_by_the_sweep() -> None:
    """And again by the next ones, until no upload can come any more; then the mark goes, and nothing is asked."""
    files = KeepsWithoutAnswer()
    backend = opened(files)
    refused(backend)
    assert is_marked(backend)
    assert len(files.kept) == 1
    sweep(backend)
    assert files.kept == {}
    assert is_marked(backend)
    backend.clock.forward(LATEST_UPLOAD.total_seconds() + 1)
    sweep(backend)
    assert not is_marked(backend)
    assert backend.violations() == []
    files.before = unwanted
    sweep(backend)


def unwanted(call: str) -> None:
    raise AssertionError(call)


def test_a_process_that_died_after_the_upload_leaves_nothing_after_one_sweep() -> None:
    """The sweep does not know how far it came, so each reservation that it refunds is marked."""
    files = MemoryFiles()
    backend = opened(files)
    backend.store.before_rpc = failing(StatusCode.UNAVAILABLE, times=1_000)
    files.before = lambda call: None
    dies_while_completing(backend)
    assert len(files.kept) == 1
    assert stored(backend)["status"] == "pending"
    sweep(backend)
    assert len(files.kept) == 1, "a completion may still come"
    backend.clock.forward(LEASE_SECONDS + 1)
    sweep(backend)
    assert (stored(backend)["status"], files.kept, backend.balance()) == ("failed", {}, 10)
    assert backend.violations() == []


def dies_while_completing(backend: Backend) -> None:
    """Every commit fails but the first, which reserves."""
    first, fail = iter([True]), failing(StatusCode.UNAVAILABLE, times=1_000)
    backend.store.before_rpc = lambda name: fail(name) if name != "Commit" or not next(first, False) else None
    with pytest.raises(Unavailable):
        buy(backend)
    backend.store.before_rpc = quiet


def test_a_sweep_without_a_bucket_marks_nothing() -> None:
    """With simulated models there is nothing to delete, and the sweep asks for nothing more."""
    backend = Backend(lambda order, deadline: IMAGE_URL)
    backend.add_user()
    dies_while_completing(backend)
    backend.clock.forward(LEASE_SECONDS + 1)
    backend.store.queries.clear()
    sweep(backend)
    assert (stored(backend)["status"], is_marked(backend)) == ("failed", False)
    assert {name for query in backend.store.queries for name, *_ in query.where} == {
        "status",
        "leaseExpiresAt",
        "workerDueAt",
        "dueAt",
    }


def test_who_finds_the_request_refunded_deletes_the_picture_at_once() -> None:
    """The lease ran out while the model worked; a sweep may have been here before the upload."""
    files = MemoryFiles()

    def slowly(order: ImageOrder, deadline: Deadline) -> PictureBytes:
        backend.clock.forward(LEASE_SECONDS + 1)
        sweep(backend)
        return GOOD

    backend = opened(files, slowly)
    assert refused(backend).details["failure"] == "LEASE_EXPIRED"
    assert files.kept == {}
    assert is_marked(backend)


def test_who_cannot_delete_it_leaves_it_to_the_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    """The client is told of the refund all the same, and the log of the reason."""
    files = MemoryFiles()

    def slowly(order: ImageOrder, deadline: Deadline) -> PictureBytes:
        backend.clock.forward(LEASE_SECONDS + 1)
        sweep(backend)
        files.before = no_deleting
        return GOOD

    backend = opened(files, slowly)
    refused(backend)
    assert len(files.kept) == 1
    assert "picture not deleted" in capsys.readouterr().err
    backend.clock.forward(LATEST_UPLOAD.total_seconds() + 1)
    sweep(backend)
    assert is_marked(backend), "it is still there"
    files.before = quiet
    sweep(backend)
    assert (files.kept, is_marked(backend)) == ({}, False)


def no_deleting(call: str) -> None:
    if call == "delete":
        raise StorageFailed("not now", leaves_picture=True)


def test_the_picture_of_a_request_that_was_deleted_by_hand_is_deleted() -> None:
    """Nobody could find it later."""
    files = MemoryFiles()

    def meanwhile(order: ImageOrder, deadline: Deadline) -> PictureBytes:
        backend.store.remove(documents.request_path(order.request_id))
        return GOOD

    backend = opened(files, meanwhile)
    with pytest.raises(Internal):
        buy(backend)
    assert files.kept == {}


@pytest.mark.parametrize(
    "changes",
    [{"status": "completed", "imageUrl": IMAGE_URL}, {"status": "pending"}, {"userId": "a/b"}, {"attemptId": None}],
)
def test_a_mark_set_by_hand_deletes_nothing_that_was_sold(
    changes: Mapping[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor what nobody can name; the others are deleted all the same."""
    files = KeepsWithoutAnswer()
    backend = opened(files)
    refused(backend)
    [kept] = files.kept.items()
    refused(backend)
    path = documents.request_path(kept[0].rpartition("/")[2].partition("-")[0])
    backend.store.put(path, {**backend.store.everything()[path], **changes})
    sweep(backend)
    assert dict([kept]) == files.kept
    assert "picture not deleted" in capsys.readouterr().err


def test_the_account_of_a_leftover_may_be_gone() -> None:
    """The request is still there, and says so."""
    files = MemoryFiles()
    backend = opened(files)
    dies_while_completing(backend)
    backend.store.remove("users/ann")
    backend.clock.forward(LEASE_SECONDS + 1)
    sweep(backend)
    assert (stored(backend)["failure"], files.kept) == ("ACCOUNT_DELETED", {})


def test_two_sweeps_at_once_do_not_disturb_each_other() -> None:
    """Another one took the mark away in between."""
    files = KeepsWithoutAnswer()
    backend = opened(files)
    refused(backend)
    backend.clock.forward(LATEST_UPLOAD.total_seconds() + 1)

    def meanwhile(call: str) -> None:
        files.before = quiet
        sweep(backend)

    files.before = meanwhile
    sweep(backend)
    assert (files.kept, is_marked(backend)) == ({}, False)
    assert timedelta(seconds=3600) <= LATEST_UPLOAD
