"""`sim-sync discrepancies`: what differs between our inventory and the carriers, for eyes, spreadsheets and scripts."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from sim_sync.cli.exports import ListFormat, export, require_exportable
from sim_sync.cli.options import os_user
from sim_sync.config import Config, load_config
from sim_sync.core.discrepancies import Kind, shown_amount
from sim_sync.core.errors import InputError
from sim_sync.core.text import counted
from sim_sync.terminal.output import ExitCode, complain, print_lines, say
from sim_sync.terminal.tables import narrow_table, print_table
from sim_sync.warehouse import Warehouse, open_warehouse, open_warehouse_to_read
from sim_sync.warehouse.discrepancies import (
    Advice,
    DiscrepancyRow,
    KindCount,
    Wanted,
    acknowledge,
    advices,
    count_discrepancies,
    count_muted,
    discrepancies,
    take_acknowledgement_back,
)
from sim_sync.warehouse.knowledge import Compared, compared_of
from sim_sync.warehouse.severity import SEVERITIES

KINDS = tuple(kind.value for kind in Kind)
#: A terminal shows this many rows; the other formats show all.
_SHOWN_IN_TABLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """What somebody wants to see, and how."""

    carrier: str | None = None
    kind: str | None = None
    severity: str | None = None
    only_new: bool = False
    include_hidden: bool = False
    form: ListFormat = "table"
    output: Path | None = None


def show_discrepancies(options: ListOptions) -> ExitCode:
    """Print the discrepancies of all carriers, or of one, in one of the formats."""
    config = load_config()
    wanted = _wanted(config, options)
    require_exportable(options.form, options.output)
    warehouse = open_warehouse_to_read(config.warehouse_url)
    remarks = _remarks(config, warehouse, wanted.carriers)
    if options.form == "table":
        prices = config.reconcile.prices
        _print_table(warehouse, wanted, remarks, None if prices is None else prices.currency)
        return ExitCode.DONE
    export(options.form, DiscrepancyRow._fields, discrepancies(warehouse.engine, wanted), options.output)
    for remark in remarks.lines:
        complain(remark)
    return ExitCode.DONE


def refuse_list_options(given: Mapping[str, Any], subcommand: str) -> None:
    """Raise `InputError` where an option of the list stands before a subcommand, which would not look at it."""
    if any(value not in {None, False, "table"} for value in given.values()):
        raise InputError(f"options of the list stand before {subcommand}: give `{subcommand}` its own, after it")


def acknowledge_discrepancies(
    iccids: Sequence[str], *, carrier: str | None, until: str | None, reason: str | None, by: str | None
) -> ExitCode:
    """Acknowledge what differs at these SIMs, in the name of `by` or of the user of this process."""
    config = load_config()
    date = None if until is None else _time_of(until)
    warehouse = open_warehouse(config.warehouse_url)
    carriers = config.names_of(carrier)
    count = acknowledge(warehouse.engine, carriers, iccids, by=by or os_user(), until=date, reason=reason)
    comes_back = "they change" if date is None else f"{date:%Y-%m-%d}, or until they change"
    say(f"{counted(count, 'discrepancy', 'discrepancies')} acknowledged until {comes_back}")
    return ExitCode.DONE


def take_back(iccids: Sequence[str], *, carrier: str | None) -> ExitCode:
    """Let the acknowledged discrepancies of these SIMs count again."""
    config = load_config()
    warehouse = open_warehouse(config.warehouse_url)
    count = take_acknowledgement_back(warehouse.engine, config.names_of(carrier), iccids)
    say(f"{counted(count, 'discrepancy counts', 'discrepancies count')} again")
    return ExitCode.DONE


def _time_of(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(f"expected a date such as 2030-12-31 after --until, found {text!r}") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _wanted(config: Config, options: ListOptions) -> Wanted:
    kind, severity = options.kind, options.severity
    if kind is not None and kind not in KINDS:
        raise InputError(f"no kind {kind!r} of discrepancies; there are: {', '.join(KINDS)}")
    if severity is not None and severity not in SEVERITIES:
        raise InputError(f"no severity {severity!r}; there are: {', '.join(SEVERITIES)}")
    return Wanted(
        carriers=config.names_of(options.carrier),
        kinds=None if kind is None else [kind],
        severities=None if severity is None else [severity],
        only_new=options.only_new,
        include_hidden=options.include_hidden,
    )


class Remarks(NamedTuple):
    """What a list does not tell by itself: an empty one may mean that nothing was looked for."""

    lines: Sequence[str]
    #: Whether no discrepancy at all is a result.
    none_means_none: bool


def _remarks(config: Config, warehouse: Warehouse, carriers: Sequence[str]) -> Remarks:
    if not config.inventory:
        line = f"nothing is compared: no inventory is configured (the key `inventory` of {config.path})"
        return Remarks([line], none_means_none=False)
    compared = compared_of(warehouse.engine, carriers)
    lines = [f"{carrier}: {line}" for carrier, one in compared.items() for line in _remarks_on(config, carrier, one)]
    return Remarks(lines, none_means_none=any(one.as_of is not None for one in compared.values()))


def _remarks_on(config: Config, carrier: str, compared: Compared) -> Iterator[str]:
    if not config.has_list_of(carrier):
        yield f"nothing is compared: no list is for it (the key `inventory` of {config.path})"
        return
    if compared.as_of is None:
        yield f"not compared yet; `sim-sync backfill {carrier}` walks it and compares"
        return
    newer = {"its last complete walk": compared.walk_is_newer, "what our list says since": compared.list_is_newer}
    if waiting := [what for what, is_newer in newer.items() if is_newer]:
        yield f"as of {compared.as_of:%Y-%m-%d %H:%M} UTC; not compared yet: {' and '.join(waiting)}"


def _print_table(warehouse: Warehouse, wanted: Wanted, remarks: Remarks, currency: str | None) -> None:
    counts = count_discrepancies(warehouse.engine, wanted)
    print_lines(_summary(counts))
    columns = ("ICCID", "what", "ours", "theirs", "severity", "since")
    priced = () if currency is None else (f"{currency}/month",)
    extra = (*priced, *(("acknowledged",) if wanted.include_hidden else ()))
    to_do = {name: list(told) for name, told in groupby(advices(warehouse.engine, wanted), lambda told: told.carrier)}
    count = 0
    for carrier, of_carrier in groupby(discrepancies(warehouse.engine, wanted), key=lambda row: row.carrier):
        table = narrow_table(*columns, *extra, foldable={"ours", "theirs", "since", *extra})
        for row in of_carrier:
            count += 1
            if count <= _SHOWN_IN_TABLE:
                table.add_row(*_cells(row), *_extra_cells(row, is_priced=bool(priced), is_all=wanted.include_hidden))
        if table.row_count:
            print_lines([f"{carrier}:"])
            print_table(table)
            print_lines(_to_do(to_do.get(carrier, [])))
    rest = f"; the table shows {_SHOWN_IN_TABLE}, --format csv shows all" if count > _SHOWN_IN_TABLE else ""
    noun = counted(count, "discrepancy", "discrepancies")
    print_lines([f"{noun}{rest}"] if count or remarks.none_means_none else [])
    print_lines(_total(counts, currency))
    if not wanted.include_hidden and (muted := count_muted(warehouse.engine, wanted)):
        print_lines([f"{muted:,} acknowledged and not shown; --all shows all"])
    print_lines(remarks.lines)


def _to_do(told: Sequence[Advice]) -> Iterator[str]:
    """Yield what to do about what stands in the table of a carrier, the most frequent first."""
    for one in told:
        kind = f"{one.kind} of {one.field}" if one.field else one.kind
        yield from textwrap.wrap(f"{one.found:,} {kind}: {one.advice}", 78, subsequent_indent="  ")


def _total(counts: Sequence[KindCount], currency: str | None) -> Iterator[str]:
    """Yield what they cost a month, where prices are known."""
    if currency is None or not counts:
        return
    unknown = sum(one.without_price for one in counts)
    without = f"; {unknown:,} without a price" if unknown else ""
    yield f"they cost {shown_amount(sum((one.monthly_cost for one in counts), Decimal(0)))} {currency} a month{without}"


def _summary(counts: Sequence[KindCount]) -> Iterator[str]:
    """Yield how many there are of each severity and kind, where there are any."""
    by_severity, by_kind = Counter[str](), Counter[str]()
    for one in counts:
        by_severity[one.severity] += one.found
        by_kind[one.kind] += one.found
    if counts:
        shown = [f"{by_severity[name]:,} {name}" for name in SEVERITIES if by_severity[name]]
        yield f"{', '.join(shown)}: {', '.join(f'{by_kind[name]:,} {name}' for name in KINDS if by_kind[name])}"


def _cells(row: DiscrepancyRow) -> Sequence[str | None]:
    what = f"{row.kind}: {row.field}" if row.field else row.kind
    return (row.iccid, what, row.ours, row.theirs, row.severity, _since(row))


def _extra_cells(row: DiscrepancyRow, *, is_priced: bool, is_all: bool) -> Sequence[str]:
    cost = "?" if row.monthly_cost is None else shown_amount(row.monthly_cost)
    return (*((cost,) if is_priced else ()), *((_acknowledged(row),) if is_all else ()))


def _acknowledged(row: DiscrepancyRow) -> str:
    if row.muted_at is None:
        return ""
    until = "" if row.muted_until is None else f" until {row.muted_until:%Y-%m-%d}"
    return f"by {row.muted_by}{until}" + (f": {row.muted_reason}" if row.muted_reason else "")


def _since(row: DiscrepancyRow) -> str:
    since = f"{row.first_seen_at:%Y-%m-%d}"
    by = f", {row.resolved_by}" if row.resolved_by else ""
    return since if row.resolved_at is None else f"{since} until {row.resolved_at:%Y-%m-%d}{by}"
