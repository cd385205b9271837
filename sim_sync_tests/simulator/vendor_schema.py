"""Validates simulated answers against the vendors' own OpenAPI files, read as strictly as they can be."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

from openapi_schema_validator import OAS30Validator, oas30_format_checker

#: How strictly a file is read: `all` requires every property and no other, `named` allows no other, `plain` as written.
Strictness = Literal["all", "named", "plain"]
_SPECS = Path(__file__).parent.parent / "specs"


@cache
def _spec(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((_SPECS / name).read_text())
    if name == "twilio/wireless_sim_list.openapi.json":
        # The file's own text and example say that this is null but for a moment; its schema forgot to.
        document["components"]["schemas"]["sim_enum_reset_status"] |= {"nullable": True, "enum": ["resetting", None]}
    return document


def _strict(schema: object, strictness: Strictness) -> object:
    """Return the schema with no property allowed that it does not name, and, where they all are, every one required."""
    match schema:
        case dict():
            # A discriminator chooses among schemas that all apply here; the validator follows it in circles.
            kept = {key: value for key, value in schema.items() if key != "discriminator"}
            tightened = {key: _strict(value, strictness) for key, value in kept.items()}
            if isinstance(schema.get("properties"), dict) and strictness != "plain":
                tightened |= {"additionalProperties": False}
                tightened |= {"required": sorted(schema["properties"])} if strictness == "all" else {}
            return tightened
        case list():
            return [_strict(item, strictness) for item in schema]
        case _:
            return schema


@cache
def _validator(spec: str, place: tuple[str, ...], strictness: Strictness) -> OAS30Validator:
    document = _spec(spec)
    schema: Any = document
    for key in place:
        schema = schema[key]
        if "$ref" in schema and key != "schema":
            schema = document["components"]["responses"][schema["$ref"].rpartition("/")[2]]
    root = {**schema, "components": document["components"]}
    return OAS30Validator(_strict(root, strictness), format_checker=oas30_format_checker)


def assert_valid(spec: str, path: str, body: bytes, *, method: str = "get", strictness: Strictness = "all") -> Any:
    """Fail unless the body is what the operation's 200 answer may be; return it parsed."""
    document = json.loads(body)
    place = ("paths", path, method, "responses", "200", "content", "application/json", "schema")
    _validator(spec, place, strictness).validate(document)
    return document


def assert_valid_error(spec: str, schema: str, body: bytes) -> Any:
    """Fail unless the body is what the file's schema of that name says; return it parsed."""
    document = json.loads(body)
    _validator(spec, ("components", "schemas", schema), "plain").validate(document)
    return document


def example_of(spec: str, path: str, example: str) -> Any:
    """Return an example answer from the vendor's file."""
    media = _spec(spec)["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    return media["examples"][example]["value"]
