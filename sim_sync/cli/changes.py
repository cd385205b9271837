"""`sim-sync changes`: what the carriers have changed, for eyes, spreadsheets and scripts."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from sim_sync.cli.exit_codes import ExitCode
from sim_sync.cli.output import print_csv, print_json_rows, print_lines
from sim_sync.cli.tables import narrow_table, print_table
from sim_sync.config import load_config
from sim_sync.core.counting import counted
from sim_sync.core.errors import InputError
from sim_sync.core.since import parse_since
from sim_sync.warehouse import open_warehouse_to_read
from sim_sync.warehouse.changes import FIELDS, Change, changes
from sim_sync.warehouse.drift import explain_drift

#: A terminal shows this many rows; the other formats show all.
_SHOWN_IN_TABLE = 200


def show_changes(
    *, carrier: str | None, since: str | None, field: str | None, output: Literal["table", "csv", "json"]
) -> ExitCode:
    """Print what changed at all carriers, or at one, the newest first, in one of three formats."""
    config = load_config()
    if carrier is not None:
        config.require_known(carrier)
    if field is not None and field not in FIELDS:
        raise InputError(f"no field {field!r} whose changes are kept; there are: {', '.join(FIELDS)}")
    warehouse = open_warehouse_to_read(config.warehouse_url)
    carriers = config.carrier_names if carrier is None else [carrier]
    begin = None if since is None else parse_since(since, warehouse.sessions.now())
    rows = changes(warehouse.engine, carriers, since=begin, field=field)
    match output:
        case "table":
            _print_table(rows)
            for name in carriers:
                told = explain_drift(warehouse.engine, name, since=begin, field=field)
                print_lines(f"{name}: {sentence}" for sentence in told)
        case "csv":
            print_csv(Change._fields, rows)
        case "json":
            print_json_rows({name: _plain(value) for name, value in row._asdict().items()} for row in rows)
    return ExitCode.DONE


def _print_table(rows: Iterator[Change]) -> None:
    columns = ("UTC", "carrier", "SIM", "what", "was", "is")
    table, count = narrow_table(*columns, foldable={"UTC", "carrier", "SIM", "was", "is"}), 0
    for count, row in enumerate(rows, start=1):
        if count <= _SHOWN_IN_TABLE:
            at = f"{row.changed_at:%Y-%m-%d %H:%M:%S}"
            table.add_row(at, row.carrier, row.iccid or row.sim_id, row.field, row.old_value, _new(row))
    if table.row_count:
        print_table(table)
    rest = f"; the table shows the newest {_SHOWN_IN_TABLE}, --format csv shows all" if count > _SHOWN_IN_TABLE else ""
    print_lines([f"{counted(count, 'change')}{rest}"])


def _new(row: Change) -> str | None:
    """Return the new value; of a decision also who made it and why."""
    if row.sweep_decided_by is None:
        return row.new_value
    reason = f": {row.sweep_decision_reason}" if row.sweep_decision_reason else ""
    return f"{row.new_value} by {row.sweep_decided_by}{reason}"


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
