"""What a client sent -> a typed request, or one error that names every field at fault."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import ValidationError

from errors import FieldProblem, InvalidRequest
from images.catalog import choice_problem, quotable
from schemas.fields import CONTRACT_ERROR, KEY_HEADER
from schemas.requests import Input, QueryString

# Otherwise a body full of unknown fields would get an answer that is longer.
MAX_PROBLEMS = 50

T = TypeVar("T", bound=Input)
Options = Mapping[str, Sequence[str]]


def parse(model: type[T], sent: Mapping[str, Any], options: Callable[[], Options] | None = None) -> T:
    """The typed request.

    Args:
        model: what the operation takes.
        sent: the fields by their names in JSON, including the Idempotency-Key.
        options: gives the allowed values of the catalog's fields, for the error.

    Raises:
        InvalidRequest: names every field at fault.
    """
    with suppress(ValidationError):
        return model.model_validate(sent)
    # pydantic refuses a name with a lone surrogate without saying which; quoted, it is an unknown field like others.
    sent = {quotable(name): value for name, value in sent.items()}
    found = _faults(model, sent)
    known = _known_problems(model, sent, found, options() if options else {})
    problems = [*known, *_unknown_problems(model, found)][:MAX_PROBLEMS]
    raise InvalidRequest(_in_words(problems, issubclass(model, QueryString)), problems)


def field_names(model: type[Input]) -> list[str]:
    """The fields of a model by their names in JSON, in the model's order."""
    return [str(field.validation_alias) for field in model.model_fields.values()]


def _faults(model: type[Input], sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """pydantic's error for each field at fault."""
    try:
        model.model_validate(sent)
    except ValidationError as error:
        return {str(each["loc"][0]): each for each in error.errors(include_url=False)}
    raise AssertionError("a quoted name is never the name of a field")


def _known_problems(
    model: type[Input], sent: Mapping[str, Any], found: Mapping[str, Any], options: Options
) -> Iterator[FieldProblem]:
    for name in field_names(model):
        if name in options:
            problem = choice_problem(name, sent.get(name), options[name])
        else:
            problem = _problem(model, name, found[name]) if name in found else None
        if problem:
            yield problem


def _problem(model: type[Input], name: str, error: Mapping[str, Any]) -> FieldProblem:
    is_query = issubclass(model, QueryString)
    is_blank = is_query and error["input"] == "" and name in _schema(model)["required"]
    if error["type"] == "missing" or error["input"] is None or is_blank:
        kind = " parameter" if is_query else " header" if name == KEY_HEADER else ""
        return FieldProblem(name, f"{name}{kind} is required.", is_missing=True)
    if error["type"] == CONTRACT_ERROR:
        return FieldProblem(name, error["msg"])
    if error["type"] == "string_unicode":
        return FieldProblem(name, f"{name} must be valid Unicode text; it holds a lone surrogate.")
    if error["type"] == "string_type":
        return FieldProblem(name, f"{name} must be a string.")
    schema = _schema(model)["properties"][name]
    schema = schema.get("anyOf", [schema])[0]
    return FieldProblem(name, f"{name} must be {_expected(schema)}.", schema.get("enum"))


def _unknown_problems(model: type[Input], found: Mapping[str, Any]) -> Iterator[FieldProblem]:
    # Only a refused request needs it.
    from difflib import get_close_matches  # noqa: PLC0415

    kind = "parameter" if issubclass(model, QueryString) else "field"
    # Ignores case, since that is the most common mistake.
    known = {name.lower(): name for name in field_names(model)}
    for name in found:
        if name not in known.values():
            near = get_close_matches(name.lower(), known, 1)
            hint = f" Did you mean '{known[near[0]]}'?" if near else ""
            yield FieldProblem(name, f"Unknown {kind} '{name}'.{hint}")


def _in_words(problems: Sequence[FieldProblem], is_query: bool) -> str:
    missing = [] if is_query else [problem.field for problem in problems if problem.is_missing]
    sentences = [f"Missing required fields: {', '.join(missing)}"] if missing else []
    sentences += [problem.message for problem in problems if problem.field not in missing]
    return " ".join([*(sentence.removesuffix(".") + "." for sentence in sentences[:-1]), sentences[-1]])


def _expected(schema: Mapping[str, Any]) -> str:
    """What a field must be, in words, from its own JSON schema."""
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if schema["type"] == "integer":
        return f"an integer from {schema['minimum']} to {schema['maximum']}"
    if "minLength" in schema and "maxLength" in schema:
        return f"a string of {schema['minLength']} to {schema['maxLength']} characters"
    return f"a string of at most {schema['maxLength']} characters"


@lru_cache
def _schema(model: type[Input]) -> Mapping[str, Any]:
    return {"required": (), **model.model_json_schema()}
