"""`sim-sync discrepancies`: what differs between our inventory and the carriers, for eyes, spreadsheets and scripts."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Literal

from sim_sync.cli.exit_codes import ExitCode
from sim_sync.cli.output import print_csv, print_json, print_lines
from sim_sync.cli.tables import narrow_table, print_table
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
    print_json([{name: _plain(value) for name, value in row._asdict().items()} for row in rows])


def _print_csv(rows: Iterator[DiscrepancyRow]) -> None:
    print_csv(DiscrepancyRow._fields, rows)


def _print_table(rows: Iterator[DiscrepancyRow]) -> None:
    count = 0
    for carrier, of_carrier in groupby(rows, key=lambda row: row.carrier):
        table = narrow_table(
            "ICCID", "what", "ours", "theirs", "severity", "since", foldable={"ours", "theirs", "since"}
        )
        for row in of_carrier:
            count += 1
            if count <= _SHOWN_IN_TABLE:
                what = f"{row.kind}: {row.field}" if row.field else row.kind
                table.add_row(row.iccid, what, row.ours, row.theirs, row.severity, _since(row))
        if table.row_count:
            print_lines([f"{carrier}:"])
            print_table(table)
    rest = f"; the table shows {_SHOWN_IN_TABLE}, --format csv shows all" if count > _SHOWN_IN_TABLE else ""
    noun = "discrepancy" if count == 1 else "discrepancies"
    print_lines([f"{count:,} {noun}{rest}"])


def _since(row: DiscrepancyRow) -> str:
    since = f"{row.first_seen_at:%Y-%m-%d}"
    return since if row.resolved_at is None else f"{since} until {row.resolved_at:%Y-%m-%d}"


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
