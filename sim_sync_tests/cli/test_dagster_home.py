"""The Dagster home of a command: made where there is none, for its owner alone."""

import stat

import pytest

from sim_sync_tests.cli.command_line import CommandLine, an_account
from sim_sync_tests.fakes.modes import modes

pytestmark = pytest.mark.slow


def test_whatever_a_first_backfill_leaves_is_its_owners_alone_dagsters_files_too(command_line: CommandLine) -> None:
    account = an_account("http://127.0.0.1:9", rate_limit={"requests_per_second": 100, "shared_key": "us"})
    command_line.write_carriers(acme=account)
    code = "import os, sys; os.umask(0); from sim_sync.cli import main; main(sys.argv[1:])"
    said = command_line.python("-c", code, "backfill", "acme", DAGSTER_HOME="")
    assert said.code == 3, said
    found = modes(command_line.folder / ".sim_sync")
    assert any(name.startswith("dagster_home/history") for name in found)
    assert any(name.startswith("limits/") for name in found)
    assert {name: oct(mode) for name, mode in found.items() if mode & 0o077} == {}


def test_in_a_home_that_somebody_else_has_made_dagsters_files_follow_the_umask(command_line: CommandLine) -> None:
    code = "import os, sys; os.umask(0o002); from sim_sync.cli import main; main(sys.argv[1:])"
    assert command_line.python("-c", code, "backfill", "acme").code == 3
    runs = command_line.folder / "dagster_home" / "history" / "runs.db"
    assert stat.S_IMODE(runs.stat().st_mode) & 0o044 == 0o044
