"""`python -m sim_sync_tests.bench`: measures, prints each figure as it comes, and all of them at the end."""

import argparse
import sys
from collections.abc import Callable, Iterator

from sim_sync_tests.bench import ends, promises, reconciling, report, steps, views, walks
from sim_sync_tests.bench.figures import Figure, print_figures


def main() -> int:
    """Measure what was asked for; the exit code says nothing about goals."""
    arguments = _parser().parse_args()
    figures = []
    for name, measure in _measures(arguments.sims, arguments.rows).items():
        if arguments.only and name not in arguments.only:
            continue
        for figure in measure():
            figures.append(figure)
            sys.stdout.write(f"{figure.what}: {figure.value:,.3g} {figure.unit}\n")
            sys.stdout.flush()
    print_figures(figures)
    return 0


def _measures(sims: int, rows: int) -> dict[str, Callable[[], Iterator[Figure]]]:
    return {
        "throughput": lambda: walks.throughput(sims),
        "steps": lambda: steps.own_cost(400),
        "latency": lambda: walks.latency(40, 200),
        "limits": lambda: promises.rate_limit(400),
        "kills": lambda: promises.kills(20),
        "ends": lambda: ends.range_of_the_end(300),
        "status": lambda: views.status(rows),
        "events": lambda: views.events(20_000),
        "large": lambda: steps.large_table(rows, 200),
        "memory": lambda: walks.memory(sims),
        "report": lambda: report.report(rows),
        "reconciling": lambda: reconciling.reconciliations(rows),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description="Measures the figures of the design.")
    parser.add_argument("--sims", type=int, default=200_000, help="SIMs of the large walks (%(default)s)")
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="SIMs of the large table; the goal is for 10,000,000"
    )
    parser.add_argument(
        "--only",
        nargs="*",
        help="some of: throughput, steps, latency, limits, kills, ends, status, events, large, memory, report, "
        "reconciling",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
