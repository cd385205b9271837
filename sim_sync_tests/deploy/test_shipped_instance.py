"""The instance of `deploy/hosts` on an empty PostgreSQL: its tables are made once, and the webserver answers on it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from sim_sync_tests.deploy.files import HOSTS, PROJECT, storage_environment
from sim_sync_tests.fakes.databases import fresh_postgres_database
from sim_sync_tests.ui.project import ask, free_port

pytest.importorskip("dagster_postgres", reason="dagster-postgres is not installed")
pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 120.0
_RUNS = "{ runsOrError { __typename ... on Runs { results { runId } } ... on PythonError { message } } }"


@pytest.fixture
def environment(tmp_path: Path, postgres_url: str, postgres_server_url: str) -> Iterator[dict[str, str]]:
    """The environment of a host: its home has the shipped file."""
    shutil.copy(HOSTS / "dagster.yaml", tmp_path)
    with fresh_postgres_database(postgres_server_url) as dagsters:
        own = {"DAGSTER_HOME": str(tmp_path), "SIM_SYNC_WAREHOUSE_URL": postgres_url, "PYTHONPATH": str(PROJECT)}
        yield os.environ | storage_environment(dagsters) | own


def test_the_webserver_answers_on_the_instance_whose_tables_the_recipe_made(environment: dict[str, str]) -> None:
    made = [sys.executable, "-m", "dagster", "instance", "migrate"]
    subprocess.run(made, env=environment, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    port = free_port()
    serve = [sys.executable, "-m", "dagster_webserver", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
    with ExitStack() as stack:
        webserver = stack.enter_context(
            subprocess.Popen(serve, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        stack.callback(webserver.terminate)
        url = f"http://127.0.0.1:{port}"
        wait_until_served(url)
        # More than once: a driver that does not suit closes the connection that the next query gets.
        assert [ask(url, _RUNS)["runsOrError"] for _ in range(2)] == [{"__typename": "Runs", "results": []}] * 2


def wait_until_served(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError):
            ask(url, "{ version }")
            return
        time.sleep(0.2)
    raise AssertionError("the webserver does not answer")
