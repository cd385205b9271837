import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sim_sync.cli.metrics import Address, parse_address, replace_file
from sim_sync.core.errors import InputError
from sim_sync_tests.cli.command_line import PATIENCE_SECONDS, CommandLine, an_account, assert_one_message
from sim_sync_tests.cli.scraping import fetch, samples, value
from sim_sync_tests.cli.test_discrepancies import compared, ours, with_inventory


@contextmanager
def endpoint(command_line: CommandLine, listen: str = "127.0.0.1:0", end: int = signal.SIGTERM) -> Iterator[str]:
    """Serve the metrics in a process of its own, which must end well, and yield their URL."""
    with command_line.start("metrics", "--listen", listen) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        try:
            assert first.startswith("metrics at http://"), process.communicate(timeout=PATIENCE_SECONDS)
            yield first.split()[2].rstrip(";")
        finally:
            process.send_signal(end)
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out, err) == (0, f"ended: {signal.Signals(end).name}\n", "")


def test_the_metrics_of_every_configured_carrier_are_printed(command_line: CommandLine) -> None:
    command_line.write_config(with_inventory())
    compared(command_line, ours(0), ours(1), ours(2, "suspended"))
    command_line.open_session("zeta", pages=3)
    said = command_line.type_in("metrics")
    assert (said.code, said.err) == (0, "")
    assert value(said.out, "sim_sync_pages_total", carrier="zeta") == 3
    assert value(said.out, "sim_sync_session_state", carrier="zeta", state="running") == 1
    assert value(said.out, "sim_sync_session_state", carrier="acme", state="completed") == 1
    assert value(said.out, "sim_sync_discrepancies", carrier="acme", kind="mismatch", severity="medium") == 1
    assert 0 <= (value(said.out, "sim_sync_last_certified_walk_age_seconds", carrier="acme") or 0) < PATIENCE_SECONDS


def test_a_carrier_that_is_no_longer_configured_has_no_series(command_line: CommandLine) -> None:
    command_line.open_session("zeta", pages=1)
    command_line.write_carriers(acme=an_account("http://127.0.0.1:9"))
    assert "zeta" not in command_line.type_in("metrics").out


def test_no_credential_is_exposed(command_line: CommandLine) -> None:
    out = command_line.type_in("metrics").out
    assert not [value for value in an_account("")["auth"].values() if value in out]


def test_a_warehouse_that_is_away_is_one_message(command_line: CommandLine) -> None:
    command_line.set(SIM_SYNC_WAREHOUSE_URL="postgresql://127.0.0.1:9/nothing")
    assert_one_message(command_line.type_in("metrics"), 1, "127.0.0.1:9")


def test_either_it_listens_or_it_writes(command_line: CommandLine) -> None:
    said = command_line.type_in("metrics", "--listen", "127.0.0.1:0", "--output", "x.prom")
    assert_one_message(said, 2, "--listen", "--output")


# --- into a file -----------------------------------------------------------------------------------------------------


def test_a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it(command_line: CommandLine) -> None:
    folder = command_line.folder / "collector"
    folder.mkdir()
    (folder / "sim_sync.prom").write_text("old", encoding="utf-8")
    reader = (folder / "sim_sync.prom").open(encoding="utf-8")
    said = command_line.type_in("metrics", "--output", "collector/sim_sync.prom")
    assert (said.code, said.out, said.err) == (0, "", "")
    assert [path.name for path in folder.iterdir()] == ["sim_sync.prom"]
    assert value((folder / "sim_sync.prom").read_text(encoding="utf-8"), "sim_sync_up") == 1
    with reader:  # whoever has the old file open reads all of it
        assert reader.read() == "old"


def test_the_file_says_so_where_the_warehouse_is_away(command_line: CommandLine) -> None:
    command_line.type_in("metrics", "--output", "sim_sync.prom")
    command_line.set(SIM_SYNC_WAREHOUSE_URL="postgresql://127.0.0.1:9/nothing")
    assert_one_message(command_line.type_in("metrics", "--output", "sim_sync.prom"), 1, "127.0.0.1:9")
    text = (command_line.folder / "sim_sync.prom").read_text(encoding="utf-8")
    assert samples(text) == {("sim_sync_up", frozenset()): 0.0}


def test_the_file_can_be_read_by_the_collector_of_another_user(tmp_path: Path) -> None:
    replace_file(tmp_path / "sim_sync.prom", b"x\n")
    assert stat.S_IMODE((tmp_path / "sim_sync.prom").stat().st_mode) & 0o044 == 0o044


