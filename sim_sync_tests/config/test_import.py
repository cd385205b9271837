"""What reading a config does not load: a command that only shows the tables' state starts without the rest."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["sqlalchemy", "alembic", "httpx2", "dagster"])
def test_the_config_is_imported_without_the_database_the_http_client_and_dagster(package: str) -> None:
    program = f"import sys, sim_sync.config; sys.exit({package!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
