"""A completed purchase opens as a picture, and nothing else does."""

import io
import itertools
from collections.abc import Callable

import pytest
import requests
from PIL import Image

from tests.support.assembly import assembled, in_process
from tests.support.budget import PICTURES, PICTURES_STRIDE
from tests.support.calls import Function
from tests.support.contract import error_of, order
from tests.support.projects import Project
from tests.support.servers import FunctionServer
from tests.support.shop import reserved

MARK = b"http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
COMBINATIONS = itertools.product(
    ("512x512", "1024x1024", "1024x1792"),
    ("vibrant", "monochrome", "pastel", "neon", "vintage"),
    ("realistic", "anime", "oil painting", "sketch", "cyberpunk", "watercolor"),
    ("model-a", "model-b"),
)
# A picture is drawn at each opening. The stride has no divisor in common with the numbers of styles and models.
AGAIN_STRIDE = 5
NOT_FOUND = {"code": 404, "status": "NOT_FOUND", "message": "Generation request not found.", "details": {}}


@pytest.fixture
def image(server: FunctionServer) -> Function:
    return server.of("simulatedImage")


@pytest.fixture
def bought(server: FunctionServer, common_project: Project) -> Callable[..., str]:
    """Buys an image and gives its URL on this server, whose address the settings do not know."""
    user_id = common_project.add_user(1_000)

    def buy(**options: str) -> str:
        response = server.of("createGenerationRequest").post(order(user_id, **options))
        assert response.status_code == 200, response.text
        return opened_at(server, response.json()["imageUrl"])

    return buy


def opened_at(server: FunctionServer, url: str) -> str:
    base, _, path = url.rpartition("/")
    assert base == f"http://127.0.0.1:5001/{server.project_id}/us-central1"
    return f"{server.url}/{path}"


def test_every_purchase_opens_as_its_picture(
    bought: Callable[..., str], record_property: Callable[[str, object], None]
) -> None:
    """In each combination on offer: a PNG of the ordered size with its mark; every fifth has the same bytes again."""
    opened = 0
    wanted = itertools.islice(itertools.cycle([*COMBINATIONS]), 0, None, PICTURES_STRIDE)
    for size, color, style, model in itertools.islice(wanted, PICTURES):
        url = bought(size=size, color=color, style=style, model=model, prompt=f"picture {opened}")
        first = requests.get(url, timeout=60)
        assert (first.status_code, first.headers["Content-Type"]) == (200, "image/png")
        with Image.open(io.BytesIO(first.content)) as picture:
            picture.load()
            assert "{}x{}".format(*picture.size) == size
        assert MARK in first.content
        if opened % AGAIN_STRIDE == 0:
            assert requests.get(url, timeout=60).content == first.content
        opened += 1
    record_property("figure", f"pictures: {opened} of {PICTURES} purchases opened, each with its mark")


def test_a_picture_is_kept_for_good(bought: Callable[..., str]) -> None:
    """With a version to ask about; HEAD tells its length."""
    url = bought()
    first = requests.get(url, timeout=60)
    assert first.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    again = requests.get(url, headers={"If-None-Match": first.headers["ETag"]}, timeout=60)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    head = requests.head(url, timeout=60)
    assert (head.status_code, head.content, int(head.headers["Content-Length"])) == (200, b"", len(first.content))


def test_what_is_not_a_bought_picture_is_not_found(
    image: Function, common_project: Project, bought: Callable[..., str]
) -> None:
    """Pending, failed, unknown, somebody's guessed id, and another picture's token: 404 in one shape."""
    ledger = assembled(common_project).ledger
    user_id = common_project.add_user(10)
    pending, failed = reserved(ledger, user_id, "pending"), reserved(ledger, user_id, "failed")
    ledger.refund(failed, "PROVIDER_FAILED")
    one, other = ids_of(bought()), ids_of(bought())
    for request_id, token in [
        (pending.request_id, pending.run_id),
        (failed.request_id, failed.run_id),
        ("unknown", "token"),
        (one[0], "guessed"),
        (one[0], one[0]),
        (one[0], other[1]),
    ]:
        response = image.get(generationRequestId=request_id, token=token)
        assert error_of(response) == NOT_FOUND
        assert "Cache-Control" not in response.headers


def ids_of(url: str) -> list[str]:
    return [part.partition("=")[2] for part in url.partition("?")[2].split("&")]


def test_a_broken_size_in_the_catalog_still_gives_a_picture(project: Project) -> None:
    """A size is a name that an operator chooses; the picture is a square if it gives no pixels."""
    user_id = project.add_user(10)
    project.put("sizes/poster", {"credits": 2})
    api = in_process(project)
    url = api.of("createGenerationRequest").post(order(user_id, size="poster")).json()["imageUrl"]
    request_id, token = ids_of(url)
    response = api.of("simulatedImage").get(generationRequestId=request_id, token=token)
    with Image.open(io.BytesIO(response.content)) as picture:
        assert picture.size == (1024, 1024)


def test_the_address_of_a_picture_never_comes_from_the_client(project: Project) -> None:
    """A request that names another host in three headers gets the host of API_BASE_URL."""
    user_id = project.add_user(10)
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    create = in_process(project, API_BASE_URL="https://shop.example/api").of("createGenerationRequest")
    url = create.post(order(user_id), headers).json()["imageUrl"]
    assert url.startswith("https://shop.example/api/simulatedImage?")


def test_the_catalog_is_shown_to_everybody(project: Project) -> None:
    """What is on offer in Firestore, with prices, in the order of its names; without a token."""
    project.put("styles/pixel art", {})
    project.put("sizes/free", {"credits": 0})
    response = in_process(project, REQUIRE_AUTH="true").of("getCatalog").get()
    assert response.json() == {
        "models": ["model-a", "model-b"],
        "styles": ["anime", "cyberpunk", "oil painting", "pixel art", "realistic", "sketch", "watercolor"],
        "colors": ["monochrome", "neon", "pastel", "vibrant", "vintage"],
        "sizes": [
            {"size": "1024x1024", "credits": 3},
            {"size": "1024x1792", "credits": 4},
            {"size": "512x512", "credits": 1},
        ],
    }
