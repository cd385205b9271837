"""`python -m sim_sync_tests.bench`: measures, prints each figure as it comes, and all of them at the end."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim_sync_tests.bench import (
    against,
    ends,
    exporting,
    launch,
    promises,
    reconciling,
    report,
    steps,
    storage,
    views,
    walks,
)
from sim_sync_tests.bench.contenders import PEERS, Build, Contender, build_of, peer
from sim_sync_tests.bench.figures import Figure, machine, print_figures, write_figures


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: SIMs of a walk, rows of a large table, SIMs of a sweep, nights, pages, trials."""

    sims: int
    rows: int
    swept: int
    nights: int
    pages: int
    kills: int


_SHORT = Size(sims=50_000, rows=200_000, swept=100_000, nights=2, pages=40, kills=5)
_LONG = Size(sims=200_000, rows=10_000_000, swept=1_000_000, nights=10, pages=400, kills=20)
#: Figures of other parts of the design, which are measured when they are asked for, and in the long form.
_BY_NAME = ("status", "events", "report", "reconciling", "exporting", "ends")


def main() -> int:
    """Measure what was asked for; the exit code says nothing about goals."""
    arguments = _parser().parse_args()
    size = _size(arguments)
    others = [build_of(revision) for revision in arguments.against]
    measures = _measures(size, others, [*others, *(peer(name) for name in arguments.peer)])
    if strange := sorted(set(arguments.only or ()) - set(measures)):
        sys.stderr.write(f"no such figures: {', '.join(strange)}; there are: {', '.join(measures)}\n")
        return 2
    sys.stdout.write(f"{_machine_text()}\n")
    figures = []
    for name in arguments.only or [name for name in measures if arguments.long or name not in _BY_NAME]:
        for figure in measures[name]():
            figures.append(figure)
            sys.stdout.write(f"{figure.what}: {figure.value:,.3g} {figure.unit}\n")
            sys.stdout.flush()
    print_figures(figures)
    if arguments.json:
        write_figures(arguments.json, figures, {name: str(value) for name, value in vars(arguments).items()})
    return 0


def _measures(
    size: Size, builds: Sequence[Build], others: Sequence[Contender]
) -> dict[str, Callable[[], Iterator[Figure]]]:
    return {
        "walks": lambda: against.walks(others, size.sims, min(size.nights, 3)),
        "wal": lambda: storage.wal(builds, size.sims, size.nights),
        "floor": lambda: storage.floor(size.sims),
        "latency": lambda: walks.latency(size.pages, 200),
        "flight": lambda: walks.in_flight(max(size.pages, 100), 200),
        "limits": lambda: promises.rate_limit(400),
        "steps": lambda: steps.own_cost(200),
        "large": lambda: steps.large_table(size.rows, 100),
        "sweeps": lambda: steps.sweeps(size.swept),
        "memory": lambda: walks.memory(size.sims),
        "launch": lambda: launch.launches(builds, 3),
        "kills": lambda: promises.kills(size.kills),
        "status": lambda: views.status(size.rows),
        "events": lambda: views.events(20_000),
        "report": lambda: report.report(size.rows),
        "reconciling": lambda: reconciling.reconciliations(size.rows),
        "exporting": lambda: exporting.exports(min(size.rows, 1_000_000)),
        "ends": lambda: ends.range_of_the_end(300),
    }


def _size(arguments: argparse.Namespace) -> Size:
    size = _LONG if arguments.long else _SHORT
    sims, rows = arguments.sims or size.sims, arguments.rows or size.rows
    return Size(sims, rows, size.swept, size.nights, size.pages, size.kills)


def _machine_text() -> str:
    found = machine()
    loads = found["load"]
    assert isinstance(loads, list)
    busy = "; it is busy: only ratios mean anything" if loads[0] > 1 else ""
    return f"{found['processor']}, {found['cores']} cores, {found['system']}; load {loads[0]}{busy}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description="Measures the figures of the design.")
    parser.add_argument("--long", action="store_true", help="200,000 SIMs, a table of 10,000,000, ten nights: hours")
    parser.add_argument("--sims", type=int, metavar="N", help="SIMs of the walks")
    parser.add_argument("--rows", type=int, metavar="N", help="SIMs of the large table")
    parser.add_argument(
        "--against", action="append", default=[], metavar="REV", help="measure this revision too, in turn with this one"
    )
    parser.add_argument(
        "--peer", action="append", default=[], choices=PEERS, help="measure the same work done by this peer, in turn"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, with the machine")
    parser.add_argument("--only", nargs="*", metavar="NAME", help=f"some of: {', '.join(_measures(_SHORT, [], []))}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
