"""Several processes open a Dagster home that nobody has opened before."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sim_sync.core.errors import InputError
from sim_sync.defs.launch import open_instance

OPEN = (
    "from sim_sync.defs.launch import open_instance\n"
    "with open_instance() as instance:\n"
    "    assert list(instance.get_runs()) == []\n"
)
PROCESSES = 5
PATIENCE_SECONDS = 120


@pytest.mark.slow
def test_a_new_home_may_be_opened_by_several_processes_at_once(tmp_path: Path) -> None:
    """Without the lock about half of them fail, and the home is broken for good."""
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path)}
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    openers = [
        subprocess.Popen([sys.executable, "-c", OPEN], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    complaints = [opener.communicate(timeout=PATIENCE_SECONDS)[1] for opener in openers]
    assert [opener.returncode for opener in openers] == [0] * PROCESSES, complaints


@pytest.mark.parametrize("home", ["", "relative", "/dev/null/home"])
def test_a_home_that_cannot_be_used_is_told_with_its_name(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", home)
    with pytest.raises(InputError, match=f"the Dagster instance in {home} cannot be used"):
        open_instance()


def two_heads(runs: Path) -> None:
    with sqlite3.connect(runs) as database:
        database.execute("INSERT INTO alembic_version VALUES ('another')")
    database.close()


def no_database(runs: Path) -> None:
    runs.write_bytes(b"something else " * 1000)


@pytest.mark.parametrize(
    ("breaks", "told"), [(two_heads, "more than one head present"), (no_database, "file is not a database")]
)
def test_a_home_that_two_programs_made_at_once_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: Callable[[Path], None], told: str
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with open_instance():
        pass
    breaks(tmp_path / "history" / "runs.db")

    with pytest.raises(InputError, match=told) as caught:
        open_instance()

    assert str(caught.value).endswith("move it away, and start one first")
    assert "\n" not in str(caught.value)
