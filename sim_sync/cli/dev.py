"""`make dev`: the Dagster UI with sensor and schedule on, and the simulated carrier where one is configured."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from sim_sync.cli.exit_codes import ExitCode
from sim_sync.cli.place import SIMULATED_CARRIER, SIMULATED_SIMS, locked, require_project_folder
from sim_sync.config import Config, load_config
from sim_sync.core.errors import SimSyncError
from sim_sync.simulator.control import running_simulator
from sim_sync.simulator.options import MountOptions

_END_SECONDS = 30.0


def run_dev(root: Path, *, port: int) -> ExitCode:
    """Serve the UI on 127.0.0.1 until it is told to end."""
    require_project_folder(root)
    config = load_config()
    with locked(root), ExitStack() as stack:
        simulator_port = _simulator_port(config)
        if simulator_port is not None:
            simulator = stack.enter_context(running_simulator(MountOptions(sims=SIMULATED_SIMS), port=simulator_port))
            _say(f"simulated carrier {SIMULATED_CARRIER} at {simulator.url}, {SIMULATED_SIMS:,} SIMs")
        _say(f"Dagster UI at http://127.0.0.1:{port}; Ctrl-C ends everything, and the next `make dev` goes on")
        dagster = stack.enter_context(_dagster(root, port))
        return ExitCode.DONE if dagster.wait() == 0 else ExitCode.FAILED


def _simulator_port(config: Config) -> int | None:
    """Return the port that the configured simulated carrier is expected at; None where none is configured."""
    if SIMULATED_CARRIER not in config.carrier_names:
        return None
    try:
        base_url = urlsplit(config.carrier(SIMULATED_CARRIER).settings.base_url)
    except SimSyncError:
        return None
    return base_url.port if base_url.hostname in {"127.0.0.1", "localhost"} else None


@contextmanager
def _dagster(root: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `dagster dev`, and pass on to it what we are told by signals, so that it ends its runs well."""
    command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
    environment = {**os.environ, "DAGSTER_HOME": os.environ.get("DAGSTER_HOME") or str(root)}
    process = subprocess.Popen(command, cwd=root, env=environment)

    def pass_on(number: int, _frame: object) -> None:
        # Ctrl-C in a terminal reaches the whole group by itself.
        if number == signal.SIGTERM and process.poll() is None:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield process
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if process.poll() is None:
            process.terminate()
            process.wait(_END_SECONDS)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
