"""Gemini's image models on Vertex AI, with the functions' own service account and no key.

Request and answer of generateContent: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
Refusals: https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/process-blocked-responses
The aspect ratios: ImageConfig of the API's v1, as its client libraries document it. docs/models.md says what was tried.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import google.auth
import requests
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

from images.model import ImageOrder, ModelFailed, PictureBytes, ProviderFailed, RefusedContent
from images.prompts import prompt_for
from images.provider import at, decoded, post_json
from images.sizes import Size
from store import Deadline

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
BASE_URL = "https://aiplatform.googleapis.com"
RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
# The values of finishReason after which another prompt may help: Candidate.FinishReason of the API.
REFUSALS = (
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
)
HINTS = {
    403: "Is the Vertex AI API on, and has the functions' service account the role Vertex AI User?",
    404: "Is there a model of this name in the location global?",
}


@lru_cache
def application_default() -> Credentials:
    """The functions' own service account, looked up once."""
    credentials: Credentials = google.auth.default(scopes=[SCOPE])[0]
    return credentials


@dataclass(frozen=True, slots=True)
class GeminiModel:
    """One of Gemini's image models, by its name. The project pays."""

    model: str
    project: str
    credentials: Callable[[], Credentials] = application_default
    base_url: str = BASE_URL

    def generate(self, order: ImageOrder, deadline: Deadline) -> PictureBytes:
        """Makes the image, of about one megapixel in the aspect ratio that is nearest to the order's.

        Raises:
            ModelFailed: as post_json; RefusedContent if a filter stopped the prompt or the picture.
        """
        place = f"projects/{self.project}/locations/global/publishers/google/models/{self.model}"
        payload = {
            "contents": [{"role": "user", "parts": [{"text": prompt_for(order)}]}],
            "generationConfig": {
                "responseModalities": ["TEXT", "IMAGE"],
                "imageConfig": {"aspectRatio": aspect_ratio(order.size)},
            },
        }
        url = f"{self.base_url}/v1/{place}:generateContent"
        return _picture(post_json(self._session, url, payload, deadline, _judge))

    def _session(self) -> requests.Session:
        try:
            return AuthorizedSession(self.credentials(), max_refresh_attempts=1)
        except GoogleAuthError as error:
            raise ProviderFailed("There are no application default credentials for Vertex AI.") from error


def aspect_ratio(size: str) -> str:
    """The ratio on offer that is nearest to this size's."""
    wanted = math.log(Size.named(size).ratio)
    return min(RATIOS, key=lambda name: abs(math.log(Size.named(name.replace(":", "x")).ratio) - wanted))


def _judge(status: int, details: Mapping[str, Any]) -> ModelFailed | None:
    return ProviderFailed(f"Vertex AI answered {status}. {HINTS[status]}") if status in HINTS else None


def _picture(answer: Mapping[str, Any]) -> PictureBytes:
    if at(answer, "promptFeedback", "blockReason"):
        raise RefusedContent("Gemini refused the prompt.")
    reason = at(answer, "candidates", 0, "finishReason")
    if reason in REFUSALS:
        raise RefusedContent(f"Gemini refused the picture: {reason}.")
    parts = at(answer, "candidates", 0, "content", "parts")
    for part in parts if isinstance(parts, list) else ():
        # A model that thinks may send drafts first.
        if at(part, "inlineData") and not at(part, "thought"):
            return decoded(at(part, "inlineData", "data"), at(part, "inlineData", "mimeType"))
    raise ProviderFailed("Gemini answered without a picture.")
