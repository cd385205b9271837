"""The JSON Schema of `carriers.yaml`, for editors: made from the models that check the file, so that both agree.

It knows each key, its type and its bounds; what depends on several keys at once only `sim-sync check` can say.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from sim_sync.carriers.connector import Connector
from sim_sync.carriers.registry import connectors
from sim_sync.config.alerts import Alerts
from sim_sync.config.carrier import CarrierSection
from sim_sync.config.document import CARRIER_NAME
from sim_sync.config.export import Export
from sim_sync.config.sections import InventorySections, Reconcile, Retention, Schedule, WarehouseSection

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = {"$ref": "#/$defs/variable"}
#: `{env: NAME}` may be written in the place of every value.
_VARIABLE = {
    "description": "The value of an environment variable.",
    "type": "object",
    "properties": {"env": {"type": "string"}, "default": {}},
    "required": ["env"],
    "additionalProperties": False,
}


def json_schema() -> Mapping[str, Any]:
    """Return the schema of the whole file, with the connectors that are installed here."""
    definitions: dict[str, Any] = {"variable": _VARIABLE}
    sections = {
        "warehouse": WarehouseSection,
        "schedule": Schedule,
        "inventory": InventorySections,
        "reconcile": Reconcile,
        "alerts": Alerts,
        "retention": Retention,
        "export": Export,
    }
    properties = {name: _or_variable(_of_model(model, name, definitions)) for name, model in sections.items()}
    properties["carriers"] = _carriers(definitions)
    return {
        "$schema": DIALECT,
        "title": "carriers.yaml of sim_sync",
        "type": "object",
        "properties": properties,
        "required": ["carriers"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _carriers(definitions: dict[str, Any]) -> Mapping[str, Any]:
    known = connectors()
    own = [_when_type_is(name, _carrier(connector, definitions)) for name, connector in sorted(known.items())]
    carrier = {
        "type": "object",
        "properties": {"type": {"description": "Whose API it is.", "enum": sorted(known)}},
        "required": ["type"],
        "allOf": own,
    }
    return {
        "description": "One section a carrier, by its name.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^(?:{CARRIER_NAME.pattern})$", "maxLength": 100},
        "additionalProperties": carrier,
    }


def _when_type_is(name: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": schema}


def _carrier(connector: Connector, definitions: dict[str, Any]) -> Mapping[str, Any]:
    common = _of_model(CarrierSection, "carrier", definitions)["properties"]
    options = _of_model(connector.options_model, f"{connector.type}.options", definitions)
    required = ["auth", *options.get("required", ())]
    if connector.base_url is None:
        required.append("base_url")
    return {
        "properties": {
            **common,
            **options.get("properties", {}),
            "auth": _or_variable(_of_model(connector.auth_model, f"{connector.type}.auth", definitions)),
            "options": {"description": "Keys that only this type knows, where they are not beside the others."},
        },
        "required": required,
        "additionalProperties": False,
    }


def _of_model(model: Any, scope: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a model's schema, its definitions added to those of the file; each value may come from a variable.

    `scope` keeps apart models of the same name.
    """
    schema = TypeAdapter(model).json_schema(ref_template=f"#/$defs/{scope}.{{model}}")
    for name, definition in schema.pop("$defs", {}).items():
        definitions[f"{scope}.{name}"] = _with_variables(definition)
    return _with_variables(schema)


def _with_variables(schema: dict[str, Any]) -> dict[str, Any]:
    if "properties" not in schema:
        return schema
    return schema | {"properties": {name: _or_variable(value) for name, value in schema["properties"].items()}}


def _or_variable(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    about = {key: schema[key] for key in ("description", "default") if key in schema}
    return about | {"anyOf": [{key: value for key, value in schema.items() if key not in about}, _REFERENCE]}
