"""The assets and the ops behind two of them: our list, what the carrier says, what differs, what others read of it."""

import base64
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

import dagster as dg

from sim_sync import __version__
from sim_sync.config import Config
from sim_sync.core.discrepancies import Kind
from sim_sync.core.errors import InventoryHeld
from sim_sync.core.report import SEVERITIES, CarrierPart, Report, ReportFigures, sentences
from sim_sync.core.text import counted, printable
from sim_sync.defs.account import table_metadata
from sim_sync.defs.errors import as_dagster_failure
from sim_sync.defs.jobs import Names
from sim_sync.defs.ops import RETRIES, build_ops
from sim_sync.defs.progress import RowsReporter
from sim_sync.defs.runs import is_dry_run, tag_run
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.inventory import list_states
from sim_sync.warehouse.overviews import carrier_overviews
from sim_sync.warehouse.reconcile import KindCounts, reconcile
from sim_sync.warehouse.report import brief_figures
from sim_sync.worker.lease import KeptRun
from sim_sync.worker.our_list import LoadReport, load_our_list

# Loading our own list in a run: how far it is, and what it came to, as people see it in Dagster.


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
    """Return examples of each kind of finding."""
    rows = [(one.source, one.row_number, one.column, one.reason, one.times) for one in report.findings]
    kinds = {"list": "string", "line": "int", "column": "string", "reason": "string", "of this kind": "int"}
    return _table(kinds, rows)


def _table(kinds: Mapping[str, str], rows: Sequence[Sequence[str | int | None]]) -> dg.TableMetadataValue:
    """Return rows below columns of these kinds, as plain texts and numbers: in markdown, a cell could be an image."""
    columns = [dg.TableColumn(name, kind) for name, kind in kinds.items()]
    records = [dg.TableRecord(dict(zip(kinds, map(_plain, row), strict=True))) for row in rows]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))


def _plain(value: str | int | None) -> str | int:
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) else value


# What a reconciliation came to, as metadata of `sim_discrepancies`: entries to read, then tables, then the plot.
#
# Everything is of the one carrier of the partition. The report on all of them is `sim-sync report`.


#: How far back the trend goes.
_PERIOD = timedelta(days=30)

EssentialsMetadata: TypeAlias = Mapping[str, Any]


def essentials(warehouse: Warehouse, carrier: str) -> tuple[EssentialsMetadata, EssentialsMetadata]:
    """Return what stands first on the asset's page, and what stands last: tables and the plot."""
    figures = brief_figures(warehouse.engine, [carrier], warehouse.sessions.now() - _PERIOD)
    (overview,) = carrier_overviews(warehouse.engine, [carrier])
    part = CarrierPart(overview=overview, max_age_hours=0.0, compared_as_of=figures.as_of)
    report = Report(figures=figures, carriers=[part])
    return dict(_entries(report)), dict(_pictures(figures))


def _entries(report: Report) -> Iterator[tuple[str, Any]]:
    yield "in_short", printable(" ".join(sentences(report)))
    yield "open", report.open_of()
    for severity in SEVERITIES:
        yield severity, report.open_of(severity=severity)
    yield "acknowledged", report.muted
    if (cost := report.cost_of()) is not None:
        yield "monthly_cost", float(cost)
        yield "currency", report.currency or "not named"


def _pictures(figures: ReportFigures) -> Iterator[tuple[str, Any]]:
    piles = [(pile.kind, pile.severity, pile.found) for pile in figures.piles if not pile.is_muted]
    yield "by_kind", _table({"kind": "string", "severity": "string", "open": "int"}, piles)
    pairs = [(pair.kind, pair.field, pair.ours, pair.theirs, pair.found) for pair in figures.pairs]
    words = dict.fromkeys(("kind", "field", "ours", "theirs"), "string")
    yield "most_frequent", _table({**words, "open": "int"}, pairs)
    from sim_sync.report.plots import standalone  # pygal is loaded where it draws
    from sim_sync.report.sections import trend

    if plots := trend(figures):
        told = (f"{plot.title}\n\n![]({_source(standalone(plot))})" for plot in plots)
        yield "trend", dg.MetadataValue.md("\n\n".join(told))


def _source(drawing: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()}"


# The assets, one partition a carrier: what we think we own, what the carrier says, what differs, what is exported.


#: Who is asked about the assets, as Dagster shows it.
OWNERS = ["team:sim_operations"]
_RESOURCES = ("sync_config", "warehouse", "kept_run")


