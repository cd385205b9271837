"""Is the process behind an owner gone? Only what is certain counts as yes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from sim_sync.core.session import Process
from sim_sync.worker.processes import is_known_dead, this_host, this_process
from sim_sync_tests.fakes.containers import needs_namespaces


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


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_host_of_one_name_is_another_one_if_its_boot_or_its_process_table_is(part: int) -> None:
    """Two machines may have one name, and two containers of one machine its name and its boot."""
    parts = this_host().split("#")
    parts[part] = "6b29fc40-ca47-1067-b31d-00dd010662da"
    assert not is_known_dead(Process("#".join(parts), 2**22 + 1, "0.00"))
    assert is_known_dead(Process(this_host(), 2**22 + 1, "0.00"))


def test_what_an_earlier_version_wrote_down_tells_of_no_process_table_and_so_of_no_death() -> None:
    assert not is_known_dead(Process(this_host().rpartition("#")[0], 2**22 + 1, "0.00"))


def test_of_nobody_nothing_is_known() -> None:
    assert not is_known_dead(None)


_WHO_AM_I = """
from sim_sync.worker.processes import this_process
me = this_process()
print(me.host, me.pid, me.started or "unknown", flush=True)
input()
"""


@contextmanager
def in_a_container(*unshare: str) -> Iterator[Process]:
    """Run a process in namespaces of its own under the name of this host, and yield what it says of itself."""
    command = ["unshare", "--pid", "--fork", "--kill-child=SIGKILL", *unshare, sys.executable, "-c", _WHO_AM_I]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        host, pid, started = running.stdout.readline().split()
        yield Process(host, int(pid), "" if started == "unknown" else started)
        running.kill()


@needs_namespaces
def test_of_a_living_process_in_another_container_of_this_host_nothing_is_known() -> None:
    with in_a_container("--uts", "--mount", "--mount-proc") as process:
        assert process.host.split("#")[:2] == this_host().split("#")[:2]
        assert not is_known_dead(process)
        assert not is_known_dead(replace(process, pid=2**22 + 1))


@needs_namespaces
def test_a_process_that_is_shown_the_processes_of_another_namespace_speaks_for_itself_only() -> None:
    """`/proc` is its parent's: its own number means somebody else there."""
    with in_a_container() as process, in_a_container() as other:
        assert not is_known_dead(process)
        assert process.host != other.host
