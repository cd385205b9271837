"""docs/configuration.md tells every key with its default, and no key that does not exist."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from sim_sync.carriers.registry import connectors
from sim_sync.carriers.tls import CERT_DIR_VARIABLE, CERT_FILE_VARIABLE
from sim_sync.config import load_config
from sim_sync.config.alerts import Alerts, Smtp, Webhook
from sim_sync.config.carrier import CarrierSection
from sim_sync.config.config import CONFIG_VARIABLE, DEFAULT_WAREHOUSE_URL, WAREHOUSE_VARIABLE
from sim_sync.config.export import DeltaTarget, Target
from sim_sync.config.sections import INVENTORY_MODELS, OwnSeverity, PriceList, Reconcile, Retention, Schedule
from sim_sync.core.alerts import DEFAULT_THRESHOLDS, AlertKind
from sim_sync.files import STATE_DIR_VARIABLE
from sim_sync.logs import FORMAT_VARIABLE
from sim_sync_tests.docs.documents import PROJECT, code_blocks, table_rows

DOCUMENT = PROJECT / "docs" / "configuration.md"
CARRIERS = PROJECT / "docs" / "carriers.md"
#: Keys that are not fields of a model: read by their own code.
OTHER_KEYS = {"warehouse.url", "inventory", "alerts", "retention", "export", "carriers", "auth", "options"}
VARIABLES = {
    CONFIG_VARIABLE,
    WAREHOUSE_VARIABLE,
    STATE_DIR_VARIABLE,
    FORMAT_VARIABLE,
    CERT_FILE_VARIABLE,
    CERT_DIR_VARIABLE,
    "DAGSTER_HOME",
}


def keys_of(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key of a section with its default, nested sections by their dotted names."""
    for attribute, field in model.model_fields.items():
        name, default = field.alias or attribute, field.default
        if isinstance(default, BaseModel):
            yield from keys_of(type(default), f"{before}{name}.")
        else:
            yield f"{before}{name}", default


def all_keys() -> dict[str, Any]:
    return dict(
        [
            *keys_of(Schedule, "schedule."),
            *(key for model in INVENTORY_MODELS for key in keys_of(model, "inventory.")),
            *keys_of(Reconcile, "reconcile."),
            *keys_of(OwnSeverity, "reconcile.severity."),
            *keys_of(PriceList, "reconcile.prices."),
            *keys_of(Alerts, "alerts."),
            *keys_of(Webhook, "alerts.webhook."),
            *keys_of(Smtp, "alerts.smtp."),
            *keys_of(Retention, "retention."),
            *keys_of(Target, "export.parquet."),
            *keys_of(DeltaTarget, "export.delta."),
            *keys_of(CarrierSection),
        ]
    )


def documented() -> dict[str, str]:
    """Return the default that the document tells of each key."""
    return {row[0]: row[1] for row in table_rows(DOCUMENT) if row[0] not in VARIABLES}


def test_every_key_is_documented_and_no_other() -> None:
    assert set(documented()) == set(all_keys()) | OTHER_KEYS


@pytest.mark.parametrize(("key", "default"), all_keys().items(), ids=all_keys().keys())
def test_the_documented_default_is_the_real_one(key: str, default: Any) -> None:
    told = documented()[key].strip("`")
    if default is PydanticUndefined:
        # A mapping that is empty by default, or a key that must be given.
        assert told.startswith(("required", "none", "those of the type"))
    elif key == "alerts.on":
        assert told == "all kinds"
    elif default is None or default == ():
        assert told in {"none", "any", "that of the type"}
    elif isinstance(default, bool):
        assert told == str(default).lower()
    elif isinstance(default, int | float):
        assert float(told) == default
    elif isinstance(default, tuple):
        assert told == ", ".join(default)
    else:
        assert told == default


def test_the_defaults_of_variables_are_the_real_ones() -> None:
    told = {row[0]: row[1] for row in table_rows(DOCUMENT) if row[0] in VARIABLES}
    assert set(told) == VARIABLES
    assert DEFAULT_WAREHOUSE_URL in told[WAREHOUSE_VARIABLE]
    assert DEFAULT_WAREHOUSE_URL in documented()["warehouse.url"]


@pytest.mark.parametrize("type_name", connectors())
def test_every_type_is_documented_with_the_keys_of_its_auth_and_its_options(type_name: str) -> None:
    text = CARRIERS.read_text(encoding="utf-8")
    rows = [row for row in table_rows(CARRIERS) if row[0] == type_name]
    assert rows, f"{type_name} has no row in docs/carriers.md"
    connector = connectors()[type_name]
    auth_keys = getattr(connector.auth_model, "model_fields", {})
    assert [key for key in auth_keys if f"`{key}`" not in rows[0][1]] == []
    options = connector.options_model.model_fields
    assert [key for key in options if not any(form in text for form in (f"`{key}`", f"`{key}.", f"{key}:"))] == []


@pytest.mark.parametrize("text", code_blocks(DOCUMENT, "yaml"))
def test_the_examples_load(text: str, tmp_path: Path) -> None:
    path = tmp_path / "carriers.yaml"
    path.write_text(text, encoding="utf-8")
    names = (
        "TWILIO_SID",
        "TWILIO_TOKEN",
        "EMNIFY_TOKEN",
        "INVENTORY_URL",
        "ALERT_SECRET",
        "SMTP_PASSWORD",
        "LAKE_KEY",
        "LAKE_SECRET",
    )
    values = {name: f"postgresql://host/{name}" for name in names} | {"ALERT_URL": "https://hooks.example/1"}
    config = load_config(path, environ=values)
    config.require_sound(config.carrier_names)


def test_the_shipped_file_loads_without_a_variable() -> None:
    config = load_config(PROJECT / "carriers.yaml", environ={})
    config.require_sound(config.carrier_names)
    assert config.carrier_names == ("simulated-eu",)


def test_every_kind_of_alert_is_documented_with_its_threshold() -> None:
    rows = [line.split("|") for line in DOCUMENT.read_text(encoding="utf-8").splitlines()]
    told = {
        cells[1].strip(): cells[3].strip() for cells in rows if len(cells) == 5 and cells[1].strip() in list(AlertKind)
    }
    assert told == {
        kind: f"{DEFAULT_THRESHOLDS[kind]:g}" if kind in DEFAULT_THRESHOLDS else "none" for kind in AlertKind
    }
