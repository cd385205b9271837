"""Real processes: what the guard promises is about their deaths."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from sim_sync.demo.supervisor import guarded, kill_guarded
from sim_sync_tests.cli.command_line import PATIENCE_SECONDS
from sim_sync_tests.cli.waiting import wait_until

#: Says that it is there, and would live on for minutes.
SLEEPER = (
    "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); print('up', flush=True); "
    "time.sleep(300)"
)
GUARDS_AND_DIES = """
import os, pathlib, sys
from sim_sync.demo.supervisor import guarded
with guarded([sys.executable, "-c", sys.argv[1], sys.argv[2]], cwd=pathlib.Path.cwd()):
    sys.stdin.readline()
    os.kill(os.getpid(), 9)
"""


def test_a_guarded_command_ends_with_the_block(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with (tmp_path / "log").open("w+b") as log:
        command = [sys.executable, "-c", SLEEPER, str(note)]
        with guarded(command, cwd=Path.cwd(), log=log) as guard:
            wait_for_text(tmp_path / "log", "up")
            pid = int(note.read_text())
            assert psutil.pid_exists(pid)
        assert guard.returncode == 128 + signal.SIGTERM
    assert not psutil.pid_exists(pid)


def test_a_guarded_command_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    starter = subprocess.Popen(
        [sys.executable, "-c", GUARDS_AND_DIES, SLEEPER, str(note)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    assert starter.stdout.readline() == "up\n"
    sleeper = psutil.Process(int(note.read_text()))
    starter.communicate("die\n", timeout=PATIENCE_SECONDS)
    assert starter.returncode == -signal.SIGKILL
    sleeper.wait(PATIENCE_SECONDS)


def test_a_guarded_command_can_be_killed_as_by_a_crash(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+b") as log:
        command = [sys.executable, "-c", SLEEPER, str(tmp_path / "pid")]
        with guarded(command, cwd=Path.cwd(), log=log) as guard:
            wait_for_text(tmp_path / "log", "up")
            kill_guarded(guard)
            assert guard.returncode == 128 + signal.SIGKILL


def test_the_exit_code_of_the_command_is_handed_on(tmp_path: Path) -> None:
    with guarded([sys.executable, "-c", "raise SystemExit(3)"], cwd=tmp_path, env=with_this_package()) as guard:
        assert guard.wait(PATIENCE_SECONDS) == 3


def test_a_command_hears_control_c_even_where_its_starter_does_not(tmp_path: Path) -> None:
    """A shell lets what it puts in the background ignore SIGINT; Dagster would then ignore SIGTERM as well."""
    code = "import signal; raise SystemExit(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with guarded([sys.executable, "-c", code], cwd=tmp_path, env=with_this_package()) as guard:
            assert guard.wait(PATIENCE_SECONDS) == 0
    finally:
        signal.signal(signal.SIGINT, before)


def with_this_package() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def wait_for_text(path: Path, text: str) -> None:
    wait_until(lambda: text in path.read_text(), f"{text!r} in {path}")
