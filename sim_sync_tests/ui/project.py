"""The project as `make dev` serves it, in a folder and on ports of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
CARRIER = "simulated-eu"
PATIENCE_SECONDS = 180.0
_FILES = ("workspace.yaml", "dagster.yaml", "carriers.yaml", "examples")


@dataclass
class ServedProject:
    """A running `make dev`."""

    folder: Path
    port: int
    simulator_port: int

    @property
    def url(self) -> str:
        """Where its UI is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SIM_SYNC_", "DAGSTER_"))}
        return own | {
            "DAGSTER_HOME": str(self.folder),
            "PYTHONPATH": str(PROJECT),
            "SIM_SYNC_SIMULATOR_URL": f"http://127.0.0.1:{self.simulator_port}",
        }

    def command(self, *arguments: str) -> list[str]:
        """Return a command of `sim-sync`."""
        return [sys.executable, "-m", "sim_sync", *arguments]

    def backfill(self) -> None:
        """Reconcile the carrier, to its end."""
        subprocess.run(
            self.command("backfill", CARRIER), cwd=self.folder, env=self.environment, check=True, capture_output=True
        )

    def ask(self, query: str) -> Any:
        """Ask the UI's own GraphQL."""
        return ask(self.url, query)

    def newest_run(self) -> str:
        """Return the id of the newest run."""
        runs = self.ask("{ runsOrError { ... on Runs { results { runId } } } }")
        return str(runs["runsOrError"]["results"][0]["runId"])


def ask(url: str, query: str) -> Any:
    """Ask the GraphQL of a UI."""
    body = json.dumps({"query": query}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/graphql", body, headers)  # noqa: S310 - our own server
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return json.load(answer)["data"]


def copy_shipped_files(folder: Path) -> None:
    """Copy what `make run` and `make dev` need beside the package."""
    for name in _FILES:
        source = PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)


@contextmanager
def served_project(folder: Path) -> Iterator[ServedProject]:
    """Run `make dev` over a copy of the shipped files until the end of the block."""
    copy_shipped_files(folder)
    project = ServedProject(folder, free_port(), free_port())
    log_path = folder / "dev.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            project.command("dev", "--port", str(project.port)),
            cwd=folder,
            env=project.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_served(project, process, log_path)
        yield project
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_served(project: ServedProject, process: "subprocess.Popen[bytes]", log_path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            project.ask("{ version }")
            return
        time.sleep(0.2)
    raise AssertionError(f"the UI did not come up:\n{log_path.read_text()}")
