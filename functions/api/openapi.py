"""The OpenAPI 3.1 document of this API, made from the table of operations, the schemas and the errors.

dev/generate.py writes it to openapi.yaml. Nothing that is deployed imports this module.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.alias_generators import to_camel

import config
from api.auth import ADMIN_CLAIM, APP_CHECK_HEADER
from api.body import MAX_BODY_BYTES, MAX_HEADERS_BYTES, MAX_QUERY_BYTES
from api.endpoint import APPLIED, CACHE_HEADERS, LOCATION, NO_SNIFFING, POLICY_HEADER
from api.json_schemas import ExactSchema, Schema, example, of_outputs
from api.operations import OPERATIONS, PICTURE, Access, Operation
from errors import REPLAYED, RETRY_AFTER, ApiError
from schemas import replies
from schemas.fields import KEY_HEADER

ABOUT = f"""\
Users use their own account. Admins, who have the custom claim `{ADMIN_CLAIM}: true`, use every account. An emulator
may allow calls without a token, which may do everything. Web pages of the origins in `ALLOWED_ORIGINS` may call too.

Programs should look at the HTTP status and at `error.details.reason`. Messages are for people and may change.

Functions that answer GET also answer HEAD. The query may have {MAX_QUERY_BYTES:,} bytes, the headers
{MAX_HEADERS_BYTES:,} and a body {MAX_BODY_BYTES:,}. If a parameter is sent twice, the first one counts. If a JSON field
is sent twice, the last one counts.
"""
REGION = config.REGION.default
HOST = {"region": {"default": REGION}, "project": {"default": "your-project"}}
SERVERS = [
    {"url": f"http://127.0.0.1:5001/demo-case-study/{REGION}", "description": "The local emulator."},
    {"url": "https://{region}-{project}.cloudfunctions.net", "description": "Production.", "variables": HOST},
]
ETAG = "ETag"
APP_CHECK = "Needed if the setting `REQUIRE_APP_CHECK` is true."
SECURITY_SCHEMES = {
    "idToken": {"type": "http", "scheme": "bearer", "description": "A Firebase ID token."},
    "appCheck": {"type": "apiKey", "in": "header", "name": APP_CHECK_HEADER, "description": APP_CHECK},
}
HEADERS: Mapping[str, Schema] = {
    REPLAYED: {"description": f"The answer to an earlier request with this {KEY_HEADER}.", "schema": {"const": "true"}},
    RETRY_AFTER: {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "Allow": {"description": "The methods of this function.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "How to sign in.", "schema": {"const": "Bearer"}},
    APPLIED: {"description": "The preference that was followed.", "schema": {"type": "string"}},
    LOCATION: {"description": "Where to ask how it goes on.", "schema": {"type": "string", "format": "uri-reference"}},
    ETAG: {"description": "The picture's version.", "schema": {"type": "string"}},
    **{
        name: {"description": "For browsers.", "schema": {"const": value}}
        for name, value in (NO_SNIFFING | CACHE_HEADERS).items()
    },
    POLICY_HEADER: {"description": "For browsers.", "schema": {"type": "string"}},
}
PAGE_HEADERS = (POLICY_HEADER, *NO_SNIFFING)
PICTURE_HEADERS = (ETAG, *CACHE_HEADERS, *NO_SNIFFING)


def document() -> Schema:
    """The whole document."""
    errors = [error for operation in OPERATIONS for error in operation.errors]
    found = [model for operation in OPERATIONS for model in operation.models]
    schemas = of_outputs([*found, replies.PendingReply, *(error.details_type for error in errors)])
    schemas |= {error.__name__: _error(error) for error in errors}
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        paths.setdefault(f"/{operation.function}", {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "AI images by the credit", "version": "1.0.0", "description": ABOUT},
        "servers": SERVERS,
        "security": [{"idToken": []}, {"idToken": [], "appCheck": []}],
        "paths": paths,
        "components": {"securitySchemes": SECURITY_SCHEMES, "schemas": dict(sorted(schemas.items()))},
    }


def _operation(operation: Operation, schemas: dict[str, Schema]) -> Schema:
    """One operation. Adds its body to the schemas."""
    model = operation.input.model_json_schema(schema_generator=ExactSchema)
    fields, required = model["properties"], model.get("required", [])
    if operation.acts_for_user and "userId" in required:
        required.remove("userId")
    in_query = [] if operation.has_body else [(name, "query") for name in fields]
    parameters = [
        {"name": name, "in": place, "required": name in required, "schema": fields[name]}
        | {"description": fields[name].pop("description")}
        for name, place in [*in_query, *((name, "header") for name in operation.headers)]
    ]
    body = {}
    if operation.has_body:
        for header in operation.headers:
            fields.pop(header)
        schemas[operation.input.__name__] = {**model, "required": [name for name in required if name in fields]}
        body = {"requestBody": {"required": True, "content": _json([operation.input], schemas)}}
    return {
        "operationId": to_camel(operation.handle.__name__),
        "summary": _first_line(operation.handle),
        "description": operation.access.value,
        **({"security": []} if operation.access is Access.PUBLIC else {}),
        **({"parameters": parameters} if parameters else {}),
        **body,
        "responses": {"200": _success(operation, schemas), **_accepted(operation, schemas), **_unchanged(operation)}
        | _refusals(operation),
    }


def _success(operation: Operation, schemas: Mapping[str, Schema]) -> Schema:
    if operation.draws:
        picture = {PICTURE: {"schema": {"type": "string", "format": "binary"}}}
        return {"description": "The picture.", **_headers(dict.fromkeys(PICTURE_HEADERS, True)), "content": picture}
    texts = {media_type: {"schema": {"type": "string"}} for media_type in operation.media_types}
    page_headers = dict.fromkeys(PAGE_HEADERS, not operation.models) if texts else {}
    headers = page_headers | ({REPLAYED: False} if operation.takes_key else {})
    headers |= {APPLIED: False} if operation.takes_preference else {}
    content = (_json(operation.models, schemas) if operation.models else {}) | texts
    description = _first_line(operation.models[0]) if operation.models else "The text."
    return {"description": description, **_headers(headers), "content": content}


def _accepted(operation: Operation, schemas: Mapping[str, Schema]) -> Schema:
    if not operation.takes_preference:
        return {}
    headers = {REPLAYED: False, APPLIED: True, LOCATION: True, RETRY_AFTER: True}
    return {
        "202": {
            "description": "With Prefer: the credits are reserved, and the image is being made.",
            **_headers(headers),
            "content": _json([replies.PendingReply], schemas),
        }
    }


def _unchanged(operation: Operation) -> Schema:
    if not operation.draws:
        return {}
    headers = _headers(dict.fromkeys((ETAG, *CACHE_HEADERS), True))
    return {"304": {"description": "The picture is still the one whose ETag was sent in If-None-Match.", **headers}}


def _refusals(operation: Operation) -> Schema:
    """The answers other than 200, by status."""
    found: dict[str, Schema] = {}
    for status in sorted({error.http_status for error in operation.errors}):
        errors = [error for error in operation.errors if error.http_status == status]
        names = {name for error in errors for name in (*error.header_names, *error.optional_header_names)}
        found[str(status)] = {
            "description": " Or: ".join(_meaning(error) for error in errors),
            **_headers({name: all(name in its.header_names for its in errors) for name in sorted(names)}),
            "content": {"application/json": {"schema": _ref(*errors)}},
        }
    return found


def _error(error: type[ApiError]) -> Schema:
    code, status, text = {"const": error.http_status}, {"const": error.status}, {"type": "string"}
    fields = {"code": code, "status": status, "message": text, "details": _ref(error.details_type)}
    return {"description": _meaning(error), **_closed({"error": _closed(fields)})}


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _headers(names: Mapping[str, bool]) -> Schema:
    """The headers of an answer, if any; `names` says of each whether it is always sent."""
    headers = {name: {"required": is_sure, **HEADERS[name]} for name, is_sure in names.items()}
    return {"headers": headers} if headers else {}


def _json(models: Sequence[type], schemas: Mapping[str, Schema]) -> Schema:
    return {"application/json": {"schema": _ref(*models), "example": example(_ref(models[0]), schemas)}}


def _ref(*models: type) -> Schema:
    refs = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


def _meaning(error: type[ApiError]) -> str:
    return _first_line(error).removeprefix(f"{error.http_status}: ")


def _first_line(documented: Any) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0]
