"""A real PgBouncer in front of a test's PostgreSQL, where this machine has one."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

#: Debian's package puts it where only root's PATH leads.
PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
_SECONDS_TO_START = 20.0


@contextmanager
def pooled(server_url: str, *, pool_mode: str, pool_size: int = 2, settings: str = "") -> Iterator[str]:
    """Run PgBouncer before the server of a URL, and yield the URL that leads through it."""
    assert PGBOUNCER is not None
    url = sa.make_url(server_url)
    folder = Path(tempfile.mkdtemp(prefix="sim-sync-pgb-"))
    port = _free_port()
    (folder / "users.txt").write_text(f'"{url.username}" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={url.query.get('host') or url.host} port={url.port or 5432}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
        f"auth_file = {folder}/users.txt\npool_mode = {pool_mode}\ndefault_pool_size = {pool_size}\n{settings}\n"
    )
    # It refuses to run as root.
    user = _owner_of(str(url.query.get("host", ""))) if os.geteuid() == 0 else None
    folder.chmod(0o755)
    process = subprocess.Popen(
        [PGBOUNCER, "-q", str(folder / "pgbouncer.ini")], user=user, stderr=(folder / "log").open("wb")
    )
    try:
        _wait_for(port, process, folder / "log")
        yield url.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _owner_of(socket_folder: str) -> str:
    """Return the user who runs the server: another one could not reach its socket."""
    return pwd.getpwuid(Path(socket_folder, "postmaster.pid").stat().st_uid).pw_name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while True:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return
