"""functions/openapi.yaml as a judge: what in a real answer it does not describe."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

FILE = Path(__file__).resolve().parents[2] / "functions" / "openapi.yaml"
# The server's own, and Vary, which every answer has if pages of other origins may call.
OTHER_HEADERS = {"server", "date", "connection", "content-type", "content-length", "vary"}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
CORS_PREFIX = "access-control-"


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """One described answer: headers, with whether they are required, and bodies by media type."""

    headers: Mapping[str, tuple[bool, jsonschema_rs.Validator]]
    bodies: Mapping[str, jsonschema_rs.Validator]

    def problems(self, method: str, answer: Answer) -> Iterator[str]:
        sent = {name.lower(): value for name, value in answer.headers.items()}
        yield from self._header_problems(sent)
        media_type = sent.get("content-type", "").partition(";")[0]
        if not self.bodies:
            yield from ["a body is not described"] if answer.body else []
        elif media_type not in self.bodies:
            yield f"content type {media_type!r} is not described"
        elif method != "HEAD":
            yield from _body_problems(media_type, answer.body, self.bodies[media_type])
        elif answer.body:
            yield "HEAD was answered with a body"

    def _header_problems(self, sent: Mapping[str, str]) -> Iterator[str]:
        for name, (required, validator) in self.headers.items():
            if name in sent:
                yield from violations(validator, _read_header(sent[name]), f"header {name}")
            elif required:
                yield f"header {name} is missing"
        for name in sent.keys() - self.headers.keys() - OTHER_HEADERS:
            if not name.startswith(CORS_PREFIX):
                yield f"header {name} is not described"


class Description:
    """The OpenAPI document with every answer's schema compiled."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = yaml.load(FILE.read_text(encoding="utf-8"), yaml.CSafeLoader)
        self.methods = {
            path.removeprefix("/"): {method.upper() for method in operations}
            for path, operations in self.document["paths"].items()
        }
        self._responses = {
            (path.removeprefix("/"), method.upper(), int(status)): self._compiled(response)
            for path, operations in self.document["paths"].items()
            for method, operation in operations.items()
            for status, response in operation["responses"].items()
        }

    def problems(self, function: str, method: str, answer: Answer) -> list[str]:
        """Everything in an answer that is not as described. HEAD is answered as GET is, without the body."""
        described = {"HEAD": "GET"}.get(method, method)
        if described not in self.methods[function]:
            if answer.status != 405:
                return [f"{method} is not described, and was answered {answer.status}"]
            # A wrong method is described with each of the right ones.
            described = min(self.methods[function])
        response = self._responses.get((function, described, answer.status))
        if response is None:
            return [f"status {answer.status} is not described"]
        return [*response.problems(method, answer)]

    def validator(self, schema: Any) -> jsonschema_rs.Validator:
        """Of a schema that may refer to the document's."""
        whole = {"components": self.document["components"], "allOf": [schema]}
        return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)

    def _compiled(self, response: Mapping[str, Any]) -> Response:
        headers = response.get("headers", {})
        return Response(
            {name.lower(): (its["required"], self.validator(its["schema"])) for name, its in headers.items()},
            {media_type: self.validator(its["schema"]) for media_type, its in response.get("content", {}).items()},
        )


def violations(validator: jsonschema_rs.Validator, value: Any, what: str = "body") -> list[str]:
    """What in a value is not as its schema says."""
    return [f"{what} at {error.instance_path}: {error.message}" for error in validator.iter_errors(value)]


def _read_header(value: str) -> Any:
    return int(value) if value.isdecimal() else value


def _body_problems(media_type: str, body: bytes, validator: jsonschema_rs.Validator) -> list[str]:
    if media_type == "image/png":
        return [] if body.startswith(PNG_SIGNATURE) else ["body is not a PNG"]
    try:
        text = body.decode()
        value = json.loads(text, parse_constant=_refuse_constant) if media_type == "application/json" else text
    except ValueError as error:
        return [f"body is not {media_type}: {error}"]
    return violations(validator, value)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
