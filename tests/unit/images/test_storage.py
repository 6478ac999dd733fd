"""Pictures in a bucket, on a real server: written once, found under their URL, deleted."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from images.keeping import CACHE_CONTROL, PictureKey
from images.model import PictureBytes, StorageFailed
from images.storage import PictureStore, StoredAt
from store import NO_DEADLINE, Deadline
from tests.support.builders import Stopwatch, expired
from tests.support.files import BUCKET, Bucket, bucket_server, losing_the_first_answer
from tests.support.raw_server import raw_server, sending

PICTURE = PictureBytes(b"a whole picture", "image/webp")
KEY = PictureKey("ann", "request", "attempt")


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    with bucket_server() as started:
        yield started


@pytest.fixture
def bucket(server: Bucket) -> Iterator[Bucket]:
    """The bucket, empty again after each test."""
    yield server
    for name in server.names():
        server.remove(name)


def refused_at(place: StoredAt, deadline: Deadline = NO_DEADLINE) -> StorageFailed:
    with pytest.raises(StorageFailed) as refused:
        PictureStore(place, lambda: "token").keep(PICTURE, KEY, deadline)
    return refused.value


def test_a_picture_is_kept_as_it_will_be_served(bucket: Bucket) -> None:
    """Its bytes, its type, a year in caches, and the token that Firebase asks for."""
    url = bucket.store().keep(PICTURE, KEY, NO_DEADLINE)
    name = "images/ann/request-attempt"
    assert bucket.names() == {name}
    assert bucket.data(name) == PICTURE.data
    about = bucket.about(name)
    assert (about["contentType"], about["cacheControl"]) == ("image/webp", CACHE_CONTROL)
    token = about["metadata"]["firebaseStorageDownloadTokens"]
    assert len(token) == 32
    assert url == f"{bucket.url}/v0/b/{BUCKET}/o/images%2Fann%2Frequest-attempt?alt=media&token={token}"


def test_the_url_is_firebases_own() -> None:
    """Outside of emulators. The name stands in it as one part, whatever the user's id is."""
    place = StoredAt("shop", "shop.firebasestorage.app")
    key = PictureKey("Ann #1?&", "request", "attempt")
    url = urlsplit(PictureStore(place, lambda: "tok").url(key, "tok"))
    assert (url.scheme, url.netloc, url.query) == ("https", "firebasestorage.googleapis.com", "alt=media&token=tok")
    assert url.path == "/v0/b/shop.firebasestorage.app/o/images%2FAnn%20%231%3F%26%2Frequest-attempt"


def test_each_picture_has_a_token_of_its_own(bucket: Bucket) -> None:
    """Nobody derives one URL from another."""
    store = bucket.store()
    urls = {store.keep(PICTURE, PictureKey("ann", "request", str(number)), NO_DEADLINE) for number in range(20)}
    assert len({url.rpartition("token=")[2] for url in urls}) == 20


def test_a_picture_is_written_once(bucket: Bucket) -> None:
    """A second upload under the name changes nothing."""
    bucket.store().keep(PICTURE, KEY, NO_DEADLINE)
    before = bucket.about(KEY.object_name)
    bucket.store().keep(PictureBytes(b"another", "image/png"), KEY, NO_DEADLINE)
    assert bucket.about(KEY.object_name) == before
    assert bucket.data(KEY.object_name) == PICTURE.data


def test_a_large_picture_is_kept_whole(bucket: Bucket) -> None:
    """Above 8 MiB Google's client uploads in another way."""
    large = PictureBytes(bytes(range(256)) * 40_000, "image/png")
    bucket.store().keep(large, KEY, NO_DEADLINE)
    assert bucket.data(KEY.object_name) == large.data
    assert bucket.about(KEY.object_name)["cacheControl"] == CACHE_CONTROL


def test_an_upload_whose_answer_was_lost_is_recognised(bucket: Bucket) -> None:
    """It is tried again, refused since the picture is there, and the URL has the token that was stored."""
    with losing_the_first_answer(bucket) as url:
        store = PictureStore(StoredAt("demo", BUCKET, url), iter(["first", "second"]).__next__)
        kept = store.keep(PICTURE, KEY, NO_DEADLINE)
    assert kept.endswith("token=first")
    assert bucket.about(KEY.object_name)["metadata"]["firebaseStorageDownloadTokens"] == "first"


def test_deleting_needs_no_picture(bucket: Bucket) -> None:
    """Whoever deletes does not know whether there is one."""
    store = bucket.store()
    store.keep(PICTURE, KEY, NO_DEADLINE)
    store.delete(KEY)
    assert bucket.names() == set()
    store.delete(KEY)
    bucket.store("no-such-bucket").delete(KEY)


def test_a_missing_bucket_is_named_as_the_reason(bucket: Bucket) -> None:
    """An operator reads what to do; nothing was stored."""
    refused = refused_at(StoredAt("demo", "no-such-bucket", bucket.url))
    assert "STORAGE_BUCKET" in str(refused)
    assert not refused.leaves_picture


@pytest.mark.parametrize(("status", "words"), [(403, "Storage Object User"), (401, "credentials")])
def test_a_refusal_tells_what_to_do(status: int, words: str) -> None:
    """Without a word of the server's, which may quote names."""
    with raw_server(sending(f"HTTP/1.1 {status} No\r\nContent-Length: 6\r\n\r\nsecret".encode())) as url:
        refused = refused_at(StoredAt("demo", BUCKET, url))
    assert words in str(refused)
    assert "secret" not in str(refused)
    assert not refused.leaves_picture


def test_missing_credentials_are_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent then."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")
    refused = refused_at(StoredAt("demo", BUCKET))
    assert "no credentials" in str(refused)
    assert not refused.leaves_picture


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_without_a_clear_answer_the_picture_may_be_there(answer: bytes) -> None:
    """It is tried until the time is up, and no longer."""
    deadline = Deadline.after(1.5)
    with raw_server(sending(answer)) as url:
        refused = refused_at(StoredAt("demo", BUCKET, url), deadline)
    assert refused.leaves_picture
    assert deadline.at_seconds - deadline.monotonic() > -0.3


def test_a_server_that_says_nothing_does_not_hold_up_the_request() -> None:
    """The deadline counts, and a refund follows."""
    deadline = Deadline.after(1.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refused = refused_at(StoredAt("demo", BUCKET, f"http://127.0.0.1:{silent.getsockname()[1]}"), deadline)
    assert refused.leaves_picture
    assert deadline.at_seconds - deadline.monotonic() > -0.3


def test_without_time_nothing_is_sent(bucket: Bucket) -> None:
    """So nothing can be left."""
    refused = refused_at(StoredAt("demo", BUCKET, bucket.url), expired(Stopwatch()))
    assert not refused.leaves_picture
    assert bucket.names() == set()
