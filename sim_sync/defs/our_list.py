"""Loading our own list in a run: how far it is, and what it came to, as people see it in Dagster."""

import logging
from collections.abc import Mapping
from typing import TypeAlias

import dagster as dg

from sim_sync.config import Config
from sim_sync.core.errors import InventoryHeld
from sim_sync.core.text import counted, printable
from sim_sync.defs.progress import RowsReporter
from sim_sync.defs.runs import is_dry_run
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.inventory import list_states
from sim_sync.worker.our_list import LoadReport, load_our_list

#: How far a load is, for the terminal of whoever started this process: Dagster's own log is not shown there.
LOADING = logging.getLogger("sim_sync.loading")
_TELL_EVERY_SECONDS = 5.0
#: In the metadata of a materialization: why the list that was read is not taken.
LIST_HELD = "list_held"

Metadata: TypeAlias = Mapping[str, str | int | dg.TableMetadataValue]


def load_and_tell(context: dg.AssetExecutionContext, sync_config: Config, warehouse: Warehouse) -> Metadata | None:
    """Load our list and return what it came to; None after a dry run, which materializes nothing."""
    carrier, dry_run = context.partition_key, is_dry_run(context)
    our_list = sync_config.our_list(carrier)
    if our_list is None:
        return None if dry_run else {"inventory": "none is configured", "rows": 0}

    def tell(rows: int) -> None:
        line = f"{carrier}: loading our inventory ({counted(rows, 'row')})"
        context.log.info(line)
        LOADING.info(line)

    reporter = RowsReporter(tell, every_seconds=_TELL_EVERY_SECONDS)
    sources = [one.where for one in sync_config.our_lists()]
    try:
        report = load_our_list(
            our_list,
            warehouse,
            carrier,
            dry_run=dry_run,
            min_percent=sync_config.min_percent_of_last(carrier),
            all_sources=sources,
            on_rows=reporter,
        )
    except InventoryHeld as held:
        context.log.warning(f"{carrier}: {held}")
        return None if dry_run else {LIST_HELD: printable(str(held)), **list_in_use(warehouse, carrier)}
    context.log.info(f"{carrier}: {_line(report, dry_run=dry_run)}")
    return None if dry_run else _metadata(report)


def list_in_use(warehouse: Warehouse, carrier: str) -> Mapping[str, str]:
    """Return since when the list that is compared is what it is, where a newer one is not taken."""
    state = list_states(warehouse.engine, [carrier]).get(carrier)
    if state is None or state.refused_at is None:
        return {}
    told = (
        f"of {state.loaded_at:%Y-%m-%d %H:%M} UTC; newer ones are not taken since {state.refused_at:%Y-%m-%d %H:%M} UTC"
    )
    return {"our_list": told}


def _line(report: LoadReport, *, dry_run: bool) -> str:
    if report.unchanged_since is not None:
        return f"our inventory is unchanged since {report.unchanged_since:%Y-%m-%d %H:%M} UTC: not loaded again"
    would = "dry run, nothing written: of our inventory would be" if dry_run else "our inventory is loaded:"
    kept = f"; {report.kept:,} kept, because as many rows cannot be read" if report.kept else ""
    return (
        f"{would} {report.added:,} added, {report.changed:,} changed, {report.removed:,} removed{kept}; "
        f"{counted(report.unusable_rows, 'row')} cannot be used, {counted(report.values_left_out, 'value')} left out"
    )


def _metadata(report: LoadReport) -> Metadata:
    since = report.unchanged_since
    return {
        "rows": report.rows,
        "added": report.added,
        "changed": report.changed,
        "removed": report.removed,
        "kept": report.kept,
        "unusable_rows": report.unusable_rows,
        "values_left_out": report.values_left_out,
        "unknown_status_words": report.unknown_status_words or "none",
        "list": "read" if since is None else f"unchanged since {since:%Y-%m-%d %H:%M} UTC, not read again",
        "findings": _findings(report),
    }


def _findings(report: LoadReport) -> dg.TableMetadataValue:
    """Return examples of each kind of finding as a table of plain texts: in markdown, a cell could be an image."""
    rows = [
        dg.TableRecord(
            {
                "list": printable(finding.source),
                "line": finding.row_number,
                "column": printable(finding.column),
                "reason": printable(finding.reason),
                "of this kind": finding.times,
            }
        )
        for finding in report.findings
    ]
    kinds = {"list": "string", "line": "int", "column": "string", "reason": "string", "of this kind": "int"}
    columns = [dg.TableColumn(name, kind) for name, kind in kinds.items()]
    return dg.MetadataValue.table(rows, schema=dg.TableSchema(columns))
