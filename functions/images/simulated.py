"""The pictures of simulated models: where each is, and drawing it for whoever has its URL."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from credits.documents import Generation
from errors import GenerationNotFound
from images.sizes import Size

FUNCTION = "simulatedImage"


@dataclass(frozen=True, slots=True)
class SimulatedPicture:
    """A PNG that is drawn when it is asked for. The same `etag` means the same bytes."""

    etag: str
    draw: Callable[[], bytes]


def picture_url(base_url: str, request_id: str, token: str) -> str:
    """Where the picture of a request is. The token is the attempt's id, which nobody can guess."""
    return f"{base_url}/{_path(request_id, token)}"


def picture_of(generation: Generation, token: str) -> SimulatedPicture:
    """The picture of a completed request.

    Raises:
        GenerationNotFound: the request's image is not the one with this token, or it has none.
    """
    # Only the end: the address of this API may have been another when the picture was bought.
    end = f"/{_path(generation.generation_request_id, token)}"
    if not hmac.compare_digest((generation.image_url or "")[-len(end) :].encode(), end.encode()):
        raise GenerationNotFound()
    # A purchase does not pay for loading Pillow.
    from images import drawing  # noqa: PLC0415

    size = Size.named(generation.size).within(drawing.MIN_SIDE, drawing.MAX_SIDE)
    order = drawing.Drawing(
        model=generation.model,
        style=generation.style,
        color=generation.color,
        width=size.width,
        height=size.height,
        prompt=generation.prompt,
        seed=generation.generation_request_id,
    )
    etag = hashlib.sha256(f"{drawing.VERSION} {order!r}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return SimulatedPicture(etag, lambda: drawing.draw(order))


def _path(request_id: str, token: str) -> str:
    return f"{FUNCTION}?{urlencode({'generationRequestId': request_id, 'token': token})}"
