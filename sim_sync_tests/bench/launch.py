"""What a backfill costs before it asks its carrier for anything: CPU seconds from its launch to its first request."""

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import psutil

from sim_sync_tests.bench.contenders import CARRIER, Build, this_build, write_config
from sim_sync_tests.bench.figures import Figure

_PAGE = {
    "sims": [{"sid": "HS1", "iccid": "89883030000000000017", "status": "active"}],
    "meta": {"next_page_url": None, "key": "sims"},
}


def launches(others: Sequence[Build], times: int) -> Iterator[Figure]:
    """Measure `sim-sync backfill` of this build and of others, in turn; the best of several, modules compiled."""
    builds = [this_build(), *others]
    with tempfile.TemporaryDirectory(prefix="sim-sync-bench-") as name, _carrier() as carrier:
        folders = {build.name: Path(name) / build.name.replace(" ", "-") for build in builds}
        for folder in folders.values():
            folder.mkdir()
        found: dict[str, list[float]] = {build.name: [] for build in builds}
        for _ in range(times + 1):
            for build in builds:
                found[build.name].append(_cpu_until_asked(build, carrier, folders[build.name]))
    best = {build: min(seconds[1:]) for build, seconds in found.items()}  # the first one compiles and makes its home
    ours = best.pop(this_build().name)
    yield Figure("CPU from launch to the first request", ours, "s")
    for other, theirs in best.items():
        yield Figure(f"CPU from launch to the first request, against {other}", ours / theirs, "x", at_most=0.6)


class _Asked(BaseHTTPRequestHandler):
    """Says what its client has used when it asks for the first time, and then gives it a list of one SIM."""

    protocol_version = "HTTP/1.1"
    #: Whose time is asked for, while it has not asked yet; and what it had used when it did.
    waited_for: ClassVar[list[psutil.Process]] = []
    seconds: ClassVar[list[float]] = []

    def do_GET(self) -> None:
        if self.waited_for:
            self.seconds.append(_cpu_seconds(self.waited_for.pop()))
        body = json.dumps(_PAGE).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as in the base class
        pass


@contextmanager
def _carrier() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Asked) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def _cpu_until_asked(build: Build, carrier: str, folder: Path) -> float:
    write_config(folder, carrier, f"sqlite:///{folder}/warehouse.db")
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    environment = {**build.environment, "DAGSTER_HOME": str(folder), "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    command = [str(build.python), "-m", "sim_sync", "backfill", CARRIER]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        _Asked.waited_for.append(psutil.Process(process.pid))
        _, told = process.communicate()
    if process.returncode or _Asked.waited_for:
        raise RuntimeError(f"{build.name}: the measured backfill ended with exit code {process.returncode}: {told}")
    return _Asked.seconds[-1]


def _cpu_seconds(process: psutil.Process) -> float:
    """Return what a process and its children have used, those that ended too."""
    own = process.cpu_times()
    running = [child.cpu_times() for child in process.children(recursive=True)]
    ended = own.children_user + own.children_system
    return float(own.user + own.system + ended + sum(times.user + times.system for times in running))
