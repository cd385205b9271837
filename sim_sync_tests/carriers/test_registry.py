"""Connectors by name: ours, and those of other packages, which cannot hurt each other or ours."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from sim_sync.carriers.registry import GROUP, collect, connectors
from sim_sync.carriers.vendors import telnyx

SECTION_0 = {
    "twilio_super_sim": (1000, None, 1),
    "twilio_wireless": (1000, None, 1),
    "kore_super_sim": (1000, None, 1),
    "telnyx": (250, None, 1),
    "emnify": (2000, 10, 1),
    "one_nce": (100, 10, 1),
    "hologram": (500, None, 1),
    "soracom": (100, None, 1),
    "cisco_control_center": (50, 5, 1),
    "thingspace": (2000, None, 1),
    "tmf639": (100, None, 1),
    "rest": (100, None, 1),
}


def plug_in(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def test_every_type_is_there_with_the_vendors_limits() -> None:
    found = {
        kind: (one.page_size, one.rate_limit.requests_per_second, one.rate_limit.max_in_flight)
        for kind, one in connectors().items()
    }
    assert {kind: found[kind] for kind in SECTION_0} == SECTION_0


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """A folder that stands for a place where packages are installed: one with a connector, one that is broken."""
    (tmp_path / "acme_connectors.py").write_text(
        "from dataclasses import replace\n"
        "from sim_sync.carriers.vendors.telnyx import CONNECTOR as TELNYX\n"
        "CONNECTOR = replace(TELNYX, type='acme', base_url='https://api.acme.example')\n"
    )
    (tmp_path / "broken_connectors.py").write_text("import a_module_that_is_not_there\n")
    for name, module in (("acme", "acme_connectors"), ("broken", "broken_connectors")):
        folder = tmp_path / f"{name}_sims-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-sims\nVersion: 1.2\n")
        (folder / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {module}:CONNECTOR\n")
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for module in ("acme_connectors", "broken_connectors"):
        sys.modules.pop(module, None)


def test_an_installed_package_brings_a_connector_and_a_broken_one_stops_no_other(installed: Path) -> None:
    registry = collect(entry_points(group=GROUP))
    assert registry.connectors["acme"].base_url == "https://api.acme.example"
    assert set(registry.connectors) >= {*SECTION_0, "acme"}
    assert registry.problems == {
        "broken": (
            "the connector plug-in 'broken' (broken-sims 1.2: broken_connectors:CONNECTOR) could not be imported: "
            "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"
        )
    }


def test_a_built_in_connector_cannot_be_replaced() -> None:
    registry = collect([plug_in("telnyx", "sim_sync.carriers.vendors.hologram:CONNECTOR")])
    assert registry.connectors["telnyx"] is telnyx.CONNECTOR
    assert "has the name of a built-in connector" in registry.problems["telnyx"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("sim_sync.carriers.vendors.telnyx:CONNECTOR", "brings the type 'telnyx'"),
        ("sim_sync.carriers.vendors.telnyx:STATUSES", "is a StatusWords, expected a"),
        ("sim_sync.carriers.vendors.telnyx:NOTHING", "could not be imported: AttributeError"),
    ],
)
def test_what_is_no_connector_of_that_name_is_refused_with_its_reason(value: str, reason: str) -> None:
    registry = collect([plug_in("acme", value)])
    assert "acme" not in registry.connectors
    assert reason in registry.problems["acme"]


def test_the_first_of_two_plug_ins_with_one_name_is_used(installed: Path) -> None:
    first = plug_in("acme", "acme_connectors:CONNECTOR")
    registry = collect([first, plug_in("acme", "broken_connectors:CONNECTOR")])
    assert registry.connectors["acme"].type == "acme"
    assert "has the name of another plug-in" in registry.problems["acme"]


def told_by_another_process(folder: Path, kind: str) -> str:
    """Return what a process with the folder's packages says about a carrier of this type."""
    file = folder / "carriers.yaml"
    file.write_text(f"carriers:\n  mine: {{type: {kind}, auth: {{api_key: a-key-of-mine}}}}\n")
    script = (
        "import sys, pathlib\nfrom sim_sync.config import load_config\nfrom sim_sync.core.errors import ConfigError\n"
        "try:\n    print(load_config(pathlib.Path(sys.argv[1]), environ={}).carrier('mine').settings.base_url)\n"
        "except ConfigError as error:\n    print(error)\n"
    )
    paths = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", script, str(file)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_a_configured_carrier_may_be_of_an_installed_type(installed: Path) -> None:
    assert told_by_another_process(installed, "acme") == "https://api.acme.example\n"


def test_a_carrier_of_a_broken_type_is_told_what_is_broken(installed: Path) -> None:
    told = told_by_another_process(installed, "broken")
    assert "carriers.mine.type: expected one of acme, cisco_control_center" in told
    assert (
        "found the connector plug-in 'broken' (broken-sims 1.2: broken_connectors:CONNECTOR) could not be impo" in told
    )