def test_a_link_stays_a_link_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.prom").symlink_to(tmp_path / "real" / "sim_sync.prom")
    for body in (b"1\n", b"2\n"):
        replace_file(tmp_path / "link.prom", body)
        assert (tmp_path / "link.prom").is_symlink()
        assert (tmp_path / "real" / "sim_sync.prom").read_bytes() == body


@pytest.mark.parametrize("output", [".", "/dev/null", "nowhere/sim_sync.prom", "carriers.yaml/sim_sync.prom"])
def test_what_cannot_be_written_is_refused_and_left_alone(command_line: CommandLine, output: str) -> None:
    before = sorted(path.name for path in command_line.folder.iterdir())
    assert_one_message(command_line.type_in("metrics", "--output", output), 2, "--output", output)
    assert sorted({path.name for path in command_line.folder.iterdir()} - {".sim_sync"}) == before
    assert Path("/dev/null").is_char_device()


# --- on an endpoint --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_endpoint_serves_until_it_is_told_to_end(command_line: CommandLine, end: int) -> None:
    with endpoint(command_line, end=end) as url:
        found = fetch(url)
        assert (found.status, found.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert value(found.text, "sim_sync_pages_total", carrier="acme") == 0
        command_line.open_session(pages=3)
        assert value(fetch(url).text, "sim_sync_pages_total", carrier="acme") == 3


def test_the_endpoint_answers_nothing_else(command_line: CommandLine) -> None:
    with endpoint(command_line) as url:
        assert fetch(url, path="/metrics?name[]=x").status == 200
        for path in ("/", "/metrics/", "/metrics/../etc/passwd"):
            found = fetch(url, path=path)
            assert (found.status, found.text) == (404, "only /metrics is here\n")
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD", "BREW"):
            found = fetch(url, method=method)
            assert (found.status, found.headers["Allow"]) == (405, "GET")
        assert "Python" not in found.headers["Server"]


def test_a_scraper_is_told_in_its_own_format(command_line: CommandLine) -> None:
    with endpoint(command_line) as url:
        found = fetch(url, Accept="application/openmetrics-text;version=1.0.0")
        assert found.headers["Content-Type"].startswith("application/openmetrics-text")
        assert found.text.endswith("# EOF\n")


def test_while_the_configuration_or_the_warehouse_is_away_the_endpoint_says_so(command_line: CommandLine) -> None:
    with endpoint(command_line) as url:
        command_line.write_config({"carriers": {"acme": {"type": "pigeon_post"}}, "warehouse": {"url": "mysql://h/d"}})
        found = fetch(url)
        assert (found.status, samples(found.text)) == (503, {("sim_sync_up", frozenset()): 0.0})
        sentence, *_ = found.text.splitlines()
        assert sentence.startswith("# ")
        assert "mysql" in sentence
        command_line.write_config(
            {"carriers": {"acme": an_account("http://127.0.0.1:9")}, "warehouse": {"url": "postgresql://127.0.0.1:9/x"}}
        )
        found = fetch(url)
        assert found.status == 503
        assert "127.0.0.1:9" in found.text.splitlines()[0]
        command_line.write_carriers(acme=an_account("http://127.0.0.1:9"))
        assert fetch(url).status == 200


def test_a_scraper_that_says_nothing_keeps_nobody_waiting(command_line: CommandLine) -> None:
    with endpoint(command_line) as url:
        host, _, port = url.split("/")[2].partition(":")
        with socket.create_connection((host, int(port))), socket.create_connection((host, int(port))) as half:
            half.sendall(b"GET /metr")
            assert fetch(url).status == 200


def test_a_port_that_is_taken_is_told(command_line: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        assert_one_message(command_line.type_in("metrics", "--listen", where), 2, where, "the port is in use")


@pytest.mark.parametrize("where", ["192.0.2.1:9464", "no.such.host.invalid:9464", f"{'x' * 70}:9464"])
def test_a_host_that_is_not_this_one_is_told(command_line: CommandLine, where: str) -> None:
    assert_one_message(command_line.type_in("metrics", "--listen", where), 2, "--listen", where)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9464", Address("127.0.0.1", 9464)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:65535", Address("::1", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "9464",
        ":9464",
        "127.0.0.1",
        "127.0.0.1:",
        "h:65536",
        "h:-1",
        "h:+1",
        "h:1 ",
        "h:\u0661",
        "::1:9464",
        "http://h:1",
    ],
)
def test_anything_else_is_no_address(text: str) -> None:
    with pytest.raises(InputError, match="expected HOST:PORT"):
        parse_address(text)
