"""`sim-sync discrepancies`: what differs between our inventory and the carriers, for eyes, spreadsheets and scripts."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Literal, NamedTuple

from sim_sync.cli.exit_codes import ExitCode
from sim_sync.cli.output import complain, print_csv, print_json, print_lines
from sim_sync.cli.tables import narrow_table, print_table
from sim_sync.config import Config, load_config
from sim_sync.core.discrepancies import Kind
from sim_sync.core.errors import InputError
from sim_sync.warehouse import Warehouse, open_warehouse_to_read
from sim_sync.warehouse.knowledge import Compared, compared_of
from sim_sync.warehouse.queries import DiscrepancyRow, discrepancies

#: Kinds that have a name already, and that no comparison of this version looks for.
NOT_LOOKED_FOR = ("wrong_carrier", "duplicate_iccid")
KINDS = (*(kind.value for kind in Kind), *NOT_LOOKED_FOR)
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
        raise InputError(f"no kind {kind!r} of discrepancies; there are: {', '.join(KINDS)}")
    carriers = config.carrier_names if carrier is None else [carrier]
    warehouse = open_warehouse_to_read(config.warehouse_url)
    rows = discrepancies(
        warehouse.engine, carriers, kinds=None if kind is None else [kind], include_resolved=include_resolved
    )
    remarks = _remarks(config, warehouse, carriers, kind)
    if output == "table":
        _print_table(rows, remarks)
        return ExitCode.DONE
    (_print_csv if output == "csv" else _print_json)(rows)
    for remark in remarks.lines:
        complain(remark)
    return ExitCode.DONE


class Remarks(NamedTuple):
    """What a list does not tell by itself: an empty one may mean that nothing was looked for."""

    lines: Sequence[str]
    #: Whether no discrepancy at all is a result.
    none_means_none: bool


def _remarks(config: Config, warehouse: Warehouse, carriers: Sequence[str], kind: str | None) -> Remarks:
    if kind in NOT_LOOKED_FOR:
        return Remarks([f"this version does not look for {kind} yet"], none_means_none=False)
    if config.inventory is None:
        line = f"nothing is compared: no inventory is configured (the key `inventory` of {config.path})"
        return Remarks([line], none_means_none=False)
    compared = compared_of(warehouse.engine, carriers)
    lines = [f"{carrier}: {line}" for carrier, one in compared.items() for line in _remarks_on(carrier, one)]
    return Remarks(lines, none_means_none=any(one.as_of is not None for one in compared.values()))


def _remarks_on(carrier: str, compared: Compared) -> Iterator[str]:
    if compared.as_of is None:
        yield f"not compared yet; `sim-sync backfill {carrier}` walks it and compares"
        return
    newer = {"its last complete walk": compared.walk_is_newer, "what our list says since": compared.list_is_newer}
    if waiting := [what for what, is_newer in newer.items() if is_newer]:
        yield f"as of {compared.as_of:%Y-%m-%d %H:%M} UTC; not compared yet: {' and '.join(waiting)}"


def _print_json(rows: Iterator[DiscrepancyRow]) -> None:
    print_json([{name: _plain(value) for name, value in row._asdict().items()} for row in rows])


def _print_csv(rows: Iterator[DiscrepancyRow]) -> None:
    print_csv(DiscrepancyRow._fields, rows)


def _print_table(rows: Iterator[DiscrepancyRow], remarks: Remarks) -> None:
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
    print_lines([f"{count:,} {noun}{rest}"] if count or remarks.none_means_none else [])
    print_lines(remarks.lines)


def _since(row: DiscrepancyRow) -> str:
    since = f"{row.first_seen_at:%Y-%m-%d}"
    return since if row.resolved_at is None else f"{since} until {row.resolved_at:%Y-%m-%d}"


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
