"""The same folder as for the commands."""

from sim_sync_tests.cli.conftest import command_line  # noqa: F401 - a fixture
