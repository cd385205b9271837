"""`make run` for real, also after one that was killed and in an environment that means other places."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sim_sync_tests.ui.project import PATIENCE_SECONDS, PROJECT, copy_shipped_files

pytestmark = pytest.mark.slow

ELSEWHERE = {
    "DAGSTER_HOME": "/nowhere/at/all",
    "SIM_SYNC_CONFIG": "/nowhere/carriers.yaml",
    "SIM_SYNC_WAREHOUSE_URL": "postgresql://sync@127.0.0.1:9/sims",
    "SIM_SYNC_SIMULATOR_URL": "http://127.0.0.1:9",
    "SIM_SYNC_CRASH_AT": "commit_page:begun:1",
}


def start_demo(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "sim_sync", "demo"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), **ELSEWHERE},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_at_line(demo: "subprocess.Popen[str]", beginning: str) -> list[psutil.Process]:
    """Kill a demonstration when it says so, and return the processes that it had started."""
    assert demo.stdout is not None
    seen = []
    for line in demo.stdout:
        seen.append(line)
        if line.strip().startswith(beginning):
            started = psutil.Process(demo.pid).children(recursive=True)
            demo.send_signal(signal.SIGKILL)
            demo.wait()
            return started
    raise AssertionError(f"it never said {beginning!r}: {''.join(seen)}")


def test_after_a_killed_one_the_figures_are_the_known_ones(tmp_path: Path) -> None:
    copy_shipped_files(tmp_path)
    with start_demo(tmp_path) as killed:
        started = kill_at_line(killed, "3. Dagster's daemon starts")
    gone, alive = psutil.wait_procs(started, timeout=PATIENCE_SECONDS)
    assert gone
    assert alive == []  # a daemon that lived on would launch runs for a carrier that is gone

    with start_demo(tmp_path) as demo:
        out, _ = demo.communicate(timeout=2 * PATIENCE_SECONDS)
    assert demo.returncode == 0, out
    assert "Traceback" not in out
    assert "WRONG" not in out
    for line in (
        "kill -9 after page ",
        "20,000 SIMs in carrier_sims",
        "100 pages walked",
        "3 retries ridden out",
        "launched; the killed run counts as failed",
        "discrepancies missing_at_carrier: 12",
        "discrepancies unknown_to_us: 8",
        "discrepancies mismatch: 25",
        f"{tmp_path / '.sim_sync' / 'warehouse.db'}",
        "http://127.0.0.1:3000",
    ):
        assert line in out
