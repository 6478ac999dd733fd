"""The providers of real models, as servers of this machine that speak like them."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.auth.credentials import Credentials

from images.gemini import GeminiModel
from images.model import ImageModel
from images.openai import OpenAiModel

KEY = "sk-s3cret"
PROMPT = "a s3cret garden"
# What a provider says in its own words, which must not get into our log.
CHATTER = "s3cret words of the provider"


class FixedCredentials(Credentials):
    """Google credentials that need no network: each refresh gives the next token."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.refreshed = 0

    def refresh(self, request: Any) -> None:
        self.refreshed += 1
        self.token = f"token-{self.refreshed}"


@dataclass(frozen=True)
class Provider:
    """How a provider is asked and how it answers: each refusal is a status and a body."""

    name: str
    path: str
    at: Callable[[str], ImageModel]
    picture: Callable[[Any], Mapping[str, Any]]
    refusals: Sequence[tuple[int, Mapping[str, Any]]]
    no_pictures: Sequence[Mapping[str, Any]]
    error: Mapping[str, Any] = field(default_factory=lambda: {"error": {"message": CHATTER, "code": None}})

    def success(self, data: bytes) -> bytes:
        """The body of an answer with this file in it."""
        return json.dumps(self.picture(base64.b64encode(data).decode())).encode()


def _gemini_picture(data: Any) -> Mapping[str, Any]:
    parts = [{"text": CHATTER}, {"inlineData": {"mimeType": "image/png", "data": data}}]
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}], "usageMetadata": {}}


def _gemini_stop(reason: Any) -> Mapping[str, Any]:
    return {"candidates": [{"finishReason": reason, "finishMessage": CHATTER, "content": {}}]}


GEMINI = Provider(
    "gemini",
    "/v1/projects/demo/locations/global/publishers/google/models/gemini-x-image:generateContent",
    lambda url: GeminiModel("gemini-x-image", "demo", FixedCredentials, url),
    _gemini_picture,
    [
        (200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": CHATTER}}),
        *((200, _gemini_stop(reason)) for reason in ("SAFETY", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "SPII")),
    ],
    [
        {},
        {"candidates": []},
        {"candidates": CHATTER},
        {"candidates": [{"content": {"parts": [{"text": CHATTER}]}, "finishReason": "STOP"}]},
        {"candidates": [{"content": {"parts": 5}}]},
        {"candidates": [{"content": {"parts": [{"inlineData": {"data": "AAAA"}}]}}]},
        {"candidates": [{"content": {"parts": [{"thought": True, "inlineData": {"mimeType": "x", "data": "AAAA"}}]}}]},
        _gemini_stop("NO_IMAGE"),
        _gemini_stop(["SAFETY"]),
        _gemini_picture("%%%"),
        _gemini_picture(""),
        _gemini_picture(None),
        _gemini_picture({"a": 1}),
    ],
)


def _openai_picture(data: Any) -> Mapping[str, Any]:
    return {"created": 1, "data": [{"b64_json": data}], "output_format": "png", "usage": {"total_tokens": 1}}


def _openai_error(code: Any) -> Mapping[str, Any]:
    return {"error": {"message": CHATTER, "type": "image_generation_user_error", "param": None, "code": code}}


OPENAI = Provider(
    "openai",
    "/v1/images/generations",
    lambda url: OpenAiModel("gpt-image-x", KEY, url),
    _openai_picture,
    [(400, _openai_error("moderation_blocked")), (400, _openai_error("content_policy_violation"))],
    [
        {},
        {"data": []},
        {"data": CHATTER},
        {"data": [{"url": "https://elsewhere.example/1.png"}]},
        _openai_picture("%%%"),
        _openai_picture(""),
        _openai_picture(None),
        _openai_picture(["A"]),
    ],
)
PROVIDERS = (GEMINI, OPENAI)
