"""`make dev`: the Dagster UI with sensor and schedule on, and the simulated carrier where one is configured."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from sim_sync.config import Config, load_config
from sim_sync.core.errors import InputError, SimSyncError
from sim_sync.demo.supervisor import guarded
from sim_sync.files import private_by_default
from sim_sync.processes import handled_by
from sim_sync.simulator.control import running_simulator
from sim_sync.simulator.messages import LOOPBACK, MountOptions
from sim_sync.terminal.output import ExitCode, print_lines, say
from sim_sync.terminal.workdir import SIMULATED_CARRIER, SIMULATED_SIMS, conflict_lines, locked, require_project_folder

#: Dagster recommends another command of its own for the same thing, at every start.
_QUIET = "ignore:Function `dev_command`"


def run_dev(root: Path, *, port: int) -> ExitCode:
    """Serve the UI on 127.0.0.1 until it is told to end."""
    require_project_folder(root)
    config = load_config()
    with locked(root), private_by_default(), ExitStack() as stack:
        _require_free(port, "the UI", "take another one: `sim-sync dev --port N`")
        simulator_port = _simulator_port(config)
        if simulator_port is not None:
            _require_free(simulator_port, "the simulated carrier", "name another URL in SIM_SYNC_SIMULATOR_URL")
            simulator = stack.enter_context(running_simulator(MountOptions(sims=SIMULATED_SIMS), port=simulator_port))
            say(f"simulated carrier {SIMULATED_CARRIER} at {simulator.url}, {SIMULATED_SIMS:,} SIMs")
        print_lines(conflict_lines(os.environ))
        say(f"Dagster UI at http://{LOOPBACK}:{port}; Ctrl-C ends everything, and the next `make dev` continues")
        return _until_told_to_end(stack.enter_context(_dagster(root, port)))


def _until_told_to_end(dagster: "subprocess.Popen[bytes]") -> ExitCode:
    asked: list[int] = []

    def end(number: int, _frame: object) -> None:
        asked.append(number)
        # Ctrl-C in a terminal reaches the whole group by itself; SIGTERM reaches this process alone.
        if number == signal.SIGTERM and dagster.poll() is None:
            dagster.terminate()

    with handled_by(end):
        code = dagster.wait()
    return ExitCode.DONE if code == 0 or asked else ExitCode.FAILED


def _simulator_port(config: Config) -> int | None:
    """Return the port that the configured simulated carrier is expected at; None where none is configured."""
    if SIMULATED_CARRIER not in config.carrier_names:
        return None
    try:
        base_url = urlsplit(config.carrier(SIMULATED_CARRIER).settings.base_url)
    except SimSyncError:
        return None
    return base_url.port if base_url.hostname in {LOOPBACK, "localhost"} else None


def _require_free(port: int, whose: str, otherwise: str) -> None:
    """Raise `InputError` where somebody listens on the port already: what needs it would say so much less clearly."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise InputError(
                f"{LOOPBACK}:{port}, the port of {whose}, cannot be taken ({error.strerror}); end what listens there, "
                f"or {otherwise}"
            ) from None


@contextmanager
def _dagster(root: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-W", _QUIET, "-m", "dagster", "dev", "-w", "workspace.yaml", "-h", LOOPBACK]
    environment = {**os.environ, "DAGSTER_HOME": os.environ.get("DAGSTER_HOME") or str(root)}
    with guarded([*command, "-p", str(port)], cwd=root, env=environment) as process:
        yield process
