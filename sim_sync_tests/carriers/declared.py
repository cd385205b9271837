"""Carriers that are declared in YAML, read as `carriers.yaml` is, and walked against a server of the test."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent, indent

from sim_sync.config import load_config
from sim_sync.config.carrier import CarrierConfig
from sim_sync.core.pages import Cursor
from sim_sync_tests.carriers.walking import Walk
from sim_sync_tests.fakes.moving_time import MovingTime


def declared(folder: Path, carrier: str, environ: Mapping[str, str] | None = None) -> CarrierConfig:
    """Return the carrier `acme`, whose keys are given as YAML."""
    file = folder / "carriers.yaml"
    file.write_text(f"carriers:\n  acme:\n{indent(dedent(carrier).strip(), '    ')}\n")
    return load_config(file, environ=dict(environ or {})).carrier("acme")


def walk_declared(config: CarrierConfig) -> Walk:
    """Walk a declared carrier to its end."""
    carrier = config.build(MovingTime())
    cursor: Cursor | None = carrier.first_cursor()
    pages = []
    while cursor is not None:
        page = carrier.fetch_page(cursor)
        pages.append(page)
        cursor = page.next_cursor
    return Walk(pages)
