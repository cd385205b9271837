"""Validates simulated answers against the vendors' own OpenAPI files, read as strictly as they can be."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS30Validator, oas30_format_checker

_SPECS = Path(__file__).parent.parent / "specs"


@cache
def _spec(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((_SPECS / name).read_text())
    return document


def _strict(schema: object) -> object:
    """Return the schema with every property required and no other allowed: the vendor's examples show all of them."""
    match schema:
        case dict():
            tightened = {key: _strict(value) for key, value in schema.items()}
            if isinstance(schema.get("properties"), dict):
                tightened |= {"required": sorted(schema["properties"]), "additionalProperties": False}
            return tightened
        case list():
            return [_strict(item) for item in schema]
        case _:
            return schema


@cache
def _validator(spec: str, path: str) -> OAS30Validator:
    document = _spec(spec)
    schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    root = {**schema, "components": document["components"]}
    return OAS30Validator(_strict(root), format_checker=oas30_format_checker)


def assert_valid(spec: str, path: str, body: bytes) -> Any:
    """Fail unless the body is what the operation's 200 answer may be; return it parsed."""
    document = json.loads(body)
    _validator(spec, path).validate(document)
    return document


def example_of(spec: str, path: str, example: str) -> Any:
    """Return an example answer from the vendor's file."""
    media = _spec(spec)["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    return media["examples"][example]["value"]
