import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sim_sync.selftest.victims import ended_like_ctrl_c
from sim_sync_tests.warehouse.test_scratch import schemas

PATIENCE_SECONDS = 60.0


def test_sigterm_ends_the_block_as_ctrl_c_does_and_then_means_what_it_meant_before() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt), ended_like_ctrl_c():
        signal.raise_signal(signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_selftest_that_is_stopped_leaves_no_process_no_file_and_no_schema(
    number: signal.Signals, postgres_url: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "sim_sync", "selftest", "--url", postgres_url]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not list(tmp_path.glob("sim-sync-selftest-*/victim-1/told")):
            assert time.monotonic() < deadline, "the selftest did not start a victim"
            time.sleep(0.02)
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) != 0

    _, alive = psutil.wait_procs(started, timeout=PATIENCE_SECONDS)
    assert (len(started) >= 2, alive) == (True, [])
    assert list(tmp_path.glob("sim-sync-selftest-*")) == []
    assert schemas(postgres_url) == set()


@pytest.mark.slow
def test_a_url_of_another_database_is_refused_with_exit_code_2() -> None:
    command = [sys.executable, "-m", "sim_sync", "selftest", "--url", "mysql://me:pa55word@host/db"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--url: expected the URL of a PostgreSQL database" in ended.stderr
    assert "pa55word" not in ended.stderr
