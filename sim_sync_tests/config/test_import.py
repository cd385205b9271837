"""What reading a config does not load: a command that only shows the tables' state starts without the rest."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("package", ["sqlalchemy", "alembic", "httpx2", "dagster"])
def test_the_config_is_imported_without_the_database_the_http_client_and_dagster(package: str) -> None:
    program = f"import sys, sim_sync.config; sys.exit({package!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_names_of_the_carriers_are_read_without_their_connectors(tmp_path: Path) -> None:
    (tmp_path / "carriers.yaml").write_text("carriers: {acme: {type: twilio_super_sim, max_age_hours: 5}}\n")
    program = """
import sys
from pathlib import Path
from sim_sync.config import load_config
config = load_config()
assert (config.carrier_names, config.max_age_hours("acme")) == (("acme",), 5)
sys.exit("sim_sync.carriers.registry" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False).returncode == 0


def test_the_help_of_the_commands_is_shown_without_reading_how_a_config_is_read() -> None:
    program = "import sys, sim_sync.cli.app, sim_sync.cli; sys.exit('sim_sync.config' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_carriers_part_is_read_without_other_vendors_and_their_http_client(tmp_path: Path) -> None:
    (tmp_path / "carriers.yaml").write_text("carriers: {acme: {type: telnyx, auth: {api_key: a-key-of-mine}}}\n")
    program = """
import sys
from sim_sync.config import load_config
assert load_config().carrier("acme").connector.type == "telnyx"
vendors = [name for name in sys.modules if name.startswith("sim_sync.carriers.vendors.")]
sys.exit(vendors != ["sim_sync.carriers.vendors.telnyx"] or "httpx2" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False).returncode == 0


def test_the_config_is_imported_without_what_sessions_and_pages_are() -> None:
    program = "import sys, sim_sync.config; sys.exit(not sys.modules.keys().isdisjoint(" + repr(_OF_WALKS) + "))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


_OF_WALKS = [f"sim_sync.core.{name}" for name in ("session", "pages", "identifiers", "notes", "progress")]
