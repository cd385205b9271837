"""Real sync processes: started with or without an armed crash point, killed, frozen, woken, and waited for."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sim_sync.worker.crash import VARIABLE as CRASH_VARIABLE

#: The carrier's name in the config of a trial.
CARRIER = "selftest"
#: Short, so that a frozen worker is taken over soon.
LEASE_SECONDS = 3
_PATIENCE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Scene:
    """Where victims work: the environment with their config and their warehouse."""

    environment: Mapping[str, str]

    @contextmanager
    def victim(self, crash_at: str | None = None) -> Iterator["subprocess.Popen[bytes]"]:
        """Start a sync process; whatever becomes of it, it is gone at the end of the block."""
        environment = dict(self.environment) | ({CRASH_VARIABLE: crash_at} if crash_at else {})
        command = [sys.executable, "-m", "sim_sync.selftest.process", CARRIER]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def write_scene(
    folder: Path, *, carrier_url: str, warehouse_url: str, credentials: Mapping[str, str], page_size: int
) -> Scene:
    """Write the config of a trial and return the scene for its victims."""
    path = folder / "carriers.yaml"
    carrier = {
        "type": "twilio_super_sim",
        "base_url": carrier_url,
        "auth": dict(credentials),
        "page_size": page_size,
        "lease_seconds": LEASE_SECONDS,
        "retry": {"base_seconds": 0.05, "ceiling_seconds": 1, "max_attempts": 8},
    }
    path.write_text(yaml.safe_dump({"carriers": {CARRIER: carrier}}), encoding="utf-8")
    return Scene({**os.environ, "SIM_SYNC_CONFIG": str(path), "SIM_SYNC_WAREHOUSE_URL": warehouse_url})


def finish(process: "subprocess.Popen[bytes]") -> tuple[int, dict[str, Any], str]:
    """Wait for a victim's own end; return its exit code, what it told, and its complaints."""
    out, err = process.communicate(timeout=_PATIENCE_SECONDS)
    told = json.loads(out) if out.strip() else {}
    return process.returncode, told, err.decode(errors="replace")


def freeze(process: "subprocess.Popen[bytes]") -> None:
    """Stop a victim in its tracks, as a suspended laptop or a starved host does."""
    process.send_signal(signal.SIGSTOP)


def wake(process: "subprocess.Popen[bytes]") -> None:
    """Let a frozen victim go on."""
    process.send_signal(signal.SIGCONT)
