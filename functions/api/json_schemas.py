"""JSON schemas of the models, exact enough to check real answers, and complete examples of them."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

Schema = dict[str, Any]

REF_TEMPLATE = "#/components/schemas/{model}"


class ExactSchema(GenerateJsonSchema):
    """Allows named fields only, adds no titles, and keeps the order of keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def typed_dict_schema(self, schema: Any) -> Schema:
        return {**super().typed_dict_schema(schema), "additionalProperties": False}

    def sort(self, value: Any, parent_key: str | None = None) -> Any:
        return value


def of_outputs(types: Iterable[type]) -> dict[str, Schema]:
    """The schemas of these types as they are sent, and of all their parts, by name."""
    mode: JsonSchemaMode = "serialization"
    adapters: list[tuple[type, JsonSchemaMode, TypeAdapter[Any]]]
    adapters = [(output, mode, TypeAdapter(output)) for output in dict.fromkeys(types)]
    _, found = TypeAdapter.json_schemas(adapters, ref_template=REF_TEMPLATE, schema_generator=ExactSchema)
    schemas: dict[str, Schema] = found["$defs"]
    return schemas


def example(schema: Schema, schemas: Mapping[str, Schema]) -> Any:
    """A value made of the fields' examples. Optional fields without one are left out."""

    def of(part: Schema) -> Any:
        return example(part, schemas)

    if "$ref" in schema:
        return of(schemas[schema["$ref"].rpartition("/")[2]])
    fixed = [schema["const"]] if "const" in schema else []
    if known := [*fixed, *schema.get("examples", ()), *schema.get("enum", ())]:
        return known[0]
    if "properties" in schema:
        fields = schema["properties"].items()
        return {name: of(field) for name, field in fields if name in schema["required"] or "examples" in field}
    if "propertyNames" in schema:
        return {of(schema["propertyNames"]): of(schema["additionalProperties"])}
    if "items" in schema:
        return [of(schema["items"])]
    return True if schema["type"] == "boolean" else schema["minimum"]
