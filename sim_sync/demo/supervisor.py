"""Runs a command that never outlives who started it: `python -m sim_sync.demo.supervisor COMMAND ...`.

It ends the command when it is told to by SIGTERM, and when its standard input closes, which is what happens when the
process that holds the other end dies, even by SIGKILL. An orphaned daemon would launch runs that nobody knows.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

#: How long a command may take to end its runs well before it is killed with all that it started.
END_SECONDS = 30.0


@contextmanager
def guarded(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, log: IO[bytes] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command under a guard; it is told to end with the block, and ends with this process whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sim_sync.demo.supervisor", *command],
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=None if log is None else subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.terminate()
        # Asked to end already, it may still be letting the command finish its page.
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def kill_guarded(guard: "subprocess.Popen[bytes]") -> None:
    """Kill the guarded command with SIGKILL, as a crash would, and return when it is gone."""
    for process in psutil.Process(guard.pid).children():
        process.kill()
    guard.wait()


def main(command: Sequence[str]) -> int:
    """Run the command to its end and return its exit code; end it early when told to, or when left alone."""
    started: list[subprocess.Popen[bytes]] = []

    def end(_number: int, _frame: object) -> None:
        for process in started:
            threading.Thread(target=_end, args=(process,), daemon=True).start()

    # Before the command starts: it must not inherit an ignored SIGINT, which a shell gives to what it puts in the
    # background. Ctrl-C in a terminal reaches the command by itself.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    signal.signal(signal.SIGTERM, end)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    started.append(process)
    threading.Thread(target=_end_when_left_alone, args=(process,), daemon=True).start()
    code = process.wait()
    return code if code >= 0 else 128 - code


def _end_when_left_alone(process: "subprocess.Popen[bytes]") -> None:
    # Not through sys.stdin: a thread that holds its lock would break the interpreter's end.
    with suppress(OSError):
        while os.read(0, 1024):
            pass
    _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a command to end, and kill it with all that it started where it does not."""
    family = _descendants(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
        return
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.kill()


def _descendants(pid: int) -> Sequence[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
