"""A pseudo-terminal of a chosen width, and what a command shows in it."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sim_sync_tests.cli.command_line import PATIENCE_SECONDS, PROJECT, CommandLine

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def shown_in_terminal(command_line: CommandLine, *arguments: str, columns: int) -> str:
    """Return what a command shows in a terminal of that width, without its colours; it must succeed."""
    shown, code = answered_in_terminal(command_line, *arguments, columns=columns)
    assert code == 0
    return shown


def bare_in_terminal(command_line: CommandLine, *arguments: str, columns: int) -> str:
    """Return what a command shows in a terminal of that width with its colours; it must succeed."""
    with _in_terminal(command_line, *arguments, columns=columns) as (process, leader):
        shown = _read_all(leader)
        assert process.wait(PATIENCE_SECONDS) == 0
    return shown


def watched_in_terminal(command_line: CommandLine, *arguments: str, until: str) -> tuple[str, int]:
    """Return what a command has shown when a text appears and a person presses Ctrl-C, and its exit code."""
    with _in_terminal(command_line, *arguments, columns=120) as (process, leader):
        shown = b""
        while until.encode() not in shown:
            shown += os.read(leader, 65536)
        process.send_signal(signal.SIGINT)
        shown += _read_all(leader).encode()
        return _COLOURS.sub("", shown.decode()), process.wait(PATIENCE_SECONDS)


def answered_in_terminal(
    command_line: CommandLine, *arguments: str, answer: str = "", columns: int = 80
) -> tuple[str, int]:
    """Return what a command shows to a person who types an answer, and its exit code."""
    with _in_terminal(command_line, *arguments, columns=columns) as (process, leader):
        os.write(leader, answer.encode())
        shown = _read_all(leader)
        code = process.wait(PATIENCE_SECONDS)
    return _COLOURS.sub("", shown).replace("\r\n", "\n"), code


@contextmanager
def _in_terminal(
    command_line: CommandLine, *arguments: str, columns: int
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
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
    try:
        yield process, leader
    finally:
        os.close(leader)


def _read_all(leader: int) -> str:
    shown = b""
    with suppress(OSError):  # Linux tells so that the other end is closed
        while part := os.read(leader, 65536):
            shown += part
    return shown.decode()
