"""OpenAI's image models, with a key.

Request and answer of POST /images/generations: https://developers.openai.com/api/reference/cli/resources/images/index.md
The sizes: https://developers.openai.com/api/docs/guides/image-generation
An account without credit: https://help.openai.com/en/articles/5955604
docs/models.md says what was tried.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from images.model import ImageOrder, ModelFailed, PictureBytes, ProviderFailed, RefusedContent
from images.prompts import prompt_for
from images.provider import at, decoded, post_json
from images.sizes import Size
from store import Deadline

BASE_URL = "https://api.openai.com"
# "auto" lets the provider choose, and with it the price and the time that a picture takes.
QUALITY = "medium"
FORMAT = "png"
# Every GPT image model offers these; from gpt-image-2 on, any size within the limits below.
SIZES = ("1024x1024", "1024x1536", "1536x1024")
ANY_SIZE = r"gpt-image-([2-9]|[1-9][0-9]).*"
MIN_PIXELS, MAX_PIXELS, MAX_SIDE, MAX_RATIO, STEP = 655_360, 8_294_400, 3_840, 3.0, 16
REFUSALS = ("moderation_blocked", "content_policy_violation")
HINTS = {
    401: "Is OPENAI_API_KEY right?",
    403: "May the key's project use this model?",
    404: "Is there a model of this name?",
}


@dataclass(frozen=True, slots=True)
class OpenAiModel:
    """One of OpenAI's image models, by its name. The key's project pays."""

    model: str
    api_key: str = field(repr=False)
    base_url: str = BASE_URL

    def generate(self, order: ImageOrder, deadline: Deadline) -> PictureBytes:
        """Makes the image in the ordered size if the model offers it, and otherwise in the nearest shape.

        Raises:
            ModelFailed: as post_json; RefusedContent if moderation stopped the prompt or the picture.
        """
        if not self.api_key:
            raise ProviderFailed("OPENAI_API_KEY is not set: see docs/models.md.")
        payload = {
            "model": self.model,
            "prompt": prompt_for(order),
            "n": 1,
            "size": size_for(self.model, order.size),
            "quality": QUALITY,
            "output_format": FORMAT,
        }
        answer = post_json(self._session, f"{self.base_url}/v1/images/generations", payload, deadline, _judge)
        media_type = f"image/{at(answer, 'output_format') or FORMAT}"
        return decoded(at(answer, "data", 0, "b64_json"), media_type)

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self.api_key}"
        return session


def size_for(model: str, ordered: str) -> str:
    """The ordered size if this model offers it, otherwise the one of three whose shape is nearest."""
    size = Size.named(ordered)
    if re.fullmatch(ANY_SIZE, model) and _is_offered(size):
        return f"{size.width}x{size.height}"
    return min(SIZES, key=lambda name: abs(math.log(Size.named(name).ratio / size.ratio)))


def _is_offered(size: Size) -> bool:
    sides = (size.width, size.height)
    return (
        all(side % STEP == 0 for side in sides)
        and max(sides) <= min(MAX_SIDE, MAX_RATIO * min(sides))
        and MIN_PIXELS <= size.width * size.height <= MAX_PIXELS
    )


def _judge(status: int, details: Mapping[str, Any]) -> ModelFailed | None:
    if at(details, "error", "code") in REFUSALS:
        return RefusedContent("OpenAI refused the prompt or the picture.")
    # A 429 like that of a busy provider, but waiting does not help.
    if at(details, "error", "type") == "insufficient_quota":
        return ProviderFailed(f"OpenAI answered {status}. The account has no credit left, or reached a limit.")
    return ProviderFailed(f"OpenAI answered {status}. {HINTS[status]}") if status in HINTS else None
