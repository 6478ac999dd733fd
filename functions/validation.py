"""Untrusted JSON -> GenerationRequest. Pure; reports every bad field at once."""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import reports
from catalog import Catalog
from database import is_plain_id
from errors import FieldProblem, InvalidRequest
from ledger import MAX_USER_ID_LENGTH, GenerationRequest

MAX_PROMPT_LENGTH = 4_000
MAX_ENTRY_ID_LENGTH = 300
MAX_QUOTED_LENGTH = 100
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200

_REQUIRED_FIELDS = ("userId", "model", "style", "color", "size")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_PAGE_SIZE = re.compile(r"[0-9]{1,3}")


def generation_request(body: Mapping[str, Any], catalog: Catalog, models: Sequence[str]) -> GenerationRequest:
    """Checks a request body against the catalog and prices it; unknown fields are ignored.

    Raises:
        InvalidRequest: names every field at fault and, for a catalog field, the values allowed.
    """
    problems = [*_required_problems(body, catalog, models), *_prompt_problems(body.get("prompt"))]
    if problems:
        raise InvalidRequest(_in_words(body, problems), problems)
    return GenerationRequest(
        user_id=body["userId"],
        model=body["model"],
        style=body["style"],
        color=body["color"],
        size=body["size"],
        prompt=body.get("prompt"),
        cost_credits=catalog.size_credits[body["size"]],
    )


def unpriced_request(body: Mapping[str, Any]) -> GenerationRequest | None:
    """What a body asked for, whatever the catalog says of it now; None where it is no such request at all."""
    if any(not isinstance(body.get(name), str) for name in _REQUIRED_FIELDS):
        return None
    if _user_id_problem(body["userId"]) or _prompt_problems(body.get("prompt")):
        return None
    fields = {name: body[name] for name in ("model", "style", "color", "size")}
    return GenerationRequest(body["userId"], **fields, prompt=body.get("prompt"), cost_credits=0)


def user_id_parameter(value: str | None) -> str:
    """Checks the userId of a query string.

    Raises:
        InvalidRequest: it is missing or no plain document id.
    """
    if not value:
        message = "userId parameter is required."
    elif problem := _user_id_problem(value):
        message = problem
    else:
        return value
    raise InvalidRequest.of_field("userId", message)


def page_size_parameter(value: str | None) -> int:
    """Checks the pageSize of a query string; 50 where it is absent.

    Raises:
        InvalidRequest: it is no integer from 1 to 200.
    """
    if value is None:
        return DEFAULT_PAGE_SIZE
    if _PAGE_SIZE.fullmatch(value) and 1 <= int(value) <= MAX_PAGE_SIZE:
        return int(value)
    raise InvalidRequest.of_field("pageSize", f"pageSize must be an integer from 1 to {MAX_PAGE_SIZE}.")


def page_token_parameter(value: str | None) -> str | None:
    """Reads a pageToken of a query string: the id of the last entry that the client has; None where it is absent.

    Raises:
        InvalidRequest: it is none that `page_token` made.
    """
    if value is None:
        return None
    try:
        entry_id = base64.b64decode(value, altchars=b"-_", validate=True).decode()
    except ValueError:
        entry_id = ""
    if not is_plain_id(entry_id, MAX_ENTRY_ID_LENGTH):
        raise InvalidRequest.of_field("pageToken", "pageToken is not one that this endpoint gave.")
    return entry_id


def page_token(entry_id: str) -> str:
    """The opaque token for the page after this entry."""
    return base64.urlsafe_b64encode(entry_id.encode()).decode()


def report_id_parameter(value: str | None) -> str | None:
    """Checks the reportId of a query string; None where it is absent.

    Raises:
        InvalidRequest: it has not the form of a report's id.
    """
    if value is None or reports.is_report_id(value):
        return value
    message = "reportId must have the form report_YYYY-MM-DD or report_YYYY-MM-DDTHHMMSSZ."
    raise InvalidRequest.of_field("reportId", message)


