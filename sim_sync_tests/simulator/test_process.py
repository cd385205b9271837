"""The simulator as a separate process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sim_sync.core.errors import InputError
from sim_sync.simulator.control import running_simulator
from sim_sync.simulator.credentials import simulated_credentials
from sim_sync.simulator.messages import READY, MountOptions, Ready
from sim_sync.simulator.vendors import VENDORS
from sim_sync_tests.simulator.raw_http import PASSWORD, basic, client, eventually, sent_request, walk

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A simulator started by hand, that ends when its standard input closes."""
    arguments = [sys.executable, "-m", "sim_sync.simulator", "--sims", "10", "--exit-with-parent"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(arguments, cwd=REPOSITORY, **pipes) as process:  # type: ignore[call-overload]  # pipes only
        yield process
        process.kill()


def ready(process: subprocess.Popen[bytes]) -> Ready:
    assert process.stdout is not None
    return READY.validate_json(process.stdout.readline())


def is_listening(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5).close()
    except (ConnectionRefusedError, ConnectionResetError):  # gone, or on its way out
        return False
    return True


def test_a_running_simulator_is_another_process_and_gone_afterwards() -> None:
    with running_simulator(MountOptions(sims=30, seed=9)) as simulator:
        state = simulator.fetch_state()
        assert state.pid == simulator.pid != os.getpid()
        assert simulator.base_urls == {"": simulator.url}
        assert [record["iccid"] for record in walk(simulator.url, page_size=7)] == [
            truth.sim.iccid for truth in simulator.fetch_sims()
        ]
    assert not is_listening(simulator.url)


def test_several_carriers_with_their_own_settings_run_in_one_process() -> None:
    eu = MountOptions(name="eu", sims=30, seed=9, latency_ms=2, credentials={"password": 'x, "y" = z'})
    with running_simulator(eu, MountOptions(name="us", sims=3)) as simulator:
        mounts = {mount.name: (mount.size, mount.seed, mount.latency_ms) for mount in simulator.fetch_state().mounts}
        assert mounts == {"eu": (30, 9, 2), "us": (3, 1, 0)}
        with client(simulator.url) as carrier:
            assert carrier.get("/eu/v1/Sims", basic(password='x, "y" = z')).status == 200


def test_every_vendor_is_served_by_one_process() -> None:
    mounts = [MountOptions(name=f"the-{vendor}", vendor=vendor, sims=3) for vendor in VENDORS]
    with running_simulator(*mounts) as simulator, client(simulator.url) as carrier:
        assert {state.name: state.vendor for state in simulator.fetch_state().mounts} == {
            f"the-{vendor}": vendor for vendor in VENDORS
        }
        for name, base_url in simulator.base_urls.items():
            assert base_url == f"{simulator.url}/{name}"
            assert len(list(simulator.carrier(name).fetch_sims())) == 3
        wanted = {"Authorization": f"Bearer {simulated_credentials('telnyx')['api_key']}"}
        assert len(carrier.get("/the-telnyx/v2/sim_cards", wanted).json()["data"]) == 3


def test_a_million_sims_are_served_by_a_process_of_ordinary_size() -> None:
    with running_simulator(MountOptions(sims=1_000_000)) as simulator, client(simulator.url) as carrier:
        assert simulator.fetch_mount_state().live == 1_000_000
        assert len(carrier.get("/v1/Sims?PageSize=1000").json()["sims"]) == 1000
        status = Path(f"/proc/{simulator.pid}/status").read_text()
        simulator.remove_sims(range(500, 999_500))
        assert len(walk(simulator.url, page_size=1000)) == 1000
    peak_kib = int(status.split("VmHWM:")[1].split()[0])
    assert peak_kib < 150 * 1024


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_even_in_the_middle_of_a_stall(
    process: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    url = ready(process).url
    with client(url) as control:
        fault = b'{"fault": {"kind": "stall"}}'
        assert control.send("POST", "/_simulator/faults", headers={}, body=fault).status == 200
    with sent_request(url, "/v1/Sims") as raw:
        with client(url) as control:
            eventually(lambda: control.get("/_simulator/state").json()["mounts"][0]["in_flight"] == 1)
        process.send_signal(number)
        assert raw.recv(1) == b""
    assert process.wait(20) == 0
    assert process.stderr is not None
    assert process.stderr.read().decode() == (
        f"10 SIMs of twilio_super_sim at {url}; Ctrl-C ends it\nended: {number.name}\n"
    )


def test_it_ends_when_its_standard_input_closes(process: subprocess.Popen[bytes]) -> None:
    ready(process)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == 0


def test_it_does_not_outlive_a_parent_that_was_killed() -> None:
    program = (
        "import time\nfrom sim_sync.simulator.control import running_simulator\n"
        "with running_simulator() as simulator:\n    print(simulator.url, flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().decode().strip()
        assert is_listening(url)
        parent.kill()
    eventually(lambda: not is_listening(url))


def test_a_port_in_use_is_one_clear_message(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=r"did not start \(exit code 2\)"), running_simulator(port=port):
            pass
    assert capfd.readouterr().err == (
        f"sim-sync simulate: cannot listen on 127.0.0.1:{port}: the port is in use; end what listens there, "
        "or take --port 0\n"
    )


def test_the_credentials_of_a_mount_stay_out_of_its_repr() -> None:
    assert PASSWORD not in repr(MountOptions(credentials={"password": PASSWORD}))
