"""Is the process behind an owner gone? Only what is certain counts as yes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sim_sync.core.opening import Process
from sim_sync.worker.processes import is_known_dead, this_host, this_process


@pytest.fixture
def child() -> Iterator[tuple[subprocess.Popen[str], Process]]:
    """Another process that has told who it is, and waits."""
    program = (
        "from sim_sync.worker.processes import this_process\n"
        "me = this_process()\n"
        "print(me.host, me.pid, me.started, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        host, pid, started = running.stdout.readline().rsplit(maxsplit=2)
        yield running, Process(host, int(pid), started)
        running.kill()


def test_this_process_is_alive() -> None:
    assert this_process().pid == os.getpid()
    assert not is_known_dead(this_process())


def test_a_process_says_the_same_of_itself_every_time() -> None:
    assert this_process() == this_process()


def test_another_process_of_this_host_is_alive_until_it_is_killed(
    child: tuple[subprocess.Popen[str], Process],
) -> None:
    running, process = child
    assert process.host == this_host()
    assert not is_known_dead(process)
    running.kill()
    os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
    assert is_known_dead(process), "dead, though nobody has taken note of it: a zombie"
    running.wait()
    assert is_known_dead(process)


def test_a_later_process_with_the_same_number_is_another_one() -> None:
    me = this_process()
    assert is_known_dead(replace(me, started=f"{float(me.started) - 60:.2f}"))


def test_a_clock_that_was_put_right_by_a_second_makes_nobody_another_one() -> None:
    me = this_process()
    assert not is_known_dead(replace(me, started=f"{float(me.started) + 1:.2f}"))


def test_of_another_host_nothing_is_known() -> None:
    assert not is_known_dead(Process("another-host#boot", 1, "0.00"))
    assert not is_known_dead(Process("another-host", 2**22 - 1, "0.00"))


def test_before_a_reboot_everything_is_dead() -> None:
    host = this_host().partition("#")[0]
    assert is_known_dead(replace(this_process(), host=f"{host}#6b29fc40-ca47-1067-b31d-00dd010662da"))
    assert is_known_dead(replace(this_process(), host=f"{host}#1700000000"))


def test_of_nobody_nothing_is_known() -> None:
    assert not is_known_dead(None)
