"""A crash point that the environment arms: it kills the process there, and says clearly what it cannot understand."""

import signal
import subprocess
import sys

import pytest

from sim_sync.core.errors import ConfigError
from sim_sync.core.sync import CRASH_POINTS, nothing_armed
from sim_sync.worker.processes import VARIABLE, armed_crash_point


@pytest.mark.parametrize("environ", [{}, {VARIABLE: ""}])
def test_nothing_is_armed_by_default(environ: dict[str, str]) -> None:
    assert armed_crash_point(environ) is nothing_armed


@pytest.mark.parametrize(
    "armed",
    [
        "commit_page",
        "commit_page:7",
        "nowhere:begun:1",
        "commit_page:begun:0",
        "commit_page:begun:-1",
        "x",
        ":1",
        "commit_page:begun:²",
    ],
)
def test_what_is_no_crash_point_is_a_problem_of_the_configuration(armed: str) -> None:
    with pytest.raises(ConfigError) as refused:
        armed_crash_point({VARIABLE: armed})
    (problem,) = refused.value.problems
    assert (problem.key, problem.found) == (VARIABLE, armed)
    assert all(point in problem.expected for point in CRASH_POINTS)


def test_the_process_dies_when_it_passes_the_point_for_the_nth_time() -> None:
    program = (
        "from sim_sync.worker.processes import armed_crash_point\n"
        "at = armed_crash_point({'SIM_SYNC_CRASH_AT': 'commit_page:rows_written:3'})\n"
        "for number in range(1, 6):\n"
        "    at('commit_page:begun')\n"
        "    print(number, flush=True)\n"
        "    at('commit_page:rows_written')\n"
    )
    died = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "1\n2\n3\n")
