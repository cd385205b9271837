"""The README is run: its config loads, its commands work, and every place that it names is there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync_tests.docs.documents import PROJECT, code_blocks

README = PROJECT / "README.md"
DOCUMENTS = (README, PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md")))
CREDENTIALS = {"username": "AC00000000000000000000000000000000", "password": "your-token"}
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)?(#[^)]*)?\)")
_MAKE = re.compile(r"\bmake ([a-z]+)\b(?! sure)")


@pytest.mark.slow
def test_the_commands_for_a_carrier_of_ones_own_work(tmp_path: Path) -> None:
    config_text, commands = code_blocks(README, "yaml")[0], code_blocks(README, "sh")[1]
    (tmp_path / "inventory.csv").write_text("ICCID,Carrier,State\n8988307000000000001,twilio-eu,LIVE\n")
    command = tmp_path / ".venv" / "bin" / "sim-sync"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sim_sync "$@"\n')
    command.chmod(0o755)
    with SimulatorServer((MountOptions(sims=30, credentials=CREDENTIALS),)) as server:
        config = yaml.safe_load(config_text)
        config["carriers"]["twilio-eu"]["base_url"] = server.url
        (tmp_path / "carriers.yaml").write_text(yaml.safe_dump(config))
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SIM_SYNC_", "DAGSTER_"))}
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=tmp_path,
            env=own | {"PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    assert "completed" in ended.stdout
    assert len((tmp_path / "differences.csv").read_text().splitlines()) == 1 + 1 + 30


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for place, heading in _LINK.findall(text):
        target = document.parent / place if place else document
        assert target.exists(), place
        if heading:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading[1:] in {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in headings}


def test_every_place_in_the_table_of_where_things_happen_exists() -> None:
    section = README.read_text(encoding="utf-8").split("## Where does X happen")[1].split("\n## ")[0]
    places = re.findall(r"`(sim_sync/[^`]*)`", section)
    assert len(places) > 10
    assert [place for place in places if not (PROJECT / place).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_recipe_that_is_named_is_in_the_makefile(document: Path) -> None:
    recipes = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = set(_MAKE.findall(" ".join(re.findall(r"`+[^`]+`+", document.read_text(encoding="utf-8")))))
    assert named <= recipes


def test_the_picture_is_small_enough_to_be_loaded_by_everybody() -> None:
    assert (PROJECT / "docs" / "images" / "asset-graph.png").stat().st_size <= 300_000
