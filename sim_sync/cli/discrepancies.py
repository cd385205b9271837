"""`sim-sync discrepancies`: what differs between our inventory and the carriers, for eyes, spreadsheets and scripts."""

import csv
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from rich.console import Console
from rich.table import Table

from sim_sync.cli.exit_codes import ExitCode
from sim_sync.config import load_config
from sim_sync.core.errors import ConfigError, Problem
from sim_sync.warehouse import open_warehouse
from sim_sync.warehouse.queries import DiscrepancyRow, discrepancies

KINDS = ("missing_at_carrier", "unknown_to_us", "mismatch", "duplicate_iccid", "quality")
#: A terminal shows this many rows; the other formats show all.
_SHOWN_IN_TABLE = 200


def show_discrepancies(
    *, carrier: str | None, kind: str | None, include_resolved: bool, output: Literal["table", "csv", "json"]
) -> ExitCode:
    """Print the discrepancies of all carriers, or of one, in one of three formats."""
    config = load_config()
    if carrier is not None:
        config.require_known(carrier)
    if kind is not None and kind not in KINDS:
        raise ConfigError([Problem("command line", "--kind", f"one of {', '.join(KINDS)}", kind)])
    carriers = config.carrier_names if carrier is None else [carrier]
    warehouse = open_warehouse(config.warehouse_url)
    rows = discrepancies(
        warehouse.engine, carriers, kinds=None if kind is None else [kind], include_resolved=include_resolved
    )
    {"table": _print_table, "csv": _print_csv, "json": _print_json}[output](rows)
    return ExitCode.DONE


def _print_json(rows: Iterator[DiscrepancyRow]) -> None:
    json.dump([{name: _plain(value) for name, value in row._asdict().items()} for row in rows], sys.stdout, indent=2)
    sys.stdout.write("\n")


def _print_csv(rows: Iterator[DiscrepancyRow]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(DiscrepancyRow._fields)
    writer.writerows([_plain(value) for value in row] for row in rows)


def _print_table(rows: Iterator[DiscrepancyRow]) -> None:
    table = Table("carrier", "ICCID", "kind", "field", "ours", "theirs", "severity", "since", "seen", "resolved")
    count = 0
    for row in rows:
        count += 1
        if count <= _SHOWN_IN_TABLE:
            table.add_row(
                row.carrier,
                row.iccid,
                row.kind,
                row.field,
                row.ours,
                row.theirs,
                row.severity,
                f"{row.first_seen_at:%Y-%m-%d %H:%M}",
                str(row.times_seen),
                "" if row.resolved_at is None else f"{row.resolved_at:%Y-%m-%d %H:%M}",
            )
    console = Console()
    console.print(table)
    rest = f"; the table shows {_SHOWN_IN_TABLE}, --format csv shows all" if count > _SHOWN_IN_TABLE else ""
    console.print(f"{count:,} discrepancies{rest}", highlight=False)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
