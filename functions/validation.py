"""Untrusted JSON and queries -> GenerationRequest, Grant, PageAsked. Pure; reports every bad field at once."""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import reports
from catalog import Catalog
from consistency import COMPLETED, FAILED, PENDING
from database import is_plain_id
from errors import FieldProblem, InvalidRequest
from ledger import GenerationRequest, Grant
from records import MAX_USER_ID_LENGTH, is_user_id

MAX_PROMPT_LENGTH = 4_000
MAX_ENTRY_ID_LENGTH = 300
MAX_REQUEST_ID_LENGTH = 128
MAX_GRANT_CREDITS = 1_000_000_000
MAX_REASON_LENGTH = 500
MAX_QUOTED_LENGTH = 100
KEY_HEADER = "Idempotency-Key"
STATUSES = (PENDING, COMPLETED, FAILED)
PAGE_FORMAT = "html"
FORMATS = ("json", PAGE_FORMAT)
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200

REQUIRED_FIELDS = ("userId", "model", "style", "color", "size")
GRANT_FIELDS = ("userId", "credits", "reason")
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_PAGE_SIZE = re.compile(r"[0-9]{1,3}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageAsked:
    """A page of what is a user's: at most so many, behind the document of that id; `status` None is any."""

    user_id: str
    status: str | None
    page_size: int
    after_id: str | None


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
    if any(not isinstance(body.get(name), str) for name in REQUIRED_FIELDS):
        return None
    if _user_id_problem(body["userId"]) or _prompt_problems(body.get("prompt")):
        return None
    fields = {name: body[name] for name in ("model", "style", "color", "size")}
    return GenerationRequest(body["userId"], **fields, prompt=body.get("prompt"), cost_credits=0)


def grant_request(body: Mapping[str, Any], key: str | None, granted_by: str | None) -> tuple[Grant, str]:
    """Checks the body of a grant and its Idempotency-Key, which is required; unknown fields are ignored.

    Raises:
        InvalidRequest: names every field at fault.
    """
    given: dict[str, Any] = {**{name: body.get(name) for name in GRANT_FIELDS}, KEY_HEADER: key}
    checks = (_user_id_field_problem, _credits_problem, _reason_problem, _key_problem)
    problems = [problem for value, check in zip(given.values(), checks, strict=True) if (problem := check(value))]
    if problems:
        raise InvalidRequest(_in_words(given, problems), problems)
    return Grant(given["userId"], given["credits"], given["reason"], granted_by), given[KEY_HEADER]


def request_id_parameter(value: str | None) -> str:
    """Checks the generationRequestId of a query string.

    Raises:
        InvalidRequest: it is missing or no plain document id.
    """
    if not value:
        raise InvalidRequest.of_field("generationRequestId", "generationRequestId parameter is required.")
    if not is_plain_id(value, MAX_REQUEST_ID_LENGTH):
        raise InvalidRequest.of_field("generationRequestId", "generationRequestId is not one that this API gave.")
    return value


def page_asked(query: Mapping[str, str], caller_id: str | None, by_status: bool) -> PageAsked:
    """Checks the query of a list; the caller's own where it names no user, and of any status unless asked `by_status`.

    Raises:
        InvalidRequest: names every parameter at fault.
    """
    problems: list[FieldProblem] = []

    def checked(check: Callable[[str | None], T], value: str | None, otherwise: T) -> T:
        try:
            return check(value)
        except InvalidRequest as error:
            problems.extend(error.problems)
            return otherwise

    asked = PageAsked(
        user_id=checked(_user_id_parameter, query.get("userId", caller_id), ""),
        status=checked(_status_parameter, query.get("status") if by_status else None, None),
        page_size=checked(_page_size_parameter, query.get("pageSize"), 0),
        after_id=checked(_page_token_parameter, query.get("pageToken"), None),
    )
    if problems:
        raise InvalidRequest(" ".join(problem.message for problem in problems), problems)
    return asked


def next_page_token(last_id: str | None) -> str | None:
    """The opaque token for the page after this document; None where there is no such page."""
    return None if last_id is None else base64.urlsafe_b64encode(last_id.encode()).decode()


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
    if value is not None and value not in FORMATS:
        raise InvalidRequest.of_field("format", f"format must be {' or '.join(FORMATS)}.", FORMATS)
    return value == PAGE_FORMAT


def idempotency_key(value: str | None) -> str | None:
    """Checks the Idempotency-Key header; None where it is absent.

    Raises:
        InvalidRequest: it is not 1 to 255 visible ASCII characters.
    """
    problem = None if value is None else _key_problem(value)
    if problem:
        raise InvalidRequest(problem.message, [problem])
    return value


def _status_parameter(value: str | None) -> str | None:
    if value is None or value in STATUSES:
        return value
    raise InvalidRequest.of_field("status", f"status must be one of {', '.join(STATUSES)}.", STATUSES)


def _user_id_parameter(value: str | None) -> str:
    if not value:
        message = "userId parameter is required."
    elif problem := _user_id_problem(value):
        message = problem
    else:
        return value
    raise InvalidRequest.of_field("userId", message)


def _page_size_parameter(value: str | None) -> int:
    if value is None:
        return DEFAULT_PAGE_SIZE
    if _PAGE_SIZE.fullmatch(value) and 1 <= int(value) <= MAX_PAGE_SIZE:
        return int(value)
    raise InvalidRequest.of_field("pageSize", f"pageSize must be an integer from 1 to {MAX_PAGE_SIZE}.")


def _page_token_parameter(value: str | None) -> str | None:
    """The id of the last document that the client has."""
    if value is None:
        return None
    try:
        entry_id = base64.b64decode(value, altchars=b"-_", validate=True).decode()
    except ValueError:
        entry_id = ""
    if not is_plain_id(entry_id, MAX_ENTRY_ID_LENGTH):
        raise InvalidRequest.of_field("pageToken", "pageToken is not one that this endpoint gave.")
    return entry_id


def _required_problems(body: Mapping[str, Any], catalog: Catalog, models: Sequence[str]) -> list[FieldProblem]:
    checks: dict[str, Callable[[Any], FieldProblem | None]] = {
        "userId": _user_id_field_problem,
        "model": lambda value: _choice_problem("model", value, models),
        "style": lambda value: _choice_problem("style", value, catalog.styles),
        "color": lambda value: _choice_problem("color", value, catalog.colors),
        "size": lambda value: _choice_problem("size", value, list(catalog.size_credits)),
    }
    return [problem for name in REQUIRED_FIELDS if (problem := checks[name](body.get(name)))]


def _user_id_field_problem(value: Any) -> FieldProblem | None:
    if value is None:
        return FieldProblem("userId", "userId is required.")
    if not isinstance(value, str):
        return FieldProblem("userId", "userId must be a string.")
    problem = _user_id_problem(value)
    return FieldProblem("userId", problem) if problem else None


def _key_problem(value: str | None) -> FieldProblem | None:
    if value is None:
        return FieldProblem(KEY_HEADER, f"{KEY_HEADER} header is required.")
    if not IDEMPOTENCY_KEY.fullmatch(value):
        return FieldProblem(KEY_HEADER, f"{KEY_HEADER} must be 1 to 255 visible ASCII characters.")
    return None


def _credits_problem(value: Any) -> FieldProblem | None:
    if value is None:
        return FieldProblem("credits", "credits is required.")
    # Not isinstance: a bool is an int to Python.
    if type(value) is not int or not 1 <= value <= MAX_GRANT_CREDITS:
        return FieldProblem("credits", f"credits must be an integer from 1 to {MAX_GRANT_CREDITS}.")
    return None


def _reason_problem(value: Any) -> FieldProblem | None:
    if value is None:
        return FieldProblem("reason", "reason is required.")
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_REASON_LENGTH:
        return FieldProblem("reason", f"reason must be a string of 1 to {MAX_REASON_LENGTH} characters.")
    return _surrogate_problem("reason", value)


def _surrogate_problem(field: str, text: str) -> FieldProblem | None:
    if _quotable(text, len(text)) == text:
        return None
    return FieldProblem(field, f"{field} must be valid Unicode text; it holds a lone surrogate.")


def _user_id_problem(value: str) -> str | None:
    if is_user_id(value):
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
    problem = _surrogate_problem("prompt", value)
    return [problem] if problem else []


def _in_words(body: Mapping[str, Any], problems: Sequence[FieldProblem]) -> str:
    missing = [problem.field for problem in problems if body.get(problem.field) is None]
    sentences = [f"Missing required fields: {', '.join(missing)}"] if missing else []
    sentences += [problem.message for problem in problems if problem.field not in missing]
    return " ".join([*(sentence.removesuffix(".") + "." for sentence in sentences[:-1]), sentences[-1]])


def _quotable(text: str, length: int = MAX_QUOTED_LENGTH) -> str:
    """The text's beginning, with lone surrogates replaced so that it can be encoded."""
    shown = text if len(text) <= length else text[:length] + "…"
    return shown.encode("utf-8", "replace").decode("utf-8")
