"""The schema for editors and the parser of `carriers.yaml` say the same of each file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sim_sync.carriers.registry import connectors
from sim_sync.cli import main
from sim_sync.config import load_config
from sim_sync.config.schema import json_schema
from sim_sync.core.errors import ConfigError
from sim_sync_tests.docs.documents import PROJECT, code_blocks

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
_TWILIO = {"type": "twilio_super_sim", "auth": {"username": "u", "password": {"env": "PASSWORD"}}}


def _documented() -> Sequence[Any]:
    blocks = [(path.name, block) for path in sorted(PROJECT.glob("docs/*.md")) for block in code_blocks(path, "yaml")]
    files = [*blocks, ("carriers.yaml", (PROJECT / "carriers.yaml").read_text(encoding="utf-8"))]
    # YAML 1.1 would take the key `on` for true; the file is read as YAML 1.2.
    whole = [(name, yaml.safe_load(text.replace("  on: ", "  'on': "))) for name, text in files]
    return [
        pytest.param(document, id=f"{name}-{number}")
        for number, (name, document) in enumerate(whole)
        if isinstance(document, Mapping) and "carriers" in document
    ]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_type_has_its_part() -> None:
    carrier = SCHEMA["properties"]["carriers"]["additionalProperties"]
    assert [part["if"]["properties"]["type"]["const"] for part in carrier["allOf"]] == sorted(connectors())


@pytest.mark.parametrize("document", _documented())
def test_every_example_of_the_documentation_is_valid(document: Mapping[str, Any]) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []


@pytest.mark.parametrize(
    ("document", "is_valid"),
    [
        ({"carriers": {"acme": _TWILIO}}, True),
        ({"carriers": {"acme": _TWILIO | {"page_size": {"env": "SIZE", "default": 50}}}}, True),
        ({"carriers": {"acme": _TWILIO | {"statuses": {"NEW": "inventory"}}}}, True),
        ({"carriers": {"acme": _TWILIO | {"statuses": {"NEW": {"status": "active", "pending": True}}}}}, True),
        ({"carriers": {"acme": _TWILIO | {"statuses": {"NEW": "alive"}}}}, False),
        ({"carriers": {"acme": _TWILIO | {"pagesize": 50}}}, False),
        ({"carriers": {"acme": _TWILIO | {"page_size": 0}}}, False),
        ({"carriers": {"acme": _TWILIO | {"sweep": {"max_vanished_percent": 101}}}}, False),
        ({"carriers": {"acme": _TWILIO | {"auth": {"username": "u"}}}}, False),
        ({"carriers": {"acme": _TWILIO | {"type": "nobody"}}}, False),
        ({"carriers": {"ac me": _TWILIO}}, False),
        ({"carriers": {}}, False),
        ({"carriers": {"acme": _TWILIO}, "warehause": {}}, False),
        ({}, False),
    ],
    ids=str,
)
def test_it_says_what_the_parser_says(document: Mapping[str, Any], is_valid: bool, tmp_path: Path) -> None:
    path = tmp_path / "carriers.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert _is_parsed(path) == is_valid
    assert VALIDATOR.is_valid(document) == is_valid


def _is_parsed(path: Path) -> bool:
    try:
        config = load_config(path, environ={"PASSWORD": "p"})
        config.require_sound(config.carrier_names)
    except ConfigError:
        return False
    return True


def test_the_command_prints_it_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["schema"])
    assert ended.value.code in {0, None}
    printed = capsys.readouterr()
    assert (json.loads(printed.out), printed.err) == (SCHEMA, "")
