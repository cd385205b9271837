"""`sim-sync simulate`: serves a simulated carrier, and writes the list that its customer would have."""

import argparse
import csv
import errno
import json
import math
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from pydantic import ValidationError

from sim_sync.core.errors import InputError
from sim_sync.core.sims import Lifecycle
from sim_sync.core.text import counted
from sim_sync.processes import put_into
from sim_sync.simulator import messages
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import FleetSpec
from sim_sync.simulator.messages import LOOPBACK, MOUNT_OPTIONS, MountOptions, SimulatorOptions, validation_text
from sim_sync.simulator.server import SimulatorServer
from sim_sync.simulator.simulated_carrier import vendor_spec
from sim_sync.simulator.vendors import VENDORS

# The company's own view of a simulated fleet, with differences whose number and place are known beforehand.
#
# Deterministic and the same in every release: an example inventory is written once and read for years.


#: The columns of the file.
INVENTORY_COLUMNS = ("ICCID", "Carrier", "State", "MSISDN", "Rate plan", "Label")

#: The company's word for each place in the lifecycle; `inventory.statuses` in `carriers.yaml` is this, turned around.
COMPANY_STATES: Mapping[str, str] = {
    Lifecycle.INVENTORY.value: "STOCK",
    Lifecycle.TEST_READY.value: "TEST",
    Lifecycle.ACTIVATION_READY.value: "READY",
    Lifecycle.ACTIVE.value: "LIVE",
    Lifecycle.SUSPENDED.value: "STOPPED",
    Lifecycle.DEACTIVATED.value: "OFF",
    Lifecycle.TERMINATED.value: "ENDED",
    Lifecycle.REPLACED.value: "SWAPPED",
    Lifecycle.UNKNOWN.value: "UNCLEAR",
}

# A step of about the golden ratio spreads any number of differences evenly over the fleet.
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class DifferenceCounts:
    """How many SIMs differ: `missing` ours but not at the carrier, `unknown` the reverse, `status` told differently."""

    missing: int = 0
    unknown: int = 0
    status: int = 0


@dataclass(frozen=True, slots=True)
class Differences:
    """Which SIMs differ, as what a comparison has to find: ICCIDs, and for `status` our word and the carrier's.

    Both words are sim_sync's lifecycle words.
    """

    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    status: Mapping[str, tuple[str, str]]


def parse_difference_counts(text: str) -> DifferenceCounts:
    """Read `missing=12,unknown=8,status=25`; what is left out is 0.

    Raises:
        InputError: something else is written there.
    """
    known = {field.name for field in fields(DifferenceCounts)}
    counts: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if name not in known or not (number.isascii() and number.isdigit()):
            raise InputError(f"differences: expected {', '.join(f'{n}=NUMBER' for n in sorted(known))}; found {part!r}")
        counts[name] = int(number)
    return DifferenceCounts(**counts)


def decide_differences(fleet: Fleet, counts: DifferenceCounts) -> Differences:
    """Decide which SIMs of a fleet differ from the company's view of it.

    Raises:
        InputError: the fleet has too few SIMs for so many differences.
    """
    live = fleet.live_count
    if counts.unknown + counts.status > live:
        raise InputError(
            f"differences: expected at most {counted(live, 'SIM')} to differ, found {counts.unknown + counts.status}"
        )
    spread = [fleet.live_at(offset) for offset in _spread(counts.unknown + counts.status, live)]
    differing = [fleet.sim(index) for index in spread]
    words = [word.value for word, _ in fleet.fleet_spec.profile.status_weights]
    return Differences(
        missing=tuple(fleet.fleet_spec.absent_iccid(number) for number in range(counts.missing)),
        unknown=tuple(sim.iccid or "" for sim in differing[: counts.unknown]),
        status={sim.iccid or "": (_other_word(words, sim.status), sim.status) for sim in differing[counts.unknown :]},
    )


def inventory_rows(fleet: Fleet, carrier: str, differences: Differences) -> Iterator[tuple[str, ...]]:
    """Yield the company's rows, in the order of `INVENTORY_COLUMNS`: the fleet's first, the missing SIMs last."""
    unknown = frozenset(differences.unknown)
    position = -1
    while indices := fleet.live_after(position, 1000):
        position = indices[-1]
        for sim in map(fleet.sim, indices):
            iccid = sim.iccid or ""
            if iccid in unknown:
                continue
            status, _ = differences.status.get(iccid, (sim.status, sim.status))
            rest = (sim.msisdn or "", sim.rate_plan or "", sim.label or "")
            yield (iccid, carrier, COMPANY_STATES[status], *rest)
    for number, iccid in enumerate(differences.missing):
        yield (iccid, carrier, COMPANY_STATES[Lifecycle.ACTIVE], "", "", f"lost-{number:04}")


def write_inventory(path: Path, fleet: Fleet, carrier: str, differences: Differences) -> int:
    """Write the company's rows as CSV with a header line, and return how many rows there are."""
    count = 0
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(INVENTORY_COLUMNS)
            for row in inventory_rows(fleet, carrier, differences):
                writer.writerow(row)
                count += 1
    except OSError as problem:
        raise InputError(f"cannot write the inventory to {path}: {problem.strerror}") from None
    return count


def _spread(count: int, total: int) -> Iterator[int]:
    """Yield `count` different numbers below `total`, evenly spread."""
    step = max(1, round(total * _GOLDEN))
    while math.gcd(step, total) != 1:
        step += 1
    return (number * step % total for number in range(count))


def _other_word(words: list[str], word: str) -> str:
    return next(other for other in (*words, Lifecycle.SUSPENDED.value) if other != word)


# The command `python -m sim_sync.simulator` (and `sim-sync simulate`): parses options, serves until told to stop.
#
# Exit codes: 0 ended as asked, 2 wrong options or a port that is taken.


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