def build_sim_inventory(partitions: dg.PartitionsDefinition[str], names: Names) -> dg.AssetsDefinition:
    """Build the asset of our own list."""

    @dg.asset(
        key=names.asset("sim_inventory"),
        metadata=table_metadata("inventory_sims"),
        owners=OWNERS,
        code_version=__version__,
        partitions_def=partitions,
        group_name=names.group,
        retry_policy=RETRIES,
        kinds={"csv", "xlsx", "parquet", "sql"},
        output_required=False,
        required_resource_keys=names.keys(*_RESOURCES),
    )
    def sim_inventory(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """What the company thinks it owns: its own list of SIMs, read as text, loaded into `inventory_sims`."""
        sync_config, warehouse, kept_run = _resources(context, names)
        with as_dagster_failure():
            tag_run(context, sync_config, warehouse, kept_run)
            metadata = load_and_tell(context, sync_config, warehouse)
        if metadata is not None:
            yield dg.MaterializeResult(metadata=metadata)

    return sim_inventory


def build_carrier_sims(partitions: dg.PartitionsDefinition[str], names: Names) -> dg.AssetsDefinition:
    """Build the asset of what the carrier says."""
    ops = build_ops(names)

    @dg.graph_asset(
        key=names.asset("carrier_sims"),
        partitions_def=partitions,
        group_name=names.group,
        kinds={"rest", "sql"},
        metadata=table_metadata("carrier_sims"),
        owners=OWNERS,
        code_version=__version__,
    )
    def carrier_sims() -> None:
        """What the carrier says: its whole SIM list, walked page by page into `carrier_sims`, surviving any crash."""
        # In the graph they have their own names in each deployment: run config says `open_session` everywhere.
        opened = ops.open_session.alias("open_session")()
        walked = ops.sync_pages.alias("sync_pages")(opened)
        return ops.close_session.alias("close_session")(walked)  # type: ignore[no-any-return]  # composed, not run

    return carrier_sims


def build_sim_discrepancies(partitions: dg.PartitionsDefinition[str], names: Names) -> dg.AssetsDefinition:
    """Build the asset of what differs."""

    @dg.asset(
        key=names.asset("sim_discrepancies"),
        metadata=table_metadata("sim_discrepancies"),
        owners=OWNERS,
        code_version=__version__,
        partitions_def=partitions,
        group_name=names.group,
        retry_policy=RETRIES,
        kinds={"sql"},
        deps=[names.asset("sim_inventory"), names.asset("carrier_sims")],
        required_resource_keys=names.keys(*_RESOURCES),
    )
    def sim_discrepancies(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """What differs between the two, with a history: since when, how often seen, resolved when."""
        sync_config, warehouse, kept_run = _resources(context, names)
        with as_dagster_failure():
            tag_run(context, sync_config, warehouse, kept_run)
            if not sync_config.has_list_of(context.partition_key):
                return dg.MaterializeResult(metadata={"inventory": "none is configured: nothing was compared"})
            told = sync_config.reconcile
            rules = told.rules(sync_config.carrier_names)
            counts = reconcile(warehouse.engine, context.partition_key, told.fields, rules)
            first, last = essentials(warehouse, context.partition_key)
        return dg.MaterializeResult(
            metadata={**first, **_flat(counts.kinds), **last, **list_in_use(warehouse, context.partition_key)}
        )

    return sim_discrepancies


def build_sim_export(partitions: dg.PartitionsDefinition[str], names: Names) -> dg.AssetsDefinition:
    """Build the asset of what others read: there where the configuration has a section `export`."""

    @dg.asset(
        key=names.asset("sim_export"),
        owners=OWNERS,
        code_version=__version__,
        partitions_def=partitions,
        group_name=names.group,
        retry_policy=RETRIES,
        kinds={"parquet", "delta"},
        deps=[names.asset("sim_discrepancies")],
        output_required=False,
        required_resource_keys=names.keys(*_RESOURCES),
    )
    def sim_export(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """What others read: the carrier's SIMs, what differs and what the night changed, as Parquet and Delta."""
        sync_config, warehouse, kept_run = _resources(context, names)
        with as_dagster_failure():
            tag_run(context, sync_config, warehouse, kept_run)
            if sync_config.export is None:
                context.log.warning(f"{sync_config.path} has no section `export` any more: nothing is exported")
                return
            from sim_sync.export import export_carrier  # what it writes with is loaded where it writes

            carrier, folder = context.partition_key, sync_config.path.parent
            exported = export_carrier(warehouse, sync_config.export, folder, carrier, context.run.run_id)
        rows = {one.table: one.rows for one in exported}
        places = ", ".join(dict.fromkeys(one.place for one in exported))
        context.log.info(f"{carrier}: exported {counted(rows['carrier_sims'], 'SIM')} to {places}")
        yield dg.MaterializeResult(metadata={**rows, "places": printable(places)})

    return sim_export


def _resources(context: dg.AssetExecutionContext, names: Names) -> tuple[Config, Warehouse, KeptRun]:
    found = names.resources(context, *_RESOURCES)
    return found["sync_config"], found["warehouse"], found["kept_run"]


def _flat(counts: Mapping[Kind, KindCounts]) -> dict[str, int]:
    """Return the numbers as people read them: what is open, and of that what is new, and what was resolved."""
    return {
        f"{kind.value}_{what}": number
        for kind, count in counts.items()
        for what, number in {"open": count.open, "new": count.opened, "resolved": count.resolved}.items()
    }
