"""docs/models.md: its model runs, and its tables say what the code does."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

import config
from api.endpoint import ANSWER_SHARE
from credits.documents import PROVIDER_BUSY, PROVIDER_FAILED, REFUSED_CONTENT, STORAGE_FAILED, TIMED_OUT
from images.gemini import aspect_ratio
from images.model import ImageOrder, ModelFailed, PictureBytes, ProviderBusy, generate_image
from images.openai import OpenAiModel, size_for
from services import SETTLING_SHARE
from store import Connection, Deadline
from tests.support.providers import OPENAI, PROVIDERS

TEXT_FILE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
TEXT = TEXT_FILE.read_text(encoding="utf-8")
ORDER = ImageOrder("request", "attempt", "anime", "neon", "1024x1792", "a red bicycle")


def not_now() -> Connection:
    raise AssertionError("connected")


@pytest.fixture(name="block")
def run_block() -> dict[str, Any]:
    """What the document's one Python block defines."""
    [source] = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(source, "docs/models.md", "exec"), names)
    names["lines"] = [line for line in source[source.index("class ") :].splitlines() if line.strip()]
    return names


def test_the_model_of_the_document_is_as_short_as_it_says(block: dict[str, Any]) -> None:
    """Twenty lines without the imports."""
    assert len(block["lines"]) <= 20


def test_the_model_of_the_document_runs(block: dict[str, Any], httpserver: HTTPServer) -> None:
    """Wired as it says, it gives the picture of a server that speaks like that."""
    body = {"image": base64.b64encode(b"picture").decode()}
    httpserver.expect_request("/draw", "POST").respond_with_json(body)
    built = block["build"](config.load({}), httpserver.url_for("/draw"), connect=not_now)
    assert generate_image(built.fulfillment.models["model-a"], ORDER, Deadline.after(50)) == PictureBytes(
        b"picture", "image/png"
    )
    [(request, _)] = httpserver.log
    sent = json.loads(request.get_data())
    assert (sent["width"], sent["height"]) == (1024, 1792)
    assert "a red bicycle" in sent["prompt"]
    httpserver.clear()
    httpserver.expect_request("/draw").respond_with_data("busy", 503, {"Retry-After": "9"})
    with pytest.raises(ProviderBusy) as caught:
        generate_image(built.fulfillment.models["model-a"], ORDER, Deadline.after(50))
    assert caught.value.retry_after_seconds == 9


def test_the_sizes_are_those_of_the_code() -> None:
    """Each row that names a size."""
    rows = re.findall(r"^\| `(\d+x\d+)` \| ([0-9:]+) \| `(\d+x\d+)` \| `(\d+x\d+)` \|$", TEXT, re.MULTILINE)
    assert len(rows) == 3
    for size, ratio, older, newer in rows:
        assert (aspect_ratio(size), size_for("gpt-image-1.5", size), size_for("gpt-image-2", size)) == (
            ratio,
            older,
            newer,
        )


def test_every_failure_is_explained() -> None:
    """One row each."""
    rows = re.findall(r"^\| .* \| `([A-Z_]+)` \| .* \|$", TEXT, re.MULTILINE)
    assert rows == [REFUSED_CONTENT, PROVIDER_BUSY, TIMED_OUT, PROVIDER_FAILED, STORAGE_FAILED]


def test_every_choice_of_a_setting_is_listed() -> None:
    """As the settings take them."""
    choices = re.findall(r"^\| `([a-z]+)(:<model>)?` \|", TEXT, re.MULTILINE)
    assert [choice for choice, _ in choices] == ["simulated", "gemini", "openai"]
    for choice, has_model in choices:
        written = f"{choice}:m" if has_model else choice
        settings = config.load({"MODEL_A": written, "STORAGE_BUCKET": "pictures"})
        assert settings.models["model-a"] == written


def test_the_alert_finds_what_only_an_operator_can_mend(httpserver: HTTPServer) -> None:
    """Its filter is in docs/operations.md; a provider's bad minute is not in it."""
    operations = TEXT_FILE.with_name("operations.md").read_text(encoding="utf-8")
    [pattern] = re.findall(r'jsonPayload\.why=~"([^"]+)"', operations)
    quota, nothing = {"error": {"type": "insufficient_quota"}}, {"error": {"type": "server_error"}}
    for status, body in ((401, nothing), (403, nothing), (404, nothing), (429, quota), (429, nothing), (500, nothing)):
        for provider in PROVIDERS if body is nothing else [OPENAI]:
            httpserver.clear()
            httpserver.expect_request(provider.path).respond_with_json(body, status)
            with pytest.raises(ModelFailed) as caught:
                generate_image(provider.at(httpserver.url_for("").rstrip("/")), ORDER, Deadline.after(50))
            is_found = bool(re.search(pattern.replace("\\|", "|"), str(caught.value)))
            assert is_found == (status < 429 or body is quota), str(caught.value)
    with pytest.raises(ModelFailed, match=pattern.replace("\\|", "|")):
        generate_image(OpenAiModel("gpt-image-2", ""), ORDER, Deadline.after(50))


def test_the_time_of_a_model_is_what_the_document_says() -> None:
    """Of the default time-out, what is left between the answer and the refund."""
    share = ANSWER_SHARE - SETTLING_SHARE
    assert f"{share:.0%}".replace("%", " %") in TEXT
    assert f"the {share * config.load({}).timeout_seconds:.0f} seconds of the default" in TEXT
