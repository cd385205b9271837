"""Machines as `deploy/hosts` makes them: code servers on hosts of their own, behind HAProxy; one daemon beside that.

All that is run is what is shipped, but for addresses, and for programs that are in this environment instead of in /opt.
"""

import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sim_sync_tests.deploy.files import HOSTS, document
from sim_sync_tests.fakes.containers import on_host
from sim_sync_tests.stories.place import Workspace, end_group
from sim_sync_tests.ui.project import free_port

#: The names that the shipped file of HAProxy has for the hosts, and addresses of this machine for them.
ADDRESSES = {"code-a": "127.0.0.2", "code-b": "127.0.0.3"}
_MODULES = {"dagster": "dagster", "dagster-daemon": "dagster._daemon"}


@dataclass
class Machines:
    """The hosts of one deployment, those that are switched on."""

    place: Workspace
    stack: ExitStack
    on: dict[str, ExitStack] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=lambda: {name: free_port() for name in ("haproxy", *ADDRESSES)})

    def __post_init__(self) -> None:
        """Write the files as an operator installs them, with the addresses of here."""
        self.place.write_dagster_yaml(document(HOSTS / "dagster.yaml"))
        here = f":{self.ports['haproxy']}"
        workspace = (HOSTS / "workspace.yaml").read_text(encoding="utf-8")
        self._workspace.write_text(workspace.replace("port: 4000", f"port: {here[1:]}"), encoding="utf-8")

    @property
    def _workspace(self) -> Path:
        return self.place.folder / "workspace.yaml"

    def begin(self) -> None:
        """Make Dagster's tables, as the recipe says; then start the code hosts, the balancer and the daemon."""
        with self.place.process(*_command("sim-sync-migrate"), log="migrate.log") as migrate:
            assert migrate.wait(120) == 0
        for name in ADDRESSES:
            self.switch_on(name)
        self.balance(*ADDRESSES)
        daemon = _command("sim-sync-daemon", workspace=self._workspace)
        self.stack.enter_context(self.place.process(*daemon, log="daemon.log"))

    def switch_on(self, name: str) -> None:
        """Start a code host, with nothing on its disk but what an operator installs."""
        stack = self.on[name] = self.stack.enter_context(ExitStack())
        command = _command("sim-sync-code", host=ADDRESSES[name], port=str(self.ports[name]))
        power = on_host(name, self.place.folder / "dagster_home")
        process = stack.enter_context(self.place.process(*power, *command, log=f"{name}.log"))
        stack.callback(end_group, process)

    def cut_power(self, name: str) -> None:
        """Kill every process of a host."""
        self.on.pop(name).close()

    def balance(self, *names: str) -> None:
        """Let HAProxy send requests to these hosts alone, whichever it knew before."""
        if "haproxy" in self.on:
            self.cut_power("haproxy")
        text = (HOSTS / "haproxy.cfg").read_text(encoding="utf-8")
        text = text.replace("bind 127.0.0.1:4000", f"bind 127.0.0.1:{self.ports['haproxy']}")
        for name, address in ADDRESSES.items():
            server = f"server {name} {address}:{self.ports[name]}" if name in names else f"# {name}"
            text = re.sub(rf"server {name} \S+", server, text)
        config = self.place.folder / "haproxy.cfg"
        config.write_text(text, encoding="utf-8")
        stack = self.on["haproxy"] = self.stack.enter_context(ExitStack())
        stack.enter_context(self.place.process("haproxy", "-W", "-f", str(config), log="haproxy.log"))

    def of_the_walk(self) -> str:
        """Return the host of the process that owns, or last owned, the carrier's session."""
        session = self.place.session()
        process = None if session is None else self.place.warehouse.sessions.internals(session.session_id).process
        assert process is not None
        return process.host.partition("#")[0]


def _command(unit: str, *, workspace: Path | None = None, host: str = "", port: str = "") -> Sequence[str]:
    """Return what a unit of systemd runs, with another workspace or address."""
    text = (HOSTS / "systemd" / f"{unit}.service").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=/opt/sim-sync/bin/(.*)$", text, re.MULTILINE)
    line = line.replace("${SIM_SYNC_RELEASE}", "sim-sync-1")
    line = re.sub(r"--host \S+ --port \d+", f"--host {host} --port {port}", line)
    line = re.sub(r"--workspace \S+", f"--workspace {workspace}", line)
    program, *arguments = shlex.split(line)
    return [sys.executable, "-m", _MODULES[program], *arguments]


def seconds_since(then: float) -> float:
    """Return how long ago a moment of the monotonic clock was, to a tenth."""
    return round(time.monotonic() - then, 1)
