"""A pseudo-terminal of a chosen width, and what a command shows in it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress

from sim_sync_tests.cli.command_line import PATIENCE_SECONDS, PROJECT, CommandLine

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def shown_in_terminal(command_line: CommandLine, *arguments: str, columns: int) -> str:
    """Return what a command shows in a terminal of that width, without its colours; it must succeed."""
    shown, code = answered_in_terminal(command_line, *arguments, columns=columns)
    assert code == 0
    return shown


def answered_in_terminal(
    command_line: CommandLine, *arguments: str, answer: str = "", columns: int = 80
) -> tuple[str, int]:
    """Return what a command shows to a person who types an answer, and its exit code."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "sim_sync", *arguments],
        cwd=command_line.folder,
        env={**environment, "PYTHONPATH": str(PROJECT), "TERM": "xterm"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    os.write(leader, answer.encode())
    shown = b""
    with suppress(OSError):  # Linux tells so that the other end is closed
        while part := os.read(leader, 65536):
            shown += part
    os.close(leader)
    code = process.wait(PATIENCE_SECONDS)
    return _COLOURS.sub("", shown.decode()).replace("\r\n", "\n"), code
