"""The command `python -m sim_sync.simulator` (and `sim-sync simulate`): parses options, serves until told to stop.

Exit codes: 0 ended as asked, 2 wrong options or a port that is taken.
"""

import argparse
import errno
import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from pydantic import ValidationError

from sim_sync.core.errors import InputError
from sim_sync.core.text import counted
from sim_sync.processes import put_into
from sim_sync.simulator import messages
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import FleetSpec
from sim_sync.simulator.inventory import DifferenceCounts, decide_differences, parse_difference_counts, write_inventory
from sim_sync.simulator.options import LOOPBACK, MOUNT_OPTIONS, MountOptions, SimulatorOptions, validation_text
from sim_sync.simulator.server import SimulatorServer
from sim_sync.simulator.simulated_carrier import vendor_spec
from sim_sync.simulator.vendors import VENDORS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.write_inventory:
            return _write_inventory(arguments)
        return serve(_options(arguments))
    except InputError as problem:
        print(f"sim-sync simulate: {problem}", file=sys.stderr)
    except ValidationError as problem:
        print(f"sim-sync simulate: options: {validation_text(problem)}", file=sys.stderr)
    return 2


def serve(options: SimulatorOptions) -> int:
    """Serve the simulated carriers until SIGTERM, SIGINT or the parent's end; return 0. Call it in the main thread.

    Prints one JSON line when it is ready: `url`, `pid` and the `base_urls` by mount name.

    Raises:
        InputError: the options cannot be served, or the port is taken.
    """
    ends: SimpleQueue[str] = SimpleQueue()
    with _server(options) as server, put_into(ends):
        if options.exit_with_parent:
            threading.Thread(target=_watch_stdin, args=(ends,), daemon=True).start()
        print(messages.READY.dump_json(messages.Ready(server.url, os.getpid(), server.base_urls)).decode(), flush=True)
        if not options.quiet:
            _introduce(server)
        reason = ends.get()
    if not options.quiet:
        print(f"ended: {reason}", file=sys.stderr)
    return 0


def _server(options: SimulatorOptions) -> SimulatorServer:
    try:
        return SimulatorServer(options.mounts, port=options.port)
    except OSError as problem:
        if problem.errno != errno.EADDRINUSE:
            raise
        raise InputError(
            f"cannot listen on {LOOPBACK}:{options.port}: the port is in use; end what listens there, or take --port 0"
        ) from None


def _watch_stdin(ends: "SimpleQueue[str]") -> None:
    # Not through sys.stdin: a thread that holds its lock would break the interpreter's end.
    with suppress(OSError):
        while os.read(0, 1024):
            pass
    ends.put("the parent process is gone")


def _introduce(server: SimulatorServer) -> None:
    for mount in server.mounts.values():
        url = server.base_urls[mount.name]
        print(
            f"{counted(mount.fleet.live_count, 'SIM')} of {mount.spec.name} at {url}; Ctrl-C ends it", file=sys.stderr
        )


def _options(arguments: argparse.Namespace) -> SimulatorOptions:
    mounts = tuple(MOUNT_OPTIONS.validate_json(text) for text in arguments.mount) or (_single_mount(arguments),)
    return SimulatorOptions(
        mounts=mounts, port=arguments.port, quiet=arguments.quiet, exit_with_parent=arguments.exit_with_parent
    )


def _single_mount(arguments: argparse.Namespace) -> MountOptions:
    return MountOptions(
        vendor=arguments.vendor,
        sims=arguments.sims,
        seed=arguments.seed,
        latency_ms=arguments.latency_ms,
        credentials=_credentials(arguments),
        options=_vendor_options(arguments),
        requests_per_second=arguments.requests_per_second,
        burst=arguments.burst,
        max_in_flight=arguments.max_in_flight,
    )


def _credentials(arguments: argparse.Namespace) -> Mapping[str, str]:
    named = {"username": arguments.username, "password": arguments.password}
    given = {key: value for key, value in named.items() if value is not None}
    for text in arguments.credential:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError("--credential: expected KEY=VALUE, found no equals sign")
        given[key] = value
    return given


def _vendor_options(arguments: argparse.Namespace) -> Mapping[str, Any]:
    given: dict[str, Any] = {}
    for text in arguments.option:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError("--option: expected KEY=VALUE, found no equals sign")
        try:
            given[key] = json.loads(value)
        except json.JSONDecodeError:
            given[key] = value
    return given


def _write_inventory(arguments: argparse.Namespace) -> int:
    spec = vendor_spec(arguments.vendor)
    mount = _single_mount(arguments)
    fleet = Fleet(FleetSpec(spec.profile, mount.seed), mount.sims)
    counts = parse_difference_counts(arguments.differences) if arguments.differences else DifferenceCounts()
    differences = decide_differences(fleet, counts)
    rows = write_inventory(Path(arguments.write_inventory), fleet, arguments.carrier, differences)
    print(json.dumps({"file": arguments.write_inventory, "carrier": arguments.carrier, "rows": rows, **asdict(counts)}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sim-sync simulate",
        description="Serves simulated carriers on loopback, over deterministic fleets of SIMs.",
        epilog="Example: sim-sync simulate --port 8585 --sims 20000",
    )
    parser.add_argument("--vendor", default="twilio_super_sim", choices=sorted(VENDORS), help="whose API to speak")
    parser.add_argument("--sims", type=int, default=20_000, help="how many SIMs the fleet has (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which fleet; the same seed gives the same SIMs")
    parser.add_argument("--host", default=LOOPBACK, choices=[LOOPBACK], help="simulators listen on loopback only")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port (default)")
    parser.add_argument("--username", help="instead of the simulated default")
    parser.add_argument("--password", help="instead of the simulated default")
    parser.add_argument("--credential", action="append", default=[], metavar="KEY=VALUE", help="any other credential")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="an option of the vendor; the value is JSON"
    )
    parser.add_argument("--requests-per-second", type=float, help="more list requests than that are answered with 429")
    parser.add_argument("--burst", type=int, help="how many list requests may come at once")
    parser.add_argument(
        "--max-in-flight", type=int, help="list requests beyond that many at work are answered with 429"
    )
    parser.add_argument("--latency-ms", type=float, default=0.0, help="how long every answer takes at least")
    parser.add_argument(
        "--mount",
        action="append",
        default=[],
        metavar="JSON",
        help='a carrier under its own path, such as {"name": "eu", "vendor": "twilio_super_sim", "sims": 500, "seed": '
        "2}; may be given several times, and takes the place of --vendor, --sims, --seed, --latency-ms and credentials",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but the line that says where it listens")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when standard input closes")
    inventory = parser.add_argument_group("inventory", "write the company's own view of the fleet, and end")
    inventory.add_argument("--write-inventory", metavar="FILE", help="the CSV file to write")
    inventory.add_argument("--carrier", default="simulated", help="the carrier's name in carriers.yaml (%(default)s)")
    inventory.add_argument(
        "--differences", metavar="missing=N,unknown=N,status=N", help="how it differs from the fleet"
    )
    return parser
