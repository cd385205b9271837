"""`sim-sync metrics`: what Prometheus is told, to standard output, into a file, or on an endpoint."""

import threading
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from queue import SimpleQueue

from sim_sync.cli.exit_codes import ExitCode
from sim_sync.cli.exposition import exposition, exposition_of_failure
from sim_sync.cli.metrics_server import MetricsServer, Reply, parse_address
from sim_sync.cli.output import print_lines, say
from sim_sync.cli.replacing import replacing
from sim_sync.config import load_config
from sim_sync.core.errors import InputError, SimSyncError
from sim_sync.signals import put_into
from sim_sync.warehouse import open_warehouse_to_read
from sim_sync.warehouse.figures import carrier_figures

_FAILED_TYPE = "text/plain; charset=utf-8"


def show_metrics(*, listen: str | None, output: Path | None) -> ExitCode:
    """Print the metrics once, write them once, or serve them until SIGTERM or Ctrl-C."""
    if listen is not None and output is not None:
        raise InputError("give either --listen or --output: one serves until it is told to end, the other writes once")
    if listen is not None:
        return _serve(listen)
    if output is not None:
        return _write(output)
    print_lines(_exposed()[0].decode().splitlines())
    return ExitCode.DONE


def _exposed(accept: str | None = None) -> tuple[bytes, str]:
    """Return the exposition of now. The configuration is read each time, as every run does."""
    config = load_config()
    max_age_hours = {name: config.max_age_hours(name) for name in config.carrier_names}
    with closing(open_warehouse_to_read(config.warehouse_url)) as warehouse:
        figures = carrier_figures(warehouse.engine, max_age_hours, warehouse.sessions.now())
    return exposition(figures, accept)


def _write(output: Path) -> ExitCode:
    """Write the metrics into a file.

    Where there are none, the file says that alone: what was true before would pass for what is true now.
    """
    try:
        body, _ = _exposed()
    except SimSyncError:
        replace_file(output, exposition_of_failure())
        raise
    replace_file(output, body)
    return ExitCode.DONE


def replace_file(path: Path, body: bytes) -> None:
    """Put a file in the place of another one, or where there is none: whoever reads it sees the one or the other.

    Its mode is that of the umask: a collector is another user, and metrics hold nothing secret.

    Raises:
        InputError: it cannot be written there.
    """
    with replacing(path) as part:
        part.write_bytes(body)


def _serve(listen: str) -> ExitCode:
    ends: SimpleQueue[str] = SimpleQueue()
    with put_into(ends), MetricsServer(parse_address(listen), _scrape) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,), name="metrics", daemon=True)
        serving.start()
        say(f"metrics at {server.url}; Ctrl-C ends it")
        reason = ends.get()
        server.shutdown()
        serving.join()
    say(f"ended: {reason}")
    return ExitCode.DONE


def _scrape(accept: str | None) -> Reply:
    try:
        body, content_type = _exposed(accept)
    except SimSyncError as error:
        sentence = " ".join(str(error).split())
        return Reply(HTTPStatus.SERVICE_UNAVAILABLE, _FAILED_TYPE, f"# {sentence}\n".encode() + exposition_of_failure())
    return Reply(HTTPStatus.OK, content_type, body)