def format_parameter(value: str | None) -> bool:
    """Whether the format of a query string asks for a page, not JSON.

    Raises:
        InvalidRequest: it is neither json nor html.
    """
    if value not in (None, "json", "html"):
        raise InvalidRequest.of_field("format", "format must be json or html.")
    return value == "html"


def idempotency_key(value: str | None) -> str | None:
    """Checks the Idempotency-Key header; None where it is absent.

    Raises:
        InvalidRequest: it is not 1 to 255 visible ASCII characters.
    """
    if value is None or _IDEMPOTENCY_KEY.fullmatch(value):
        return value
    raise InvalidRequest.of_field("Idempotency-Key", "Idempotency-Key must be 1 to 255 visible ASCII characters.")


def _required_problems(body: Mapping[str, Any], catalog: Catalog, models: Sequence[str]) -> list[FieldProblem]:
    checks: dict[str, Callable[[Any], FieldProblem | None]] = {
        "userId": _user_id_field_problem,
        "model": lambda value: _choice_problem("model", value, models),
        "style": lambda value: _choice_problem("style", value, catalog.styles),
        "color": lambda value: _choice_problem("color", value, catalog.colors),
        "size": lambda value: _choice_problem("size", value, list(catalog.size_credits)),
    }
    return [problem for name in _REQUIRED_FIELDS if (problem := checks[name](body.get(name)))]


def _user_id_field_problem(value: Any) -> FieldProblem | None:
    if value is None:
        return FieldProblem("userId", "userId is required.")
    if not isinstance(value, str):
        return FieldProblem("userId", "userId must be a string.")
    problem = _user_id_problem(value)
    return FieldProblem("userId", problem) if problem else None


def _user_id_problem(value: str) -> str | None:
    if is_plain_id(value, MAX_USER_ID_LENGTH):
        return None
    return (
        f"Invalid userId. It must have 1 to {MAX_USER_ID_LENGTH} characters, none of them '/' or a control character, "
        "and not be '.', '..' or '__…__'."
    )


def _choice_problem(field: str, value: Any, allowed: Sequence[str]) -> FieldProblem | None:
    available = f"Available {field}s: {', '.join(allowed)}"
    if value is None:
        return FieldProblem(field, f"{field} is required. {available}", allowed)
    if not isinstance(value, str):
        return FieldProblem(field, f"Invalid {field}: it must be a string. {available}", allowed)
    if value not in allowed:
        return FieldProblem(field, f"Invalid {field} '{_quotable(value)}'. {available}", allowed)
    return None


def _prompt_problems(value: Any) -> list[FieldProblem]:
    if value is None:
        return []
    if not isinstance(value, str):
        return [FieldProblem("prompt", "prompt must be a string.")]
    if len(value) > MAX_PROMPT_LENGTH:
        return [FieldProblem("prompt", f"prompt must have at most {MAX_PROMPT_LENGTH} characters.")]
    if _quotable(value, len(value)) != value:
        return [FieldProblem("prompt", "prompt must be valid Unicode text; it holds a lone surrogate.")]
    return []


def _in_words(body: Mapping[str, Any], problems: Sequence[FieldProblem]) -> str:
    missing = [problem.field for problem in problems if body.get(problem.field) is None]
    sentences = [f"Missing required fields: {', '.join(missing)}"] if missing else []
    sentences += [problem.message for problem in problems if problem.field not in missing]
    return " ".join([*(sentence.removesuffix(".") + "." for sentence in sentences[:-1]), sentences[-1]])


def _quotable(text: str, length: int = MAX_QUOTED_LENGTH) -> str:
    """The text's beginning, with lone surrogates replaced so that it can be encoded."""
    shown = text if len(text) <= length else text[:length] + "…"
    return shown.encode("utf-8", "replace").decode("utf-8")
