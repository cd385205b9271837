"""A Prometheus server from Debian's packages scrapes the endpoint, answers a query over it, and loads our rules.

It is taken from the path, or else out of the package that `apt-get download` brings, which needs no root. Where it
cannot be had, the tests are skipped, and say so.
"""

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sim_sync.cli.exposition import exposition
from sim_sync_tests.cli.command_line import PATIENCE_SECONDS, CommandLine
from sim_sync_tests.cli.scraping import fetch
from sim_sync_tests.cli.test_metrics import endpoint
from sim_sync_tests.docs.documents import PROJECT, code_blocks
from sim_sync_tests.fakes.figures import everything

pytestmark = pytest.mark.slow
_DOWNLOAD_SECONDS = 90
Found = TypeVar("Found")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `prometheus` and `promtool` are in."""
    if (found := shutil.which("prometheus")) is not None:
        return Path(found).parent
    folder = tmp_path_factory.mktemp("prometheus")
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip("no Prometheus can be had: none is on the path, and this is no Debian that could bring one")
    try:
        subprocess.run(
            ["apt-get", "download", "prometheus"],
            cwd=folder,
            timeout=_DOWNLOAD_SECONDS,
            capture_output=True,
            check=True,
        )
        (package,) = folder.glob("prometheus_*.deb")
        subprocess.run(["dpkg", "-x", package, folder], timeout=60, capture_output=True, check=True)
    except (subprocess.SubprocessError, ValueError) as error:
        pytest.skip(f"no Prometheus can be had: `apt-get download prometheus` came to {type(error).__name__}")
    return folder / "usr" / "bin"


def wait_for(look: Callable[[], Found | None], what: str) -> Found:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {PATIENCE_SECONDS} s in vain for {what}")


@contextmanager
def prometheus(programs: Path, folder: Path, target: str) -> Iterator[str]:
    """Run a server that scrapes an endpoint every second as docs/metrics.md says; yield its URL."""
    (config,) = [text for text in code_blocks(PROJECT / "docs" / "metrics.md", "yaml") if "scrape_configs" in text]
    config = config.replace("127.0.0.1:9464", target).replace("scrape_interval: 30s", "scrape_interval: 1s")
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        str(programs / "prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "prometheus.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield f"http://{address}"
        finally:
            process.terminate()


def answer(url: str, query: str) -> list[dict[str, Any]]:
    """Return what a server answers to a query now; nothing while it does not listen yet."""
    try:
        found = fetch(url, path=f"/api/v1/query?query={urllib.parse.quote(query)}")
    except OSError:
        return []
    if found.status != 200:
        return []
    result: list[dict[str, Any]] = json.loads(found.text)["data"]["result"]
    return result


def test_a_prometheus_server_scrapes_the_endpoint_and_answers_a_query_over_it(
    command_line: CommandLine, programs: Path, tmp_path: Path
) -> None:
    command_line.open_session("acme", pages=3)
    command_line.open_session("zeta", pages=1)
    with endpoint(command_line) as url, prometheus(programs, tmp_path, urllib.parse.urlsplit(url).netloc) as server:
        query = "sum by (carrier) (sim_sync_pages_total)"
        found = wait_for(lambda: answer(server, query) or None, "a scrape")
        assert {one["metric"]["carrier"]: one["value"][1] for one in found} == {"acme": "3", "zeta": "1"}
        (up,) = answer(server, 'up{job="sim_sync"} * on (instance, job) sim_sync_up')
        assert up["value"][1] == "1"
        state = 'sim_sync_session_state{state="running"} == 1'
        assert {one["metric"]["carrier"] for one in answer(server, state)} == {"acme", "zeta"}


def test_promtool_has_nothing_against_our_metrics_and_rules(programs: Path, tmp_path: Path) -> None:
    checked = subprocess.run(
        [programs / "promtool", "check", "metrics"],
        input=exposition([everything()])[0],
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    (rules,) = [text for text in code_blocks(PROJECT / "docs" / "metrics.md", "yaml") if text.startswith("groups:")]
    (tmp_path / "rules.yml").write_text(rules, encoding="utf-8")
    checked = subprocess.run(
        [programs / "promtool", "check", "rules", tmp_path / "rules.yml"],
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
